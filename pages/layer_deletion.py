"""What happens when a block is deleted? One image, a labelled set, and every block in turn; the plain twin beside it."""

import numpy as np
import streamlit as st

from resnet_viz.experiments.deletion import Lesion, joined
from resnet_viz.figures import deletion as figures
from resnet_viz.networks.zoo import NETWORKS
from resnet_viz.web import cached
from resnet_viz.web.gallery import picture
from resnet_viz.web.parts import chip, deleting_strip, question, relative_bars, show, timed, untrained_note, visit
from resnet_viz.web.session import choices

PARTS = 4  # the sweep is kept in parts, so that a click in the middle of it costs at most one
now = visit()
entry, loaded = now.loaded.entry, now.loaded
twin = cached.network(NETWORKS[entry.plain]) if entry.plain and loaded.trained else None
parts = [now.images.subset(list(range(first, len(now.images), PARTS))) for first in range(min(PARTS, len(now.images)))]

question("What happens when a block is deleted?", "Click a block: its branch is skipped, the signal takes the wire.",
         r"y = x + g \cdot F(x),\ g = 0", "after [Veit, Wilber and Belongie, 2016](https://arxiv.org/abs/1605.06431)")  # fmt: skip
untrained_note(now)

swept = st.session_state.setdefault("swept", {}).get((entry.name, loaded.digest, now.images.digest))
with st.container(border=True):
    bars, bars_title = None, ""
    if swept and swept.labels is not None:
        bars = relative_bars(dict(zip(swept.blocks, swept.rises, strict=True)), "points more error")
        bars_title = "bars: rise in error when this block alone is deleted"
    deleted = deleting_strip(now, bars, bars_title)
    gate = choices().lesion(entry.name).gate
    gates = now.gates(deleted, gate)
    action = "deleted" if gate == 0 else f"with gate {gate:g}"
    st.caption(f"{action}: {', '.join(deleted)}" if deleted else "Nothing deleted yet: the network is intact.")
    touched = [block for block in now.description.blocks if block.name in deleted]
    if any(block.shortcut not in ("identity", "none") for block in touched):
        st.caption(
            "A chosen block changes the shape of the stream. Deleting it keeps its shortcut (projection or zero-padding), which still does that."
        )
    if deleted and touched[0].shortcut == "none" and 0 < gate < 1:
        st.caption(
            "**Schematic:** in a plain network, gates strictly between 0 and 1 mix the block with a wire that no plain network has."
        )

left, right = st.columns([1, 1.5])
with left.container(border=True):
    with timed() as spent:
        before = cached.probabilities(loaded, now.image, now.gates([]))
        after = cached.probabilities(loaded, now.image, gates)
    was, became = entry.classes[int(before.argmax())], entry.classes[int(after.argmax())]
    if not deleted:
        st.subheader(f"This image: {became}", anchor=False)
    else:
        st.subheader(f"This image: still {became}" if was == became else f"This image: {was} → {became}", anchor=False)
    show(figures.prediction_change(entry.classes, before, after, now.palette), "prediction",
         f"Top five classes before and after: {became} with probability {after.max():.2f}.")  # fmt: skip
    truth = f"its label: {now.class_name}" if now.label_is_true else "nobody labelled it"
    st.caption(f"○ intact ● with the lesion · {truth}")
    chip("measured", "1 image", *spent)
with right.container(border=True):
    set_error = st.container()
with st.container(border=True):
    each_block = st.container()
with st.container(border=True):
    consequences = st.container()

# The labelled set comes last: the first figures need not wait for it.
with set_error, timed() as spent:
    rows = []
    for network, plain in ((loaded, False), (twin, True)):
        if network is not None:
            intact_gates = (1.0,) * len(gates)
            pair = [cached.predictions(network, now.images, which) for which in (intact_gates, gates)]
            rows.append(
                (network.title, Lesion(*pair, None if now.images.labels is None else now.images.labels.numpy()), plain)
            )
