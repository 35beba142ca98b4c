"""What does a block cost, and what does it buy? Weights and multiply-adds: by arithmetic, by stage, beside older
networks."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ..engine.kept import kept
from ..experiments.anatomy import (
    ENSEMBLES,
    PRINTED_MULTIPLY_ADDS,
    SINGLE_MODEL,
    TEN_CROP,
    WIDTHS,
    Layer,
    blocks_of_width,
    bottleneck_near,
    inception_rows,
    params_with_auxiliary_heads,
    strided_as_in_the_paper,
    weights_of,
)
from ..figures import anatomy as figures
from ..figures.anatomy import Bar, Group, Split
from ..networks.description import Description, Part
from ..networks.googlenet import MODULES
from ..networks.zoo import NETWORKS, Entry, counterpart
from . import measures
from .shown import COMPUTED, Shown, Steps, one_of, recipe, sources
from .subject import Subject

__all__ = ["block_cost", "dense_head", "family", "from_34_to_50", "inception_beside", "where_it_goes"]

REDUCTIONS, SIDES = (2, 4, 8, 16), (7, 14, 28, 56)
INCEPTIONS = tuple(name for row in MODULES for name in row)
FAMILIES = ("imagenet", "fashion", "cifar10")
HEADS = {"VGG-16": "vgg16", "GoogLeNet": "googlenet", "ResNet-152": "resnet152"}
MULTIPLY_ADDS, PRINTED = "multiply-adds, M", "printed, M"
ARITHMETIC = "computed by arithmetic"
COST = (
    r"\text{weights} = k^2 \, C_\text{in} \, C_\text{out},\qquad \text{multiply-adds} = \text{weights} \cdot H \cdot W"
)
SHARE = (
    r"\text{head}: H \cdot W \cdot C \cdot D \ \text{weights for dense layers},\quad "
    r"C \cdot D \ \text{after an average over } H \times W"
)
ALIGNED = (
    "All bars begin at 0 and share one scale; orange: 1x1, blue: 3x3. A 3x3 convolution has nine weights for each "
    "pair of channels, a 1x1 has one: so the 1x1 layers are cheap, and they make the 3x3 cheap by leaving it few "
    "channels."
)
EARLY_AND_LATE = (
    "Full bars: parameters; pale ones: multiply-adds. A weight of an early layer is used at many places of a large "
    "map, one of a late layer at few: early stages take multiply-adds, late ones hold the parameters. A fully "
    "connected layer uses each weight once."
)
STRIDE = (
    "Pale: ResNet-34, full: ResNet-50. The two counts differ since torchvision halves the resolution in the 3x3 of a "
    "stage's first block, the paper one layer earlier, in the 1x1, which then works on a quarter of the places. He et "
    "al. print their counts as FLOPs."
)
ROWS_SIDE_BY_SIDE = (
    "Full bars: the rows as they are; pale ones: the same convolution without the 1x1 before it, reading all channels "
    "of the module's input. GoogLeNet reduces and then joins its rows; the bottleneck reduces, restores and adds. The "
    "paper gives the third row a 5x5; torchvision builds a 3x3 there, and its weights are made for that."
)
DENSE = (
    "Nearly all multiply-adds are in convolutions, in each of these networks. The parameters are not: a dense layer "
    "on whole maps has a weight for each place of each channel."
)
RECOMPUTED = (
    "Parameters and multiply-adds (for one image of the network's own size) are recomputed from the models. Errors: "
    "published ones as their sources report them (ImageNet: top 1 of a single crop, validation set; CIFAR-10: test "
    "set); fashion-*: measured by this project on 10,000 test images."
)
PROTOCOLS = (
    " *Printed*: multiply-adds as He et al. 2015 print them (GoogLeNet: the budget that Szegedy et al. 2015 gave it); "
    "where ResNet-50, -101 and -152 differ most, it is the stride of the bottlenecks. *10-crop* (He et al. 2015, "
    "tables 2 and 3, validation set): the mean answer over ten crops of each image; ResNet-18 there with shortcuts of "
    "option A, ResNet-34 with option B as torchvision's (option A: 25.03 / 7.76, option C: 24.19 / 7.40). *Single "
    "model* (table 4, validation set): one network at its best. The plain networks exist here untrained only."
)


@recipe()
def block_cost(width: int = 256, reduction: int = 4, side: int = 14) -> Shown:
    """What the layers of a basic block and of a bottleneck cost, beside both at full width, with every term of the
    arithmetic.

    ``width``: channels of the stream, one of WIDTHS; ``reduction``: by how much a bottleneck divides them; ``side``: of
    the maps, in pixels. Raises InputError for others.
    """
    one_of("width", WIDTHS, width)
    one_of("reduction", REDUCTIONS, reduction)
    one_of("side", SIDES, side)
    stacks = blocks_of_width(width, reduction)
    few, narrow, wide, _ = stacks
    groups = [
        Group(
            f"{stack.title}: {stack.weights:,}",
            [Bar(each.title, each.weights, f"{each.terms} = {each.weights:,}", each.size) for each in stack.layers],
        )
        for stack in stacks
    ]
    rows = tuple(
        {
            "block": stack.title,
            "layer": each.title,
            "weights": each.weights,
            "weights as a product": each.terms,
            "multiply-adds": each.weights * side**2,
            "multiply-adds as a product": f"{each.terms} · {side} · {side}",
        }
        for stack in stacks
        for each in stack.layers
    )
    norms = 2 * sum(layer.out_channels for layer in narrow.layers)
    says = (
        f"Two 3x3 at {width} channels: 2 · {wide.layers[0].terms} = {wide.weights:,} weights "
        f"({millions(wide.weights)}). The bottleneck: {narrow.terms} = {narrow.weights:,} "
        f"({millions(narrow.weights)}). Two 3x3 at {width // reduction} channels: 2 · {few.layers[0].terms} = "
        f"{few.weights:,}. On maps of {side} × {side} the bottleneck takes {narrow.weights:,} · {side} · {side} = "
        f"{millions(narrow.weights * side**2)} multiply-adds, the two 3x3 at full width "
        f"{millions(wide.weights * side**2)}."
    )
    title = (
        f"At {width} channels, two 3x3 have {times(wide.weights / narrow.weights)} times the weights of a bottleneck"
    )
    return Shown(
        title=title,
        draw=partial(figures.grouped_bars, groups, "weights"),
        says=says,
        formula=COST,
        caption=f"{ALIGNED} Batch norms add two parameters a channel, {norms:,} in this bottleneck.",
        alt=f"The weights of each layer of four blocks. {says}",
        facts=(ARITHMETIC,),
        sources=("arithmetic: no network is needed",),
        rows=rows,
    )


@recipe()
def where_it_goes(subject: Subject) -> Shown:
    """Which share of a network's parameters and multiply-adds its stem, each stage and its head have."""
    parts, description = parts_of(subject.description), subject.description
    share = {
        name: (100 * params / description.params, 100 * macs / description.macs)
        for name, (params, macs) in parts.items()
    }
    groups = [
        Group(
            name,
            [
                Bar("", share[name][0], f"{share[name][0]:.1f} %, {millions(params)} parameters", name),
                Bar("", share[name][1], f"{share[name][1]:.1f} %, {millions(macs)} multiply-adds", name, pale=True),
            ],
        )
        for name, (params, macs) in parts.items()
    ]
    holds, takes = (max(parts, key=lambda name: share[name][0]), max(parts, key=lambda name: share[name][1]))
    then = " and" if takes == holds else f", {of_part(takes)} has"
    title = (
        f"{subject.entry.name}: {of_part(holds)} has the most parameters ({share[holds][0]:.0f} %){then} the most "
        f"multiply-adds ({share[takes][1]:.0f} %)"
    )
    return Shown(
        title=title,
        draw=partial(figures.grouped_bars, groups, "share of the network, %"),
        says=(
            f"In all {millions(description.params)} parameters and {millions(description.macs)} multiply-adds for one "
            "image."
        ),
        caption=EARLY_AND_LATE,
        alt=f"Shares of parameters and multiply-adds by stage. {title}.",
        facts=(COMPUTED,),
        sources=sources([subject]),
    )


