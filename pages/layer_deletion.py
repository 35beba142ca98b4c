"""What happens when a block is deleted? One image, a labelled set, and every block in turn; the plain twin beside it."""

import numpy as np
import streamlit as st

from resnet_viz.experiments.deletion import Lesion, Sweep, joined
from resnet_viz.figures import deletion as figures
from resnet_viz.networks.zoo import NETWORKS, LoadedNetwork
from resnet_viz.web import cached
from resnet_viz.web.gallery import picture
from resnet_viz.web.parts import chip, deleting_strip, question, relative_bars, show, untrained_note, visit
from resnet_viz.web.session import choices

PARTS = 4  # the sweep is kept in parts, so that a click in the middle of it costs at most one of them
FLIPPED = 12  # images shown whose prediction changed
now = visit()
entry, loaded = now.loaded.entry, now.loaded
twin = cached.network(NETWORKS[entry.plain]) if entry.plain and loaded.trained else None
labelled = now.images.labels is not None


def lesion_of(network: LoadedNetwork, gates: tuple[float, ...]) -> Lesion:
    """What these gates do to the set, in one network."""
    before = cached.predictions(network, now.images, now.gates([]))
    after = cached.predictions(network, now.images, gates)
    return Lesion(before, after, None if now.images.labels is None else now.images.labels.numpy())


def say_what_is_deleted(deleted: list[str], gate: float) -> None:
    if not deleted:
        st.caption("Nothing deleted: the network is intact.")
        return
    st.caption(f"{'deleted' if gate == 0 else f'gate {gate:g}'}: {', '.join(deleted)}")
    shortcuts = {block.shortcut for block in now.description.blocks if block.name in deleted}
    if shortcuts & {"projection", "option A"}:
        st.caption(
            "A chosen block changes the shape of the stream. Deleting it deletes its branch and keeps its shortcut "
            f"({' and '.join(sorted(shortcuts - {'identity'}))}), which still changes the shape."
        )
    if "none" in shortcuts and 0 < gate < 1:
        st.caption(
            "**Schematic:** between 0 and 1 the gate of a plain block mixes it with a wire that no plain network has."
        )


def prediction_card(gates: tuple[float, ...], deleted: list[str]) -> None:
    with cached.timed() as spent:
        before = cached.probabilities(loaded, now.image, now.gates([]))
        after = cached.probabilities(loaded, now.image, gates)
    was, becomes = (entry.classes[int(values.argmax())] for values in (before, after))
    still = becomes if not deleted else f"still {becomes}" if was == becomes else f"{was} → {becomes}"
    st.subheader(f"This image: {still}", anchor=False)
    alt = f"The five likeliest classes before and after; first {becomes}, probability {after.max():.2f}."
    show(figures.prediction_change(entry.classes, before, after, now.palette), "prediction", alt)
    st.caption(
        f"○ intact ● with the lesion · {f'its label: {now.class_name}' if now.label_is_true else 'nobody labelled it'}"
    )
    chip("measured", "1 image", *spent)


def set_card(lesion: Lesion, twin_lesion: Lesion | None, deleted: list[str], spent: list[str]) -> None:
    if lesion.error_pct_before is None or lesion.error_pct_after is None:
        st.subheader(f"{lesion.changed_pct:.0f} % of predictions change", anchor=False)
        st.caption(
            f"{now.images.title}: nobody labelled them, so there is no error to measure. The command line takes folders of labelled pictures."
        )
        chip("measured", now.images.title, *spent)
        return
    title = f"{lesion.images:,} test images: {lesion.error_pct_before:.1f} %"
    st.subheader(
        f"{title} → {lesion.error_pct_after:.1f} % error" if deleted else f"{title} error, intact", anchor=False
    )
    if deleted:
        low, high = lesion.rise_interval()
        text = f"{lesion.error_pct_after - lesion.error_pct_before:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, paired by image."
        if twin is not None and twin_lesion is not None:
            text += f" {twin.title} under the same lesion: {twin_lesion.error_pct_before:.1f} % → {twin_lesion.error_pct_after:.1f} %."
        st.markdown(text)
    rows = [(loaded.title, lesion, False)]
    if twin is not None and twin_lesion is not None:
        rows.append((twin.title, twin_lesion, True))
    show(figures.error_bars(rows, now.palette), "set_error", "Error before and after the lesion, with 95 % intervals.")
    chip("measured", f"{lesion.images:,} images", "Wilson 95 %", *spent)


