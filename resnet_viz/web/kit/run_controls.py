"""Starting, watching and stopping a training run on a page."""

import time
from collections.abc import Callable
from typing import Any, cast

import streamlit as st

from ...errors import InputError
from ...experiments.race import Race
from ...jobs.runs import ENDED, LONGEST_PAUSE, PAUSED, RUNNING, WAITING, JobType, Run
from ...jobs.worker import GO_ON, PAUSE, STOP, Job
from ..internals import session_id
from ..session import choices, runs, state


def title_of(job: Job) -> str:
    """'plain56 beside resnet56'."""
    return f"{job.left} beside {job.right}" if isinstance(job, Race) else f"stacks of {job.blocks} blocks"


def current(kind: type[JobType]) -> Run[JobType] | None:
    """The run in this visitor's address, if it is of a kind."""
    run = runs().find(choices().run, session_id()) if choices().run else None
    return cast(Run[JobType], run) if run and isinstance(run.job, kind) else None


def start_button(job: Job) -> None:
    """The button that puts a job into the queue."""

    def start() -> None:
        try:
            choices().run = runs().start(job, session_id()).id
        except InputError as error:
            state().fault_of_start = str(error)

    st.button(
        "Start",
        type="primary",
        icon=":material/play_arrow:",
        on_click=start,
        help="It is trained on the server; you may go to other pages meanwhile.",
    )
    if state().fault_of_start:
        st.error(state().fault_of_start)
        state().fault_of_start = ""


def controls(run: Run[JobType], done: int, of: int, unit: str) -> Run[JobType]:
    """How far a run is, and its buttons; returns the run to look at: while this one waits, the one before it.

    ``done``, ``of``: steps or stacks, as ``unit`` says.
    """
    registry = runs()
    ahead = registry.place(run) - 1
    left = run.pace * max(1, len(run.records) - 1) * (of - done) / done if done else 0.0
    told = {
        WAITING: f"Waiting: {f'{ahead} more wait' if ahead > 1 else 'one more waits' if ahead else 'it is the next'}, one is being trained",
        RUNNING: f"{unit} {done} of {of}{f', about {short_time(left)} left' if left else ''}"
        if run.records
        else "Starting ...",
        PAUSED: f"Paused after {unit.lower()} {done}",
        ENDED: f"Ended after {unit.lower()} {done}" + (f": {run.why}" if run.why else ""),
    }
    st.markdown(f"**{title_of(run.job)}** · {told[run.state]}")
    st.progress(done / of)
    before = registry.current() if run.state == WAITING else None
    same = before is not None and type(before.job) is type(run.job)
    meanwhile = (
        f" {'Meanwhile you see the one before yours' if same else 'Before yours'}: {title_of(before.job)}."
        if before
        else ""
    )
    st.caption(f"One run at a time is trained here.{meanwhile}")
    if registry.trouble:
        st.warning(registry.trouble)
    with st.container(horizontal=True):
        if run.state == PAUSED:
            st.button(
                "Go on",
                key="run_go_on",
                icon=":material/play_arrow:",
                type="primary",
                on_click=registry.tell,
                args=(run, GO_ON),
                help="Train on from here.",
            )
        else:
            st.button(
                "Pause",
                key="run_pause",
                icon=":material/pause:",
                on_click=registry.tell,
                args=(run, PAUSE),
                disabled=run.state != RUNNING,
                help=f"Hold it; if others wait, for {LONGEST_PAUSE:.0f} s at most.",
            )
        st.button(
            "Stop",
            key="run_stop",
            icon=":material/stop:",
            on_click=registry.tell,
            args=(run, STOP),
            disabled=run.state == ENDED,
            help="End it; what was recorded stays.",
        )
        st.button(
            "Reset",
            key="run_reset",
            icon=":material/restart_alt:",
            on_click=reset,
            args=(run,),
            help="End it and choose anew.",
        )
    return cast(Run[JobType], before) if same else run


def short_time(seconds: float) -> str:
    """'40 s', '4 min'."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def reset(run: Run[Any]) -> None:
    """Stop a run and let go of it."""
    runs().tell(run, STOP)
    choices().run = ""


def refresh(run: Run[Any]) -> float | None:
    """How often the part of a page that shows a run is drawn anew, in seconds; a paused one too, since another visitor may
    let it go on."""
    return None if run.state == ENDED else 1.0


def settle(run: Run[Any]) -> str:
    """Wait a little for the first record, so that a small network's first figure does not come a second later; returns the
    run's state, as it is now drawn."""
    for _ in range(16):
        if run.records or run.state != RUNNING:
            break
        time.sleep(0.05)
    return run.state


def watch(run: Run[JobType], draw: Callable[[Run[JobType]], None]) -> None:
    """Draw a run, and again every second as long as it goes on.

    The whole page is run again where the run has come into another state than was drawn, where it has to be drawn at another
    pace, or where the visitor has let go of it.
    """
    every = refresh(run)

    @st.fragment(run_every=every)
    def part() -> None:
        drawn = settle(run)
        draw(run)
        if run.state != drawn or refresh(run) != every or choices().run != run.id:
            st.rerun()

    part()
