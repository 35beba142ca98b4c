"""Which paths carry the gradient? The exact gradient by path length, and the unravelled view of a run of blocks."""

from functools import partial

import streamlit as st

from resnet_viz.experiments.paths import LENGTH_PLAN, is_plain, joined
from resnet_viz.figures import paths as figures
from resnet_viz.figures.palette import power_of_two
from resnet_viz.web import cached, parts, settings, snippets
from resnet_viz.web.card import card
from resnet_viz.web.session import LARGEST_SEED, visit

LONGEST_RUN, BATCH, DEEP = 5, 8, 27
BY_LENGTH = r"d_k \leftarrow J_s^\top d_k + J_F^\top d_{k-1},\quad\text{share}_k = \lVert d_k \rVert / \textstyle\sum_j \lVert d_j \rVert"
ONE_PATH = r"d \leftarrow J_F^\top d\text{ at the }k\text{ blocks drawn, }d \leftarrow J_s^\top d\text{ at the others}"
UNRAVELLED = r"n\text{ blocks: }2^n\text{ paths, }\tbinom{n}{k}\text{ of them of length }k"
now = visit()
loaded, blocks = now.loaded, list(now.loaded.network.blocks)
plain = is_plain(loaded.network)
what_to_do, source = (
    ("Without shortcuts there is one path.", f"the control of {parts.VEIT}") if plain
    else ("Each block doubles the number of paths: they lead through its branch, or past it.", f"after {parts.VEIT}"))  # fmt: skip
parts.question(now, "Which paths carry the gradient?", what_to_do, source)


def by_length() -> None:
    """The exact gradient by path length, and single paths beside it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        images = now.subject.batch(settings.images_of_pass(now, BATCH, several=False))
        samples = settings.number("samples", "Sampled paths for each length", 1, 20, 5, "Drawn at random; each is a circle in the figure below.")  # fmt: skip
        seed = settings.number("sample_seed", "Seed of the samples", 0, LARGEST_SEED, 0, "Another seed draws other paths.", slider=False)  # fmt: skip
    labels, measured = now.labels(images), f"{len(images)} image{'s' if len(images) > 1 else ''}"
    networks = [network for network in now.networks if not is_plain(network.network)]
    steps = [partial(cached.gradient_by_length, network, images.subset([index]), labels[index : index + 1])
             for network in networks for index in range(len(images))]  # fmt: skip
    with cached.timed() as spent:
        key = ("lengths", *(network.identity for network in networks), images.digest, labels)
        done = parts.in_steps(key, "Follow the gradient through every length", steps)
    if done is None:
        return
    exact, *others = (joined(done[start : start + len(images)]) for start in range(0, len(done), len(images)))
    beside = (networks[1].title, others[0]) if others else None
    title, says = figures.length_sentences(exact)
    if beside:
        says += f" ○ {beside[0]}: {beside[1].mean_length:.1f} branches on average."
    if len(blocks) < DEEP:
        says += " In a deeper network the two lie much further apart: try fashion-resnet110."
    figure = partial(figures.share_by_length, exact, now.palette, beside)
    card(now, "share_by_length", figure, "measured", measured, f"exact: the lengths add up to autograd's gradient within {exact.sum_relative_error:.0e}",
         *spent, title=title, formula=BY_LENGTH, says=says, alt=says, of=networks, images=images, python=snippets.share_by_length(networks, now.python_of(images)),
         caption="$d_k$: the gradient that has come back from the loss through $k$ branches so far; $J_s$, $J_F$: the derivatives of a block's shortcut and of its branch. "
         "A length's share is the norm of the summed gradient of all its paths, over the sum of these norms. The backward pass decomposes exactly "
         "over paths, for the activations of this forward pass; the forward pass does not, since each branch sees a mixture.")  # fmt: skip
    with st.spinner("Sampling single paths ..."), cached.timed() as spent:
        sampled = cached.sampled_path_norms(loaded, images, labels, samples, seed)
    figure = partial(figures.count_times_norm, exact, sampled, now.palette)
    card(now, "count_times_norm", figure, "measured", measured, f"{samples} sampled paths for each length", f"seed {seed}", *spent, formula=ONE_PATH,
         title=figures.product_sentence(exact, sampled),
         alt="Number of paths, norm of single paths, and their product by length, beside the exact gradient.", images=images,
         python=snippets.count_times_norm(now.python_of(images), samples, seed),
         caption="○ one path, drawn at random; $d$: the gradient that comes back along it. The product counts the paths of a length as if they all pointed one way (with few draws, a single path can stand out); the exact gradient lets them cancel.")  # fmt: skip
    with st.spinner("Looking at each stage ..."), cached.timed() as spent:
        stages = {
            stage: cached.gradient_by_length(loaded, images, labels, stage) for stage in loaded.network.stage_sizes()
        }
    card(now, "lengths_by_stage", partial(figures.lengths_by_stage, stages, now.palette), "measured", measured, *spent, formula=BY_LENGTH,
         title=figures.stage_sentence(stages),
         alt="Share of the gradient by the number of branches taken within each stage.", images=images, python=snippets.lengths_by_stage(now.python_of(images)),
         caption="For each stage: the gradient at its end, followed back to its beginning, by the number of branches taken on the way.")  # fmt: skip


def unravel(start: str) -> None:
    """Every path through a run of blocks, drawn one by one."""
    length = settings.number("run", "Blocks in the run", 1, min(LONGEST_RUN, len(blocks)), min(3, len(blocks)),
                             "The run begins at the block chosen in the strip; every further block doubles the paths.")  # fmt: skip
    first = min(blocks.index(start), len(blocks) - length)
    run, paths = blocks[first : first + length], figures.all_paths(length)
    half = len(paths) // 2
    row = settings.number("path", f"Path, by its row: 0 to {len(paths) - 1}", 0, len(paths) - 1, half, "Or click a path in the figure.",
                          slider=False)  # fmt: skip

    def choose_path() -> None:
        if points := st.session_state["unravelled"]["selection"]["points"]:
            settings.set_value("path", points[0]["customdata"][0], half)

    card(now, "unravelled", partial(figures.unravelled, run, row, now.palette), "schematic", "the wiring, no numbers measured", on_select=choose_path, formula=UNRAVELLED,
         title=f"{length} blocks unravelled: {power_of_two(length)} = {len(paths)} paths, each branch on {half} of them",
         says=f"Chosen, length {sum(paths[row])}: **{figures.path_name(paths[row], run)}**. Click another.", alt=f"All {len(paths)} paths through {', '.join(run)}.",
         caption=f"■ the branch is taken, ─ the shortcut. Deleting one block removes the {half} paths through its branch and leaves the other {half}. Of the "
         f"whole network's {power_of_two(len(blocks))} paths, each branch lies on half.", python=snippets.unravelled(run, row))  # fmt: skip


with st.container(border=True):
    start = parts.choosing_strip(now, hint="" if plain else "the run further below begins at the chosen block")
if plain:
    st.header("The whole gradient flows through one path", anchor=False)
    st.markdown(
        f"{loaded.title} has no shortcuts: its only path goes through all {len(blocks)} blocks. Choose a residual network to unravel one."
    )
else:
    with st.container(border=True):
        by_length()
        parts.plan_note(LENGTH_PLAN)
    with st.container(border=True):
        unravel(start)
