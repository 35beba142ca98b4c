"""What happens when a block is deleted? One image, a labelled set, and every block in turn; another network beside it."""

from functools import partial

import streamlit as st

from resnet_viz.experiments.deletion import Lesion, Sweep, joined
from resnet_viz.experiments.paths import is_plain
from resnet_viz.figures import deletion as figures
from resnet_viz.web import cached, snippets
from resnet_viz.web.card import card, chip
from resnet_viz.web.gallery import flipped, picture
from resnet_viz.web.parts import (
    SOFTMAX,
    VEIT,
    beside_sentence,
    deleting_strip,
    done_in_steps,
    in_steps,
    lesion_notes,
    question,
    relative_bars,
    visit,
)
from resnet_viz.web.session import choices

SHOWN = ["prediction", "set_error", "sweep", "class_errors", "pictures"]  # top to bottom; computed in another order
PARTS = 4  # the sweep is done in parts of the images, so that a click in the middle of it costs at most one of them
GATED = r"y = x + g\,F(x)\text{; plain: }y = g\,F(x) + (1 - g)\,x"
now = visit()
entry, loaded, images = now.loaded.entry, now.loaded, now.images
networks = now.networks
labelled, measured = images.labels is not None, f"{len(images):,} images"


def sweep_part(first: int) -> list[Sweep]:
    """One part of the images, in each network."""
    part = images.subset(list(range(first, len(images), PARTS)))
    return [cached.sweep(network, part) for network in networks]


def show_sweep(swept: list[Sweep], spent: list[str]) -> None:
    rows = [(network.title, each, is_plain(network.network)) for network, each in zip(networks, swept, strict=True)]
    says = "  \n".join(f"**{title}**: {figures.sweep_sentence(each)}" for title, each, _ in rows)
    figure = figures.sweep_errors(rows, 100 - 100 / len(entry.classes), now.palette)
    facts = [f"{len(swept[0].blocks)} lesions × {measured}", *(["Wilson 95 %"] if labelled else []), *spent]
    card(now, "sweep", figure, "measured", *facts, title="Every block deleted in turn", formula=rf"{GATED},\ g = 0", says=says,
         alt=f"What each deletion does. {says}", of=networks, images=images, python=snippets.sweep(networks, len(entry.classes)))  # fmt: skip


def show_prediction() -> None:
    with cached.timed() as spent:
        before, after = cached.before_and_after(loaded, now.image, gates)
        other = beside_sentence(now, gates)
    seen = figures.seen_sentence(entry.classes, before, after)
    verdict.markdown(f"**This image: {seen}**")
    figure = figures.prediction_change(entry.classes, before, after, now.palette)
    truth = f"its label: {now.class_name}" if now.label_is_true else "nobody labelled it"
    card(now, "prediction", figure, "measured", "1 image", *spent, title=f"This image: {seen}", formula=SOFTMAX, says=other, alt=f"The five likeliest classes: {seen}.",
         caption=f"○ intact ● with the lesion · {truth}", python=snippets.PREDICTION)  # fmt: skip


def show_set() -> list[Lesion]:
    """The error of the set in each network, before and after."""
    with st.spinner("Measuring the error over the set ..."), cached.timed() as spent:
        lesions = [cached.lesion(network, images, gates) for network in networks]
    if labelled:
        rows = [
            (network.title, each, is_plain(network.network)) for network, each in zip(networks, lesions, strict=True)
        ]
        sample = "These 1,000 are a sample of the 10,000 test images behind the network's test error."
        card(now, "set_error", figures.error_bars(rows, now.palette), "measured", measured, "Wilson 95 %", *spent,
             title=figures.set_sentence(lesions[0]), formula=rf"{GATED},\ g = {gate if deleted else 1:g}", says=figures.rise_sentence(lesions[0]) if deleted else "",
             alt="Error before and after, with intervals.", caption=sample if entry.family == "fashion" else "",
             of=networks, images=images, python=snippets.set_error(networks))  # fmt: skip
    else:
        st.header(f"{lesions[0].changed_pct:.0f} % of predictions change", anchor=False)
        st.caption(f"{images.title}: nobody labelled them. The command line takes folders of labelled pictures.")
        chip("measured", images.title, *spent)
    return lesions


def show_consequences(lesion: Lesion) -> None:
    by_class, changed = st.columns([1, 1.3])
    with by_class:
        figure = figures.class_errors(entry.classes, lesion, now.palette)
        card(now, "class_errors", figure, "measured", f"{lesion.images // len(entry.classes)} images a class", title="Who suffers?",
             alt="Error of each class before and after.", caption="○ intact ● with the lesion; the class that suffers most is on top",
             images=images, python=snippets.CLASS_ERRORS)  # fmt: skip
    with changed:
        flipped(images, entry.classes, lesion.before, lesion.after)


what_to_do, source = (
    ("Click a block: its layers are skipped, the signal is handed on as it is.", f"the control of {VEIT}") if is_plain(loaded.network)
    else ("Click a block: its branch is skipped, the signal takes the wire.", f"after {VEIT}"))  # fmt: skip
question(now, "What happens when a block is deleted?", what_to_do, source)
sweep_key = (*(network.identity for network in networks), images.digest)
with cached.timed() as sweep_time:
    parts = done_in_steps(sweep_key)
swept = [joined(of_network) for of_network in zip(*parts, strict=True)] if parts else None
with st.container(border=True):
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.image(picture(now.image.pixels[0]).resize((96, 96)), width=48, alt=now.image.names[0])
        verdict = st.empty()
    bars = {}
    if swept and labelled:
        bars = relative_bars(dict(zip(swept[0].blocks, swept[0].rises, strict=True)), "points more error", least=5)
    deleted = deleting_strip(now, bars, "bars: rise in error when this block alone is deleted" if bars else "")
    gate = choices().lesion(entry.name).gate
    gates = now.gates(deleted, gate)
    lesion_notes(now, deleted)
left, right = st.columns([1, 1.5])
set_place, sweep_place = right.container(border=True), st.container(border=True)
with left.container(border=True):
    show_prediction()
if swept:
    with sweep_place:
        show_sweep(swept, sweep_time)
with set_place:  # it comes late: the figures above need not wait for it
    lesions = show_set()
if labelled:
    with st.container(border=True):
        if deleted:
            show_consequences(lesions[0])
        else:
            st.markdown("**Try this.** Choose three blocks that do little harm one by one (short bars), and say what deleting all "
                        "three will cost. Then delete them: do the harms add up?")  # fmt: skip
st.session_state["cards"].sort(key=lambda card: SHOWN.index(card.key))
if not swept:
    steps = [partial(sweep_part, first) for first in range(min(PARTS, len(images)))]
    with sweep_place:
        if in_steps(sweep_key, "Delete every block in turn", steps, ask_first=not labelled):
            st.rerun()  # the strip has bars now