@recipe()
def from_34_to_50() -> Shown:
    """What it costs to make ResNet-34's blocks bottlenecks, stage by stage: as built, as the paper counts, and what it
    buys."""
    entries = [NETWORKS[f"imagenet-resnet{depth}"] for depth in (34, 50)]
    basic, bottleneck = map(measures.description_of_row, entries)
    in_1x1 = kept(strided_as_in_the_paper, entries[1])
    parts = [parts_of(each) for each in (basic, bottleneck)]
    groups = [
        Group(
            name,
            [
                Bar(title, of[name][1] / 1e6, f"{of[name][1] / 1e6:,.0f} M", name, pale=title == "ResNet-34")
                for title, of in zip(("ResNet-34", "ResNet-50"), parts, strict=True)
            ],
        )
        for name in parts[0]
    ]
    printed = [PRINTED_MULTIPLY_ADDS[f"resnet{depth}"] for depth in (34, 50)]
    errors = [TEN_CROP[f"resnet{depth}"][0] or 0 for depth in (34, 50)]
    crops = [entry.published_error_pct or 0 for entry in entries]
    built, moved = bottleneck.macs / basic.macs - 1, in_1x1.macs / basic.macs - 1
    rows = (
        row("layers", [basic.layers, bottleneck.layers], f"+{bottleneck.layers - basic.layers}"),
        row("blocks", [len(basic.blocks), len(bottleneck.blocks)], "0"),
        row("parameters", map(millions, [basic.params, bottleneck.params]), more(bottleneck.params / basic.params - 1)),
        row("multiply-adds, as built", map(billions, [basic.macs, bottleneck.macs]), more(built)),
        row("the same with the stride in the 1x1", map(billions, [basic.macs, in_1x1.macs]), more(moved)),
        row("multiply-adds, as printed", [f"{each} G" for each in printed], more(printed[1] / printed[0] - 1)),
        row("top-1 error, 10-crop (He et al. 2015, table 3)", map(per_cent, errors), points(errors)),
        row("top-1 error, single crop (torchvision)", map(per_cent, crops), points(crops)),
    )
    title = (
        f"16 more layers for {100 * built:.0f} % more multiply-adds "
        f"({100 * (printed[1] / printed[0] - 1):.0f} % as the paper counts)"
    )
    says = (
        "Both have 16 blocks in stages of 3, 4, 6 and 3: basic blocks of two 3x3 in ResNet-34, bottlenecks in "
        f"ResNet-50. As built by torchvision they take {billions(basic.macs)} and {billions(bottleneck.macs)} "
        f"multiply-adds; the paper prints {printed[0]} and {printed[1]} G. With the stride where the paper has it, "
        f"ResNet-50 as built takes {billions(in_1x1.macs)}, {more(moved)}."
    )
    return Shown(
        title=title,
        draw=partial(figures.grouped_bars, groups, MULTIPLY_ADDS),
        says=says,
        caption=STRIDE,
        alt=f"Multiply-adds by stage, ResNet-34 beside ResNet-50. {says}",
        facts=(f"{COMPUTED}s", "errors and *printed*: He et al., 2015"),
        sources=("imagenet-resnet34 and imagenet-resnet50, without weights",),
        rows=rows,
    )


