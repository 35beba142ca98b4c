"""Every block deleted in turn, in the networks of a visit: done in parts, kept, shown on the strip."""

from functools import partial

from ..experiments.deletion import Sweep, joined
from ..experiments.lesion_studies import PLANS, SINGLE
from ..experiments.paths import is_plain
from ..figures.deletion import sweep_caption, sweep_errors, sweep_sentence
from . import cached, snippets
from .card import card
from .parts import done_in_steps, in_steps, plan_note, relative_bars
from .session import Visit

GATED = r"y = x + g\,F(x)\text{; plain: }y = g\,F(x) + (1 - g)\,x"
PARTS = 20  # of the images: a click in the middle of it, and whoever waits for a turn, costs at most one of them


def known_sweeps(visit: Visit) -> list[Sweep] | None:
    """One sweep for each network, if they have been done."""
    parts = done_in_steps(key(visit))
    return [joined(of_network) for of_network in zip(*parts, strict=True)] if parts else None


def do_sweeps(visit: Visit) -> bool:
    """Do them, with progress; whether they were done to the end. Without labels they wait for a press."""
    steps = [partial(sweep_part, visit, first) for first in range(min(PARTS, len(visit.images)))]
    labelled = visit.images.labels is not None
    return in_steps(key(visit), "Delete every block in turn", steps, ask_first=not labelled) is not None


def bars_of(sweep: Sweep) -> dict[str, tuple[float, str]]:
    """The rise in error as bars of the strip; none without labels."""
    if sweep.labels is None:
        return {}
    return relative_bars(dict(zip(sweep.blocks, sweep.rises, strict=True)), "points more error", least=5)


def show_sweeps(visit: Visit, swept: list[Sweep], spent: list[str]) -> None:
    """The error for each deleted block, in each network, and what the curves say."""
    networks, images, classes = visit.networks, visit.images, len(visit.loaded.entry.classes)
    rows = [(network.title, each, is_plain(network.network)) for network, each in zip(networks, swept, strict=True)]
    says = "  \n".join(f"**{title}**: {sweep_sentence(each)}" for title, each, _ in rows)
    facts = [f"{len(swept[0].blocks)} lesions × {len(images):,} images", *(["Wilson 95 %"] if images.labels is not None else []), *spent]  # fmt: skip
    card(visit, "sweep", partial(sweep_errors, rows, 100 - 100 / classes, visit.palette), "measured", *facts, title="Every block deleted in turn", formula=rf"{GATED},\ g = 0", says=says,
         alt=f"What each deletion does. {says}", caption=sweep_caption(rows), of=networks, images=images, python=snippets.sweep(networks, classes))  # fmt: skip
    plan_note(PLANS[SINGLE])


def key(visit: Visit) -> tuple[object, ...]:
    return (*(network.identity for network in visit.networks), visit.images.digest)


def sweep_part(visit: Visit, first: int) -> list[Sweep]:
    """One part of the images, in each network."""
    part = visit.images.subset(list(range(first, len(visit.images), PARTS)))
    return [cached.sweep(network, part) for network in visit.networks]
