"""The pieces that pages are made of: the title that asks, the network on top, long computations that can be left."""

import re

import numpy as np
import streamlit as st

from ... import findings
from ...experiments.plan import Plan
from ...figures.bars import Bars
from ...networks.network import stage_of, stage_sizes
from ...recipes.shown import Shown
from ...recipes.subject import ONLY_AS_IT_IS, Subject
from ..internals import StreamlitPage
from ..session import LARGEST_SEED, Visit, change_lesion, choices, if_shown, redo_lesion, state, undo_lesion
from .strip import network_strip

HE_2015, HE_2016 = "[He et al., 2015](https://arxiv.org/abs/1512.03385)", "[2016](https://arxiv.org/abs/1603.05027)"
VEIT = "[Veit, Wilber and Belongie, 2016](https://arxiv.org/abs/1605.06431)"


def page_named(name: str) -> StreamlitPage:
    """A page to link to. (A link to its file would look the file up at every rerun.)"""
    return next(page for page in state().pages if page.url_path == name)


def plain(text: str) -> str:
    """A visitor's words without what Markdown would make of them."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>$:~-])", r"\\\1", text)


def question(visit: Visit | None, title: str, what_to_do: str, source: str) -> None:
    """The page's title is its question; below it what to do and the paper, in Markdown; and that weights are random, if so.

    ``visit``: None where nothing is measured on the chosen network.
    """
    st.title(title, anchor=False)
    with secondary("What to do"):
        st.markdown(f"{what_to_do} &ensp;· {source}")
    if visit:
        untrained_note(visit)


def secondary(label: str) -> st.delta_generator.DeltaGenerator:
    """Where something stands that is not looked at all the time: here, or, in the presenter view, folded away in its bar under a
    label."""
    bar = state().bar
    return bar.popover(label) if bar else st.container()


def plan_note(plan: Plan) -> None:
    """A question of the report: what was expected before it was run, and what came out."""
    with st.expander(f"{plan.question} What was expected, and what came out"):
        st.markdown(findings.plan_text(plan))


def untrained_note(visit: Visit) -> None:
    """Say that the weights are random, if they are."""
    if not visit.subject.network.trained:
        st.warning(
            f"**{visit.subject.entry.name}: {visit.subject.network.weights}.** Its predictions mean nothing; shapes, wiring and gradients are real."
        )


def can_be_untrained(subject: Subject) -> bool:
    """Whether the network can be had with initial weights; where not, the page says so."""
    if not subject.entry.can_be_built:
        st.caption(ONLY_AS_IT_IS.format(name=subject.title))
    return subject.entry.can_be_built


def choosing_strip(visit: Visit, shown: Shown | None = None, hint: str = "") -> str:
    """The strip on a page that looks at one block, with the bars of an answer, or a hint in place of their title; returns the
    chosen block's name, which every page shares."""
    name, chosen = visit.subject.entry.name, choices()
    lesion = chosen.lesion(name)
    block = chosen.block.setdefault(name, visit.subject.blocks[0])
    bars, bars_title = (shown.bars, shown.bars_title) if shown else (None, hint)

    def take() -> None:
        choice = st.session_state[key]["choice"]
        (chosen.block[name],) = blocks_of_mask(visit, choice["mask"])
        chosen.sequence = choice["sequence"]

    key = f"choosing_strip_{name}"
    network_strip(
        visit.subject.description,
        [block],
        chosen.sequence,
        visit.palette,
        key=key,
        mode="select",
        bars=bars,
        bars_title=bars_title,
        deleted=lesion.blocks,
        gate=lesion.gate,
        on_change=take,
    )
    with secondary("Blocks"):
        strip_as_table(visit, bars)
        if lesion.blocks:
            st.caption("The deleted blocks are shown, not applied: this page looks at the intact network.")
    return block


def deleting_strip(visit: Visit, shown: Shown | None = None) -> None:
    """The strip on which blocks are deleted, with its buttons, the bars of an answer, and what the lesion means."""
    name = visit.subject.entry.name
    blocks, lesion = visit.subject.blocks, choices().lesion(name)
    bars, bars_title = (shown.bars, shown.bars_title) if shown else (None, "")

    def take() -> None:
        choice = st.session_state[key]["choice"]
        change_lesion(name, blocks_of_mask(visit, choice["mask"]), choice["sequence"])

    key = f"deleting_strip_{name}"
    network_strip(
        visit.subject.description,
        lesion.blocks,
        lesion.sequence,
        visit.palette,
        key=key,
        mode="delete",
        bars=bars,
        bars_title=bars_title,
        gate=lesion.gate,
        on_change=take,
    )
    with secondary("Blocks"):
        lesion_controls(name, blocks)
        strip_as_table(visit, bars)
        lesion_notes(visit, lesion.blocks)