@recipe()
def inception_beside(module: str = "3a") -> Shown:
    """A module of GoogLeNet, row by row, with and without its 1x1 reductions, beside a bottleneck.

    ``module``: one of INCEPTIONS. Raises InputError for another.
    """
    side, rows = kept(inception_rows, one_of("module", INCEPTIONS, module))
    width = next(iter(rows.values()))[0][0].in_channels
    bottleneck, whole = kept(bottleneck_near, width)
    found = {f"row: {title}": of for title, of in rows.items()} | {bottleneck.title: (bottleneck.layers, whole)}
    groups = [
        Group(title, [*map(bar_of, layers), *([bar_of(without, pale=True)] if without else [])])
        for title, (layers, without) in found.items()
    ]
    reduced = sum(weights_of(layers) for layers, _ in rows.values())
    direct = sum(without.weights if without else weights_of(layers) for layers, without in rows.values())
    own = measures.description_of_row(NETWORKS["imagenet-googlenet"]).params
    says = (
        f"Inception {module} reads {width} channels of {side} × {side}. Its convolutions have {reduced:,} weights "
        f"({millions(reduced * side**2)} multiply-adds); if the second and third row read the input directly, "
        f"{direct:,} ({millions(direct * side**2)}). The bottleneck has {bottleneck.weights:,}; one 3x3 on all of its "
        f"{whole.in_channels:,} channels has {whole.weights:,}. All of GoogLeNet has {own:,} parameters, as "
        "torchvision publishes it; with the two auxiliary heads that it has in training, "
        f"{kept(params_with_auxiliary_heads):,}."
    )
    title = f"Inception {module}: without its 1x1 reductions it would have {times(direct / reduced)} times the weights"
    return Shown(
        title=title,
        draw=partial(figures.grouped_bars, groups, "weights"),
        says=says,
        formula=r"y = [F_1(x), F_2(x), F_3(x), F_4(x)] \quad\text{beside}\quad y = x + F(x)",
        caption=ROWS_SIDE_BY_SIDE,
        alt=f"The weights of each layer of the module and of a bottleneck. {says}",
        facts=(f"{COMPUTED}s", "without reductions: by arithmetic"),
        sources=("torchvision's googlenet and resnet50, without weights",),
    )


