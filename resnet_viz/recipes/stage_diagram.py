"""What is a residual network made of? The stages, every block, and what is inside one."""

from functools import partial

from ..engine.kept import kept
from ..experiments import trace
from ..figures import diagram
from ..figures.bars import relative_bars
from ..figures.diagram import shape_text, shortcut_reason
from ..networks.description import BlockPart, Part, blank, branch_layers_of, stem_and_head
from ..networks.network import stage_sizes
from ..networks.zoo import LoadedNetwork
from . import measures
from .shown import COMPUTED, MEASURED, Shown, one_of, recipe, sources
from .subject import Subject

__all__ = ["every_block", "maps", "stages", "wiring"]

HIGHLIGHTS = ("blocks", "shortcuts")
TENSORS = {"stream_in": "stream in, x", "branch": "branch, F(x)", "shortcut": "shortcut", "stream_out": "stream out, y"}
ARCS = "Solid arcs: identity shortcuts, the stream as it is. Dotted arcs: the shape changes, so the shortcut must change it too. "
FIRST_PREACTIVATION = (
    " · the first block has no batch norm and ReLU of its own before its first convolution: the stem ends in them"
)
CHANNELS = "The first 16 channels for this image. "
LOST = "A plain block has no shortcut: what the branch drops is lost."


@recipe()
def stages(subject: Subject, highlight: str = "blocks", block: str = "") -> Shown:
    """The network in its stages, with the stream's shape at every step; its bars: the parameters of each block.

    ``highlight``: 'blocks', or 'shortcuts' to draw these strong. ``block``: the one that is outlined (the last). Raises
    InputError for others.
    """
    entry, description, count = subject.entry, subject.description, len(stage_sizes(subject.blocks))
    one_of("highlight", HIGHLIGHTS, highlight)
    stem, head = kept(layers_outside, subject.loaded)
    params = {each.name: each.params for each in description.blocks}
    return Shown(
        title=f"{entry.name}: {description.layers} layers in {count} stages",
        draw=partial(diagram.stage_diagram, description, stem, head, highlight, subject.block(block)),
        formula="y = F(x)" if subject.is_plain else "y = x + F(x)",
        caption=("" if subject.is_plain else ARCS) + diagram.built_like(entry.family, count),
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
    first = part.kind.startswith("pre") and part.name == subject.blocks[0]
    return Shown(
        title=f"Inside {part.name}: {'an' if part.kind[0] in 'aeiou' else 'a'} {part.kind} block",
        draw=partial(diagram.block_wiring, part, kept(layers_inside, subject.loaded, part)),
        caption=f"{shortcut_reason(part)} · {part.params:,} parameters · {part.macs / 1e6:.2f} M multiply-adds for one image"
        + FIRST_PREACTIVATION * first,
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
    after = "" if part.kind.startswith("preactivation") else ", after a ReLU,"
    summed = LOST if part.shortcut == "none" else f"The sum of branch and shortcut{after} is the stream out."
    return Shown(
        draw=None if values is None else partial(diagram.feature_maps, title, values),
        says=f"**{title}**",
        caption=CHANNELS + summed,
        alt=f"Feature maps: {title}.",
        facts=(MEASURED, "1 image", subject.title),
        sources=sources([subject], subject.image),
    )


@recipe()
def every_block(subject: Subject) -> Shown:
    """A row for each block: its kind, shortcut, shapes, parameters and multiply-adds for one image."""
    rows = tuple(
        {
            "block": each.name,
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


def part_of(subject: Subject, block: str) -> BlockPart:
    """A block (the last) with its shapes and sizes. Raises InputError for one that does not exist."""
    return subject.description.blocks[subject.blocks.index(subject.block(block))]


def layers_outside(loaded: LoadedNetwork) -> tuple[list[Part], list[Part]]:
    """The layers of the stem and of the head."""
    return stem_and_head(loaded.network, loaded.entry.preprocessing)


def layers_inside(loaded: LoadedNetwork, part: BlockPart) -> list[Part]:
    """The layers of a block's branch."""
    return branch_layers_of(loaded.network.blocks[part.name], blank(loaded.network, part.in_shape))
