"""Which paths carry the gradient? The unravelled view of a run of blocks, and the exact gradient by path length."""

import streamlit as st
from scipy import stats

from resnet_viz.experiments.paths import carrying_range, is_plain
from resnet_viz.figures.palette import power_of_two
from resnet_viz.figures.paths import all_paths, path_name, share_by_length, single_path_norms, unravelled
from resnet_viz.web import cached
from resnet_viz.web.parts import chip, choosing_strip, question, show, untrained_note, visit

LONGEST_RUN, BATCH = 5, 8
now = visit()
loaded = now.loaded
blocks = list(loaded.network.blocks)
plain = is_plain(loaded.network)

question("Which paths carry the gradient?", "Each block doubles the paths: through its branch, or past it.",
         r"d_k \leftarrow J_s^\top d_k + J_F^\top d_{k-1}", "after [Veit, Wilber and Belongie, 2016](https://arxiv.org/abs/1605.06431)")  # fmt: skip
untrained_note(now)
strip = st.container(border=True)
by_length = st.container(border=True)

with strip:
    start = choosing_strip(now, bars_title="the run below begins at the chosen block")

if plain:
    st.info(
        f"{loaded.title} has no shortcuts: its only path goes through all {len(blocks)} blocks. Choose a residual network to unravel one."
    )
else:
    with st.container(border=True):
        first = blocks.index(start)
        length = st.slider(
            "Blocks in the run", 1, min(LONGEST_RUN, len(blocks)), min(3, len(blocks)), key="run_length", width=330
        )
        first = min(first, len(blocks) - length)
        run = blocks[first : first + length]
        paths = all_paths(length)
        st.subheader(
            f"{length} blocks unravelled: {power_of_two(length)} = {len(paths)} paths, and each branch lies on {len(paths) // 2} of them",
            anchor=False,
        )
        if st.session_state.get("path_box", len(paths)) >= len(paths):
            st.session_state["path_box"] = len(paths) // 2

        def choose_path() -> None:
            points = st.session_state["unravelled"]["selection"]["points"]
            if points:
                st.session_state["path_box"] = points[0]["customdata"][0]

        chosen = st.selectbox("Path", range(len(paths)), key="path_box", width=460,
                              format_func=lambda row: f"length {sum(paths[row])}: {path_name(paths[row], run)}")  # fmt: skip
        st.plotly_chart(unravelled(run, chosen, now.palette), theme=None, key="unravelled", on_select=choose_path, selection_mode="points",
                        config={"displayModeBar": False}, alt=f"All {len(paths)} paths through {', '.join(run)}.")  # fmt: skip
        st.caption(f"■ the branch is taken, ─ the shortcut. Deleting one block removes the {len(paths) // 2} paths through its branch and leaves the other "
                   f"{len(paths) // 2}. Of the whole network's {power_of_two(len(blocks))} paths, each branch lies on half.")  # fmt: skip
        chip("schematic", "the wiring, no numbers measured")

with by_length:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        several = min(BATCH, len(now.images))
        batch = st.segmented_control(
            "Images", ["this image", f"{several} images"], default="this image", key="path_images", required=True
        )
        samples = st.slider("Sampled paths for each length", 1, 20, 5, key="path_samples", width=260)
        seed = int(st.number_input("Seed", 0, 9999, 0, key="path_seed", width=120))
    images = now.image if batch == "this image" else now.images.limit(several)
    labels = now.labels(images)
    with st.spinner("Following the gradient through every length ..."), cached.timed() as spent:
        exact = cached.gradient_by_length(loaded, images, labels)
    norms = exact.mean_norms
    low, high = carrying_range(norms)
    if plain:
        st.subheader(f"All of the gradient flows through one path, of {len(blocks)} blocks", anchor=False)
    else:
        share = 100 * sum(exact.paths[low : high + 1]) / sum(exact.paths)
        count = len(blocks)
        middle = stats.binom.interval(0.95, count, 0.5)
        st.subheader(
            f"95 % of the gradient flows through paths of {low} to {high} branches: {share:.2g} % of the {power_of_two(count)} paths",
            anchor=False,
        )
        st.markdown(f"The mean length of the gradient's paths is {exact.mean_length:.1f}; that of the paths themselves {count / 2:g}, with 95 % of them between "
                    f"{middle[0]:.0f} and {middle[1]:.0f}.")  # fmt: skip
    show(
        share_by_length(exact.paths, norms, (low, high), now.palette),
        "share_by_length",
        "Share of paths and of gradient by path length.",
    )
    st.caption("A length's share is the norm of the summed gradient of all its paths, over the sum of these norms. The backward pass decomposes exactly over "
               "paths, for the activations of this forward pass; the forward pass does not, since each branch sees a mixture.")  # fmt: skip
    chip(
        "measured",
        f"{len(images)} image{'s' if len(images) > 1 else ''}",
        f"exact: the lengths add up to autograd's gradient within {exact.sum_relative_error:.0e}",
        *spent,
    )
    with st.spinner("Sampling single paths ..."), cached.timed() as spent:
        sampled = cached.sampled_path_norms(loaded, images, labels, samples, seed)
    show(
        single_path_norms(norms, sampled, exact.paths, now.palette),
        "single_paths",
        "Gradient norm of single paths by length.",
    )
    if not plain:
        st.caption(
            f"○ one path, drawn at random: the longer, the weaker. There are the more of them towards length {count / 2:g}; together they carry most at length {norms.argmax()}."
        )
    chip("measured", f"{samples} sampled paths for each length", f"seed {seed}", *spent)
