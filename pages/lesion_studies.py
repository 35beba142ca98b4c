"""How much damage can a network take? Many blocks deleted at random, or blocks that change places."""

from functools import partial

import streamlit as st

from resnet_viz.experiments.lesion_studies import PLANS, RANDOM, REORDER, Study, swappable_pairs, ten_counts, together
from resnet_viz.experiments.paths import is_plain
from resnet_viz.figures.lesion_studies import errors_by_amount, study_sentences
from resnet_viz.networks.zoo import LoadedNetwork
from resnet_viz.web import cached, settings, snippets
from resnet_viz.web.card import card, show
from resnet_viz.web.parts import VEIT, choosing_strip, in_steps, plan_note, question
from resnet_viz.web.session import LARGEST_SEED, visit

KINDS = {"delete at random": RANDOM, "swap places": REORDER}
COMPUTE = {RANDOM: cached.random_deletions, REORDER: cached.random_swaps}
FORMULAS = {RANDOM: r"\text{error}(k) = \text{error with } g_i = 0 \text{ for } k \text{ random blocks } i",
            REORDER: r"\tau = \frac{\text{pairs in the old order} - \text{pairs in reverse}}{n (n - 1) / 2}"}  # fmt: skip
CAPTIONS = {RANDOM: "A pale mark is one draw; the line joins the medians. An ensemble would get worse smoothly, without a sudden collapse. With every block deleted, all draws are the same.",
            REORDER: "A pale mark is one draw, a strong one the median of the draws with as many swaps. Toward the left lies the network's own order; a swap can undo another. An ensemble would get worse smoothly, without a sudden collapse."}  # fmt: skip
now = visit()
loaded, images = now.loaded, now.images
question(now, "How much damage can it take?", "Delete ever more blocks at random, or let blocks of equal shape change places.", f"after {VEIT}, figure 5")  # fmt: skip
with st.container(border=True):
    choosing_strip(now)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = KINDS[settings.one_of("study", "Lesion", list(KINDS), "delete at random", help="Skip random blocks, or exchange random pairs within a stage.")]  # fmt: skip
        draws = settings.number("draws", "Draws for each number", 1, 20, 5, help="How often each number is drawn anew.")
        seed = settings.number("draw_seed", "Seed of the draws", 0, LARGEST_SEED, 0, slider=False, help="The same seed draws the same blocks.")  # fmt: skip


def able(network: LoadedNetwork) -> bool:
    """Whether the network has blocks to swap, if that is asked for."""
    return kind == RANDOM or bool(swappable_pairs(network.network, images, network.entry.preprocessing))


def rows_of(results: list[Study]) -> list[tuple[str, Study, bool]]:
    """The results so far, network by network."""
    of_network = [results[start :: len(networks)] for start in range(len(networks))]
    return [(network.title, together(each), is_plain(network.network)) for network, each in zip(networks, of_network, strict=True) if each]  # fmt: skip


def show_so_far(done: list[Study]) -> None:
    show(partial(errors_by_amount, rows_of(done), chance, now.palette))


def show_study() -> None:
    counts = ten_counts(len(loaded.network.blocks))
    steps = [partial(COMPUTE[kind], network, images, count, draws, seed) for count in counts for network in networks]
    key = (kind, *(network.identity for network in networks), images.digest, draws, seed)
    with cached.timed() as spent:
        results = in_steps(key, "Run the study", steps, show=show_so_far)
    if results is None:
        return
    rows = rows_of(results)
    title, _ = study_sentences(rows[0][1])
    says = "  \n".join(f"**{name}**: {study_sentences(study)[1]}" for name, study, _ in rows)
    card(now, "study", partial(errors_by_amount, rows, chance, now.palette), "measured", f"{len(images):,} images", f"{draws} draw{'s' if draws > 1 else ''} each", f"seed {seed}", *spent,
         title=title, says=says, formula=FORMULAS[kind], alt=f"{title}. {says}", of=networks, images=images, python=snippets.study(networks, kind, draws, seed),
         caption=CAPTIONS[kind])  # fmt: skip


chance = 100 - 100 / len(loaded.entry.classes)
networks = [network for network in now.networks if able(network)]
with st.container(border=True):
    if images.labels is None:
        st.header("No labels, no error", anchor=False)
        st.markdown(f"{images.title}: they have no labels. Choose a fashion-* network.")
    elif loaded not in networks:
        st.header("Nothing to swap", anchor=False)
        st.markdown(f"No two blocks of {loaded.title} have the same shape within a stage, so none can change places.")
    else:
        show_study()
    plan_note(PLANS[kind])