lesion = rows[0][1]
with set_error:
    if lesion.labels is None:
        st.subheader(f"{lesion.changed_pct:.0f} % of predictions change", anchor=False)
        st.caption(
            f"{now.images.title}. Nobody labelled them, so there is no error to measure: give a folder of labelled pictures to the command line."
        )
        chip("measured", now.images.title, *spent)
    else:
        low, high = lesion.rise_interval()
        rise = lesion.error_pct_after - lesion.error_pct_before
        if deleted:
            st.subheader(
                f"{lesion.images:,} test images: {lesion.error_pct_before:.1f} % → {lesion.error_pct_after:.1f} % error",
                anchor=False,
            )
            text = f"{rise:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f} (paired by image)."
            if len(rows) > 1:
                text += f" {rows[1][0]} under the same lesion: {rows[1][1].error_pct_before:.1f} % → {rows[1][1].error_pct_after:.1f} %."
            st.markdown(text)
        else:
            st.subheader(f"{lesion.images:,} test images: {lesion.error_pct_before:.1f} % error, intact", anchor=False)
        show(figures.error_bars(rows, now.palette), "set_error", "Error before and after the lesion, with intervals.")
        chip("measured", f"{lesion.images:,} images", "Wilson 95 %", *spent)

with consequences:
    if not deleted:
        st.subheader("Try this", anchor=False)
        st.markdown(
            "Which block of the second stage will hurt most? Make your guess, then delete it. Then delete three that you think do not matter."
        )
    elif lesion.labels is not None:
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
            st.markdown(f"**{len(changed)} of {lesion.images:,} predictions change.** The first of them:")
            with st.container(horizontal=True):
                for index in changed[:: max(1, len(changed) // 12)][:12]:
                    st.image(picture(now.images.pixels[index]).resize((84, 84)), width=84,
                             caption=f"{entry.classes[lesion.before[index]]} → {entry.classes[lesion.after[index]]}")  # fmt: skip


def run_sweep(place: st.delta_generator.DeltaGenerator) -> None:
    """Delete every block in turn, part by part, drawing what is there."""
    bar = place.progress(0.0, "Deleting every block in turn ...")
    swept_parts, twin_parts = [], []
    for done, part in enumerate(parts, start=1):
        swept_parts.append(cached.sweep(loaded, part))
        if twin is not None:
            twin_parts.append(cached.sweep(twin, part))
        bar.progress(done / len(parts), f"Deleting every block in turn: {done} of {len(parts)} parts of the images")
    bar.empty()
    key = (entry.name, loaded.digest, now.images.digest)
    st.session_state["swept"] = {key: joined(swept_parts)}
    st.session_state["swept_twin"] = {key: joined(twin_parts) if twin_parts else None}
    st.rerun()


with each_block:
    if swept is None:
        st.subheader("Every block deleted in turn", anchor=False)
        stopped = st.session_state.get("sweep_stopped", entry.family == "imagenet")
        if stopped:
            if st.button("Delete every block in turn", type="primary"):
                st.session_state["sweep_stopped"] = False
                st.rerun()
        else:
            if st.button("Cancel"):
                st.session_state["sweep_stopped"] = True
                st.rerun()
            run_sweep(st.empty())
    else:
        twin_swept = st.session_state["swept_twin"][(entry.name, loaded.digest, now.images.digest)]
        if swept.labels is None:
            st.subheader("Every block deleted in turn: changed predictions", anchor=False)
        else:
            st.subheader(
                f"Every block deleted in turn: {swept.rises.mean():+.1f} points of error on average, median {np.median(swept.rises):+.1f}",
                anchor=False,
            )
            text = "The three worst: " + ", ".join(f"{name} ({error:.1f} %)" for name, error in swept.worst()) + "."
            if twin_swept:
                text += f" In {twin.title}, the same layers without shortcuts (grey squares), mean {twin_swept.rises.mean():+.1f}, median {np.median(twin_swept.rises):+.1f} points."
            st.markdown(text)
        show(figures.sweep_errors(swept, twin_swept, 100 / len(entry.classes) * (len(entry.classes) - 1), now.palette), "sweep",
             "Error when each block in turn is deleted.")  # fmt: skip
        chip(
            "measured",
            f"{len(swept.blocks)} lesions × {len(now.images):,} images",
            *(["Wilson 95 %"] if swept.labels is not None else []),
        )