def lesion_controls(name: str, blocks: list[str]) -> None:
    """Buttons that undo, restore and delete many, and the gate of what is deleted."""
    lesion, gate_key = choices().lesion(name), f"gate_{name}"

    def take_gate() -> None:
        lesion.gate = st.session_state[gate_key]

    def restore() -> None:
        change_lesion(name, [])
        lesion.gate = 0.0

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Undo",
            icon=":material/undo:",
            disabled=not lesion.done,
            on_click=undo_lesion,
            args=(name,),
            help="Take back the last change of the deleted blocks.",
        )
        st.button(
            "Redo",
            icon=":material/redo:",
            disabled=not lesion.undone,
            on_click=redo_lesion,
            args=(name,),
            help="Make the change again that was taken back.",
        )
        st.button(
            "Restore all",
            disabled=not (lesion.blocks or lesion.gate),
            on_click=restore,
            help="All blocks intact, and the gate 0 again.",
        )
        with st.popover("Delete many", help="A whole stage at once, or blocks drawn at random."):
            for stage in stage_sizes(blocks):
                within = {*lesion.blocks, *(block for block in blocks if stage_of(block) == stage)}
                st.button(
                    f"the stage {stage}",
                    key=f"delete_{stage}",
                    help="Delete all its blocks, beside those deleted already.",
                    on_click=change_lesion,
                    args=(name, sorted(within, key=blocks.index)),
                )
            random_blocks(name, blocks)
        st.session_state[gate_key] = lesion.gate
        st.slider(
            "Gate of the chosen blocks",
            0.0,
            1.0,
            step=0.05,
            help="The factor g on their branches: 0 deletes them, 1 leaves them intact.",
            key=gate_key,
            on_change=if_shown(gate_key, take_gate),
            width=300,
        )


def random_blocks(name: str, blocks: list[str]) -> None:
    """Buttons that delete k blocks drawn at random, from a seed."""
    count = st.number_input(
        "blocks at random",
        1,
        len(blocks),
        min(3, len(blocks)),
        key=f"random_count_{name}",
        help="How many blocks are drawn.",
    )
    seed = st.number_input(
        "seed of the draw",
        0,
        LARGEST_SEED,
        0,
        key=f"random_seed_{name}",
        help=f"The same seed draws the same blocks; another seed draws others. From 0 to {LARGEST_SEED:,}.",
    )
    drawn = np.random.default_rng(int(seed)).choice(len(blocks), int(count), replace=False)
    names = [blocks[index] for index in sorted(drawn)]
    st.button(
        "Delete them",
        key="delete_random",
        help=f"Delete {', '.join(names)}, and no others.",
        on_click=change_lesion,
        args=(name, names),
    )


def strip_as_table(visit: Visit, bars: Bars | None) -> None:
    """What the strip shows, for those who would rather read a table."""
    lesion = choices().lesion(visit.subject.entry.name)
    state = f"gate {lesion.gate:g}" if lesion.gate else "deleted"
    blocks = visit.subject.description.blocks
    origins = ["in the model"] if any(block.origin for block in blocks) else []
    columns = ["block", *origins, "shortcut", "state", *(["value"] if bars else [])]
    rows = [
        [
            block.name,
            *([f"`{block.origin}`" if block.origin else ""] if origins else []),
            block.shortcut,
            state if block.name in lesion.blocks else "intact",
            *([bars[block.name][1]] if bars else []),
        ]
        for block in blocks
    ]
    with st.expander("The blocks as a table"):  # Streamlit's own tables are 300 kB more for a browser to load
        st.markdown("\n".join(" | ".join(row) for row in [columns, ["---"] * len(columns), *rows]))


def lesion_notes(visit: Visit, deleted: list[str]) -> None:
    """Which blocks are deleted or scaled, and what that means for their shortcuts."""
    gate = choices().lesion(visit.subject.entry.name).gate
    if not deleted:
        st.caption("Nothing deleted: the network is intact.")
        return
    st.caption(f"{'deleted' if gate == 0 else f'gate {gate:g}'}: {', '.join(deleted)}")
    shortcuts = {block.shortcut for block in visit.subject.description.blocks if block.name in deleted}
    if changing := sorted(shortcuts & {"projection", "option A"}):
        done = "Deleting it deletes its branch" if gate == 0 else "The gate scales its branch"
        st.caption(
            f"A chosen block changes the shape of the stream. {done} and keeps its shortcut "
            f"({' and '.join(changing)}), which still changes the shape."
        )
    if "none" in shortcuts and 0 < gate < 1:
        st.caption(
            "**Schematic:** between 0 and 1 the gate of a plain block mixes it with a shortcut that no plain network has."
        )


def blocks_of_mask(visit: Visit, mask: str) -> list[str]:
    """The names of the blocks that a strip's mask, '0100...', marks."""
    return [block for block, bit in zip(visit.subject.blocks, mask, strict=True) if bit == "1"]
