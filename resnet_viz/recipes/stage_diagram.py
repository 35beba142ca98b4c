"""What is a residual network made of? The stages, every block, and what is inside one."""

from collections.abc import Sequence
from functools import partial

from ..engine.kept import kept
from ..experiments import trace
from ..figures import diagram
from ..figures.bars import relative_bars
from ..figures.diagram import shortcut_reason
from ..figures.palette import shape_text
from ..networks.description import BlockPart, Part, blank, branch_layers_of, stem_and_head
from ..networks.network import stage_sizes
from ..networks.zoo import LoadedNetwork
from . import measures
from .shown import COMPUTED, MEASURED, Shown, one_of, recipe, sources
from .subject import Subject

__all__ = ["every_block", "maps", "stages", "wiring"]

HIGHLIGHTS = ("blocks", "shortcuts")
TENSORS = {"stream_in": "stream in, x", "branch": "branch, F(x)", "shortcut": "shortcut", "stream_out": "stream out, y"}
GATED_ARCS = "Dotted arcs: shortcuts with a gate, which lets a part of the stream through. "
ARCS = "Solid arcs: identity shortcuts, the stream as it is. Dotted arcs: the shape changes, so the shortcut must change it too. "
CHANNELS = {  # by the number of dimensions
    2: "All {shape} numbers for this image, as one picture. ",
    3: "The first 16 channels for this image. ",
    4: "The middle slice of the first 16 channels for this image. ",
}
LOST = "A plain block has no shortcut: what the branch drops is lost."


@recipe()
def stages(subject: Subject, highlight: str = "blocks", block: str = "") -> Shown:
    """The network in its stages, with the stream's shape at every step; its bars: the parameters of each block.

    ``highlight``: 'blocks', or 'shortcuts' to draw these strong. ``block``: the one that is outlined (the last). Raises
    InputError for others.
    """
    entry, description, count = subject.entry, subject.description, len(stage_sizes(subject.blocks))
    one_of("highlight", HIGHLIGHTS, highlight)
    size = (
        f"{description.layers:,} layers" if entry.can_be_built else f"{len(subject.blocks):,} blocks"
    )  # which the papers count
    gated = any(each.shortcut == "gated" for each in description.blocks)
    stem, head = kept(layers_outside, subject.loaded)
    params = {each.name: each.params for each in description.blocks}
    return Shown(
        title=f"{entry.name}: {size} in {count} stage{'s' if count > 1 else ''}",
        draw=partial(diagram.stage_diagram, description, stem, head, highlight, subject.block(block)),
        formula="y = F(x)" if subject.is_plain else r"y = C(x)\,x + F(x)" if gated else "y = x + F(x)",
        caption=("" if subject.is_plain else GATED_ARCS if gated else ARCS) + diagram.built_like(entry.family, count),
        alt=f"The stages of {entry.name}; the same facts stand in the table below.",
        facts=(COMPUTED,),
        sources=sources([subject]),
        bars=relative_bars(params, "parameters", 0),
        bars_title="bars: parameters of the block",
    )


@recipe()
def wiring(subject: Subject, block: str = "") -> Shown:
    """The layers of a block (the last) and its shortcut. Raises InputError for a block that does not exist."""
    part = part_of(subject, block)
    return Shown(
        title=f"Inside {part.name}: {'an' if part.kind[:1] in 'AEIOaeio' else 'a'} {part.kind} block",
        draw=partial(diagram.block_wiring, part, kept(layers_inside, subject.loaded, part)),
        caption=f"{shortcut_reason(part)} · {part.params:,} parameters · {part.macs / 1e6:.2f} M multiply-adds for one image"
        + without_lead(part, subject.description.blocks),
        alt=f"The layers of {part.name} and its shortcut.",
        facts=(COMPUTED,),
        sources=sources([subject]),
    )


@recipe()
def maps(subject: Subject, block: str = "", tensor: str = "stream_out") -> Shown:
    """What the image looks like inside a block (the last): 'stream_in', 'branch', 'shortcut' or 'stream_out'. In a plain block
    the shortcut has no figure. Raises InputError for a block or tensor that does not exist."""
    part, title = part_of(subject, block), TENSORS[one_of("tensor", TENSORS, tensor)]
    inside = measures.over_image(trace.block_maps, subject.loaded, subject.image, part.name)
    values = getattr(inside, tensor)
    after = f", after the {part.activation}," if part.activation else ""
    summed = LOST if part.shortcut == "none" else f"The sum of branch and shortcut{after} is the stream out."
    return Shown(
        draw=None if values is None else partial(diagram.feature_maps, title, values),
        says=f"**{title}**",
        caption=CHANNELS.get(len(part.out_shape), "").format(shape=shape_text(part.out_shape)) + summed,
        alt=f"Feature maps: {title}.",
        facts=(MEASURED, "1 image", subject.title),
        sources=sources([subject], subject.image),
    )


@recipe()
def every_block(subject: Subject) -> Shown:
    """A row for each block: its kind, shortcut, shapes, parameters and multiply-adds for one image; and where it stands in the model,
    if some are called otherwise there."""
    named_otherwise = any(each.origin for each in subject.description.blocks)
    rows = tuple(
        {
            "block": each.name,
            **({"in the model": each.origin} if named_otherwise else {}),
            "kind": each.kind,
            "shortcut": shortcut_reason(each),
            "in": shape_text(each.in_shape),
            "out": shape_text(each.out_shape),
            "parameters": each.params,
            "multiply-adds": each.macs,
        }
        for each in subject.description.blocks
    )
    return Shown(title=f"Every block of {subject.entry.name}", rows=rows, facts=(COMPUTED,), sources=sources([subject]))


def without_lead(part: BlockPart, blocks: Sequence[BlockPart]) -> str:
    """That a first block lacks what all others begin with; '' for other blocks."""
    leads = {each.lead for each in blocks[1:]}
    if part.lead or len(leads) != 1 or "" in leads:
        return ""
    return f" · every other block has {leads.pop()} before its branch; the first reads what leaves the stem as it is"


def part_of(subject: Subject, block: str) -> BlockPart:
    """A block (the last) with its shapes and sizes. Raises InputError for one that does not exist."""
    return subject.description.blocks[subject.blocks.index(subject.block(block))]


def layers_outside(loaded: LoadedNetwork) -> tuple[list[Part], list[Part]]:
    """The layers of the stem and of the head."""
    return stem_and_head(loaded.network, loaded.entry.preprocessing)


def layers_inside(loaded: LoadedNetwork, part: BlockPart) -> list[Part]:
    """The layers of a block's branch."""
    return branch_layers_of(loaded.network.blocks[part.name], blank(loaded.network, part.in_shape))