def consequences_card(lesion: Lesion, deleted: list[str]) -> None:
    if not deleted:
        st.subheader("Try this", anchor=False)
        st.markdown(
            "Which block of the second stage will hurt most? Make your guess, then delete it. Then delete three that you think do not matter."
        )
        return
    st.subheader("Who suffers?", anchor=False)
    by_class, flipped = st.columns([1, 1.3])
    with by_class:
        show(
            figures.class_errors(entry.classes, lesion, now.palette),
            "class_errors",
            "Error of each class before and after.",
        )
        st.caption("○ intact ● with the lesion; the class that suffers most is on top")
        chip("measured", f"{lesion.images // len(entry.classes)} images a class")
    with flipped:
        changed = np.flatnonzero(lesion.before != lesion.after)
        st.markdown(
            f"**{len(changed)} of {lesion.images:,} predictions change**"
            + (", among them:" if len(changed) > FLIPPED else ".")
        )
        with st.container(horizontal=True):
            for index in changed[:: max(1, len(changed) // FLIPPED)][:FLIPPED]:
                st.image(
                    picture(now.images.pixels[index]).resize((84, 84)),
                    width=84,
                    caption=f"{entry.classes[lesion.before[index]]} → {entry.classes[lesion.after[index]]}",
                )


def sweep_card(swept: Sweep, twin_swept: Sweep | None, spent: list[str]) -> None:
    if swept.labels is None:
        st.subheader("Every block deleted in turn: predictions that change", anchor=False)
    else:
        st.subheader(
            f"Every block deleted in turn: {swept.rises.mean():+.1f} points of error on average, median {np.median(swept.rises):+.1f}",
            anchor=False,
        )
        text = "The three worst: " + ", ".join(f"{name} ({error:.1f} %)" for name, error in swept.worst()) + "."
        if twin is not None and twin_swept is not None:
            rises = twin_swept.rises
            text += f" In {twin.title}, its layers without shortcuts (grey squares): {rises.mean():+.1f} on average, median {np.median(rises):+.1f}."
        st.markdown(text)
    chance = 100 - 100 / len(entry.classes)
    show(
        figures.sweep_errors(swept, twin_swept, chance, now.palette),
        "sweep",
        "The error when each block in turn is deleted.",
    )
    chip(
        "measured",
        f"{len(swept.blocks)} lesions × {len(now.images):,} images",
        *(["Wilson 95 %"] if labelled else []),
        *spent,
    )


def run_sweep() -> tuple[Sweep, Sweep | None, list[str]]:
    """Sweep part by part of the images; every part is kept, so that whatever interrupts it costs little."""
    bar = st.progress(0.0)
    count = min(PARTS, len(now.images))
    swept, twin_swept = [], []
    with cached.timed() as spent:
        for first in range(count):
            bar.progress(
                first / count,
                f"Deleting every block in turn: {first * len(now.images) // count:,} of {len(now.images):,} images",
            )
            part = now.images.subset(list(range(first, len(now.images), count)))
            swept.append(cached.sweep(loaded, part))
            if twin is not None:
                twin_swept.append(cached.sweep(twin, part))
    bar.empty()
    return joined(swept), joined(twin_swept) if twin_swept else None, spent


question(
    "What happens when a block is deleted?",
    "Click a block: its branch is skipped, the signal takes the wire.",
    r"y = x + g \cdot F(x),\ g = 0",
    "after [Veit, Wilber and Belongie, 2016](https://arxiv.org/abs/1605.06431)",
)
untrained_note(now)
sweep_key = (entry.name, loaded.digest, now.images.digest)
sweeps: dict[tuple[str, str, str], tuple[Sweep, Sweep | None, list[str]]] = st.session_state.setdefault("sweeps", {})
with st.container(border=True):
    bars, bars_title = None, ""
    if sweep_key in sweeps and labelled:
        rises = dict(zip(sweeps[sweep_key][0].blocks, sweeps[sweep_key][0].rises, strict=True))
        bars, bars_title = (
            relative_bars(rises, "points more error"),
            "bars: rise in error when this block alone is deleted",
        )
    deleted = deleting_strip(now, bars, bars_title)
    gate = choices().lesion(entry.name).gate
    gates = now.gates(deleted, gate)
    say_what_is_deleted(deleted, gate)
left, right = st.columns([1, 1.5])
set_place, sweep_place = right.container(border=True), st.container(border=True)
with left.container(border=True):
    prediction_card(gates, deleted)
with sweep_place:
    if sweep_key in sweeps:
        sweep_card(*sweeps[sweep_key])
# The labelled set comes last: the figures above need not wait for it.
with set_place:
    with st.spinner("Measuring the error over the set ..."), cached.timed() as spent:
        lesion = lesion_of(loaded, gates)
        twin_lesion = lesion_of(twin, gates) if twin is not None else None
    set_card(lesion, twin_lesion, deleted, spent)
if labelled:
    with st.container(border=True):
        consequences_card(lesion, deleted)
with sweep_place:
    if sweep_key not in sweeps:
        st.subheader("Every block deleted in turn", anchor=False)
        waiting = st.session_state.get("sweep_waits", not labelled)
        if waiting and st.button("Delete every block in turn", type="primary"):
            st.session_state["sweep_waits"] = waiting = False
        if not waiting:
            if st.button("Cancel"):
                st.session_state["sweep_waits"] = True
                st.rerun()
            sweeps[sweep_key] = run_sweep()
            st.rerun()
