"""The parts of the page on which two networks race: the choice of the two, the steps, what is taken along."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from ...experiments.race import FROM, MOST_STEPS, Race, row_of
from ...jobs.runs import ENDED, PAUSED, Run
from ...networks.datasets import fashion_folder
from ...networks.zoo import DEPTHS, trainable
from ...recipes import measures
from ...recipes.shown import Shown
from ..internals import session_id
from ..networks import add_weights, networks
from ..session import LARGEST_SEED, choices, palette, runs, state
from . import settings
from .parts import page_named
from .strip import network_strip

DEEPENED = "plain20, deepened"
KINDS = {"plain": "plain", "residual": "resnet", "pre-activation": "preact", DEEPENED: "plain"}
OLD = 5.0  # seconds after which a step that was the newest is one that a visitor may choose
PRESENT, ABSENT = "with", "without"
TAKEN_TO = {
    "layer_deletion": "Delete their layers",
    "path_unrolling": "Unroll their paths",
    "gradient_flow": "Follow their gradients",
}


FORM = (
    *(f"{side}_{what}" for side in ("left", "right") for what in ("kind", "depth", "shortcut", "norm")),
    "learning_rate",
    "steps",
    "race_seed",
    "training_images",
)


def racer(side: str, kind: str) -> str:
    """The controls for one network; its name as a Race takes it."""
    kind = settings.one_of(
        f"{side}_kind",
        "Blocks",
        list(KINDS),
        kind,
        help=f"Without shortcuts, with them, or with batch norm and ReLU first; {DEEPENED}: the trained plain20 with identity layers added.",
    )
    depths = [depth for depth in DEPTHS if depth > 20] if kind == DEEPENED else DEPTHS
    depth = settings.one_of(
        f"{side}_depth", "Layers", list(map(str, depths)), "56", help="6n + 2: three stages of n blocks of two layers."
    )
    if kind == DEEPENED:
        return f"plain{depth}{FROM}plain20"
    option = (
        "A"
        if kind == "plain"
        else settings.one_of(
            f"{side}_shortcut",
            "Shortcut where the shape changes",
            ["A", "B", "C"],
            "A",
            help="A: zero-padding; B: a projection there; C: a projection in every block.",
        )
    )
    norm = settings.one_of(
        f"{side}_norm",
        "Batch norm",
        [PRESENT, ABSENT],
        PRESENT,
        help="Without it, signals can vanish or explode with depth.",
    )
    return trainable(KINDS[kind], int(depth), option, batch_norm=norm == PRESENT).name.removeprefix("fashion-")


def choose() -> Race:
    """The controls of a race that has not been started."""
    left, right = st.columns(2)
    with left:
        st.markdown("**Left**")
        first = racer("left", "plain")
    with right:
        st.markdown("**Right**")
        second = racer("right", "residual")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rate = settings.one_of(
            "learning_rate",
            "Learning rate",
            ["0.01", "0.02", "0.05", "0.1"],
            "0.05",
            help="The same for both, at every step.",
        )
        steps = settings.number(
            "steps", "Steps", 50, MOST_STEPS, Race.steps, help="Of 128 images each; you may stop before."
        )
        seed = settings.number(
            "race_seed",
            "Seed",
            0,
            LARGEST_SEED,
            0,
            slider=False,
            help="Of the initial weights and of the batches: the same seed gives the same race.",
        )
        full = "4,000"
        if fashion_folder().is_dir():
            full = settings.one_of(
                "training_images",
                "Training images",
                ["4,000", "60,000"],
                "4,000",
                help="Those that come with the app, or the full set.",
            )
    return Race(first, second, steps, float(rate), seed, full=full != "4,000")


def step_looked_at(race: Race, steps: Sequence[int]) -> int:
    """The recorded step that the visitor looks at: the newest, until the slider is drawn back."""
    kept = state().step_looked_at.get(race)
    value = kept if kept is not None and kept in steps else steps[-1]
    if len(steps) == 1:
        return value
    now = time.monotonic()
    st.session_state["race_step"] = value
    drawn: dict[int, float] = {step: at for step, at in state().newest_steps.items() if now - at < OLD}
    state().newest_steps = drawn | {steps[-1]: now}

    def take() -> None:
        looked = st.session_state["race_step"]
        # The page is drawn anew all the time; what the browser asked for before it had the last drawing brings back the step
        # that was the newest then, and is not a choice of the visitor's.
        if kept is None and time.monotonic() - drawn.get(looked, -OLD) < OLD:
            return
        state().step_looked_at = {race: looked} if looked != steps[-1] else {}

    st.select_slider(
        "Step",
        steps,
        key="race_step",
        on_change=take,
        help="Go back through what was recorded; at its right end the slider follows the training.",
    )
    return value


def strips(race: Race, answers: Sequence[Shown]) -> None:
    """Both networks as strips, each with the title and the bars of its answer."""
    for side, name, shown in zip(("left", "right"), (race.left, race.right), answers, strict=True):
        st.caption(shown.title)
        network_strip(
            measures.description_of_row(row_of(name)),
            [],
            0,
            palette(),
            key=f"race_strip_{side}_{name}",
            mode="select",
            bars=shown.bars,
            bars_title=shown.bars_title,
            on_change=lambda: None,
        )


def bring(query: Mapping[str, str]) -> None:
    """Give this session the networks of a race that a query names, if the server still has their weights: so a link finds
    them, and a reload."""
    for name in {query.get("network", ""), query.get("beside", "")} - networks().keys():
        if named := re.search(r":(?:left|right)-\d+-([0-9a-f]{8})$", name):
            run = runs().find(named[1], session_id())
            if run and run.files and name in (names := names_of(run)).values():
                for side, content in run.files.items():
                    provenance = f"trained in the race {run.id} for {steps_of(run)} steps"
                    add_weights(names[side].partition(":")[2], content, provenance)
                choices().taken += 1


def names_of(run: Run[Any]) -> dict[str, str]:
    """What the networks of a race are called when they are taken along, by side: 'fashion-plain8:left-60-0123abcd'."""
    return {
        side: f"{row_of(getattr(run.job, side)).name}:{side}-{steps_of(run)}-{run.id}" for side in ("left", "right")
    }


def steps_of(run: Run[Any]) -> int:
    """How many steps the networks of a race have been trained."""
    return run.records[-1].step if run.records else 0


def take_along(run: Run[Race]) -> None:
    """The networks as they are now: to the other pages of this session, or as files."""
    if not run.files or run.state not in (PAUSED, ENDED):
        return
    st.markdown("**Take the two networks along, as they are now**")
    with st.container(horizontal=True):
        names = names_of(run)
        for page, title in TAKEN_TO.items():
            # A link, since the browser itself then goes to the page: one that the server sends it to may be overtaken by a
            # drawing of this page that the browser has asked for before.
            query = {"network": names["left"], "beside": names["right"], "training": choices().run}
            st.page_link(
                page_named(page),
                label=title,
                icon=":material/arrow_forward:",
                query_params=choices().carried_to(query),
                help="They are then in the list of networks; a link finds them as long as this race is kept and not trained on.",
            )
        for side, content in run.files.items():
            name = getattr(run.job, side)
            st.download_button(
                f"{name}",
                content,
                f"{name}.safetensors",
                icon=":material/download:",
                on_click="ignore",
                help="Its weights as a safetensors file, which --checkpoint of the command line and CHECKPOINTS= of make run take.",
            )