@recipe()
def dense_head() -> Shown:
    """How many of the parameters and multiply-adds are in the head: three dense layers, or an average and one layer."""
    found = {title: measures.description_of_row(NETWORKS[f"imagenet-{name}"]) for title, name in HEADS.items()}
    splits = [
        Split(title, split(each.params, each.head.params, 1e6), split(each.macs, each.head.macs, 1e9))
        for title, each in found.items()
    ]
    vgg, deep = found["VGG-16"], found["ResNet-152"]
    channels, classes = deep.head.in_shape[0], deep.head.out_shape[0]
    says = (
        "VGG-16 flattens its last maps, 7 · 7 · 512 = 25,088 values, into the first of three dense layers: 25,088 · "
        f"4,096 = {25_088 * 4_096:,} weights in that layer alone. ResNet-152 averages each of its {channels:,} maps to "
        f"one value first: {channels:,} · {classes:,} = {channels * classes:,} weights."
    )
    title = (
        f"{100 * vgg.head.params / vgg.params:.0f} % of VGG-16's {vgg.params / 1e6:.1f} M parameters are in its dense "
        f"layers; ResNet-152's head has {100 * deep.head.params / deep.params:.0f} % of {deep.params / 1e6:.1f} M"
    )
    return Shown(
        title=title,
        draw=partial(figures.split_bars, splits),
        says=says,
        formula=SHARE,
        caption=DENSE,
        alt=f"Parameters and multiply-adds before and in the head. {title}.",
        facts=(f"{COMPUTED}s",),
        sources=tuple(f"imagenet-{name}, without weights" for name in HEADS.values()),
    )


@recipe("Describe the networks of the family")
def family(name: str = "imagenet") -> Steps:
    """The networks of a family beside each other: their size, and how often they are wrong. ``name``: one of FAMILIES;
    for ImageNet with the plain networks, and what He et al. 2015 print. Raises InputError for another name."""
    rows: list[Mapping[str, Any]] = []
    entries = in_order(one_of("name", FAMILIES, name))
    for entry in entries:
        rows.append(kept(row_of, entry))
        yield len(rows) / len(entries)
    says = [bottleneck_sentence(rows)]
    if name == "imagenet":
        best = ", ".join(f"{network} {error} %" for network, error in ENSEMBLES.items())
        says.append(f"Ensembles of several networks, top-5 error on the test set (He et al. 2015, table 5): {best}.")
    return Shown(
        title="The family",
        says=" ".join(filter(None, says)),
        rows=tuple(rows),
        caption=RECOMPUTED + PROTOCOLS * (name == "imagenet"),
        facts=(f"{COMPUTED}s",),
        sources=(f"the networks {name}-*",),
    )


def in_order(name: str) -> list[Entry]:
    """The networks of a family; each of ImageNet's first two depths behind the plain network of its depth."""
    entries = []
    for entry in (each for each in NETWORKS.values() if each.family == name):
        if entry.name in ("imagenet-resnet18", "imagenet-resnet34") and (plain := counterpart(entry)):
            entries.append(plain)
        entries.append(entry)
    return entries


def row_of(entry: Entry) -> dict[str, Any]:
    """A network of the table, recomputed from its model; of one for ImageNet with what is printed of it."""
    facts, trained = measures.description_of_row(entry), measures.history(entry.name)
    found = {
        "network": entry.name,
        "blocks": facts.blocks[0].kind,
        "layers": facts.layers,
        "parameters": facts.params,
        "in convolutions": facts.convolution_params,
        "in head": facts.head.params,
        MULTIPLY_ADDS: round(facts.macs / 1e6, 1),
        "error, %": trained["test_error_pct"] if trained else entry.published_error_pct,
        "source": entry.provenance,
    }
    if entry.dataset.name != "ImageNet":
        return found
    model = entry.name.replace("plain imagenet-resnet", "plain").removeprefix("imagenet-")
    printed = PRINTED_MULTIPLY_ADDS.get(model)
    top1, top5 = TEN_CROP.get(model, (None, None))
    best1, best5 = SINGLE_MODEL.get(model, (None, None))
    source = found.pop("source")
    error = found.pop("error, %")
    return {
        **found,
        PRINTED: printed and round(1000 * printed),
        "error, %": error,
        "10-crop, top 1": top1,
        "10-crop, top 5": top5,
        "single model, top 1": best1,
        "single model, top 5": best5,
        "source": source,
    }


def bottleneck_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """What a third layer in each block costs, where a family has both kinds; else ''."""
    by_layers = {row["layers"]: row for row in rows if "-resnet" in row["network"] and "plain" not in row["network"]}
    if not {34, 50} <= by_layers.keys():
        return ""
    basic, bottleneck = (by_layers[layers][MULTIPLY_ADDS] for layers in (34, 50))
    return (
        "ResNet-50 has as many blocks as ResNet-34, bottlenecks of three layers in place of two: "
        f"{100 * (bottleneck / basic - 1):+.0f} % multiply-adds."
    )


def parts_of(description: Description) -> dict[str, tuple[int, int]]:
    """Parameters and multiply-adds of stem, stages and head."""
    found: dict[str, tuple[int, int]] = {}
    whole: list[tuple[str, Part]] = [
        ("stem", description.stem),
        *((block.stage, block) for block in description.blocks),
    ]
    for name, part in [*whole, ("head", description.head)]:
        params, macs = found.get(name, (0, 0))
        found[name] = params + part.params, macs + part.macs
    return found


def of_part(name: str) -> str:
    """'the head', 'layer4'."""
    return name if name.startswith("layer") else f"the {name}"


def bar_of(layer: Layer, *, pale: bool = False) -> Bar:
    """A convolution as a bar; pale: the one that reads all channels."""
    return Bar(layer.title, layer.weights, f"{layer.terms} = {layer.weights:,}", layer.size, pale)


def split(whole: int, head: int, unit: float) -> tuple[float, float]:
    """What comes before the head, and the head."""
    return (whole - head) / unit, head / unit


def row(what: str, values: Iterable[object], difference: str) -> dict[str, str]:
    """A line of the comparison."""
    basic, bottleneck = map(str, values)
    return {"": what, "ResNet-34": basic, "ResNet-50": bottleneck, "difference": difference}


def millions(count: float) -> str:
    """'1.18 M'; a few thousands as they are."""
    if count < 1e4:
        return f"{count:,.0f}"
    return f"{count / 1e6:,.2f} M" if count < 1e8 else f"{count / 1e6:,.0f} M"


def billions(count: float) -> str:
    """'4.09 G'."""
    return f"{count / 1e9:.2f} G"


def more(share: float) -> str:
    """'+11.6 %'."""
    return f"{100 * share:+.1f} %"


def per_cent(error: float) -> str:
    """'22.85 %'."""
    return f"{error:.2f} %"


def points(errors: Sequence[float]) -> str:
    """'−1.67 points'."""
    return f"{errors[1] - errors[0]:+.2f} points"


def times(ratio: float) -> str:
    """'17', '4.1'."""
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
