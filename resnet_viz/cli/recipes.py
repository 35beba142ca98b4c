"""The figures of the app, from a shell: the same recipes, as text, JSON, HTML or SVG."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from .. import recipes
from ..engine.kept import PRECOMPUTED
from ..errors import InputError
from ..experiments.norms import Norms
from ..experiments.training import replace
from ..figures.palette import LIGHT
from ..networks import zoo
from ..networks.images import ImageSet, open_photo
from ..precompute import precompute
from ..recipes.document import answers_html
from ..recipes.shown import Recipe, Shown
from ..recipes.subject import Subject
from .shell import LARGEST_SEED, bar, main, show

FILE = click.Path(path_type=Path, dir_okay=False)


@main.command("show")
@click.argument("recipe")
@click.argument("network", default="")
@click.option("--beside", multiple=True, metavar="NETWORK", help="Compare with this one, too; may be given again.")
@click.option("--untrained", type=click.IntRange(0, LARGEST_SEED), metavar="SEED", help="Take seeded initial weights.")
@click.option("--image", metavar="N|FILE", help="The number of a bundled image, or a picture of your own.")
@click.option("--deleted", default="", metavar="BLOCK,BLOCK", help="Delete these blocks: layer1.2,layer3.0")
@click.option(
    "--gate", type=click.FloatRange(0, 1), default=0.0, help="Of the deleted blocks: 0 deletes, 1 leaves intact."
)
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the recipe; may be given again."
)
@click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write words and figure as JSON.")
@click.option("--html", "html_file", type=FILE, metavar="FILE", help="Write one page that opens without internet.")
@click.option(
    "--svg", "svg_file", type=FILE, metavar="FILE", help="Write the figure as SVG; needs kaleido and a Chromium."
)
def show_command(
    recipe: str,
    network: str,
    beside: tuple[str, ...],
    given: tuple[str, ...],
    json_file: Path | None,
    html_file: Path | None,
    svg_file: Path | None,
    **options: Any,
) -> None:
    """What a figure of the app shows, for RECIPE (PAGE.FIGURE, e.g. layer_deletion.sweep) and NETWORK; prints its words."""
    asked = recipes.recipe_named(recipe)
    if asked is None:
        raise InputError(f"Recipe must be one of {', '.join(recipes.names())}; got {recipe!r}.")
    for file in filter(None, (json_file, html_file, svg_file)):
        if not file.parent.is_dir():
            raise InputError(f"{file.parent} is not a folder; give a file in one that exists.")
    subjects = subjects_of(asked, network, beside, **options)
    settings = settings_of(asked, given)
    shown = answer(asked, subjects, settings)
    words = words_of(shown)
    if json_file:
        figure = json.loads(shown.plot().json()) if shown.draw else None
        write(json_file, json.dumps({**words, "figure": figure}, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    if html_file:
        write(html_file, answers_html(shown.title or asked.name, "", [shown], LIGHT))
    if svg_file:
        replace(svg_file, lambda path: svg(shown, path))
    show(words)


@main.command("precompute")
def precompute_command() -> None:
    """Measure anew what the pages show first of the bundled networks, for a class that opens them together (half an hour)."""
    with bar("Networks", always=True) as progress:
        precompute(progress=progress)
    show({"file": str(PRECOMPUTED), "bytes": PRECOMPUTED.stat().st_size})


def subjects_of(
    asked: Recipe,
    network: str,
    beside: tuple[str, ...],
    untrained: int | None,
    image: str | None,
    deleted: str,
    gate: float,
) -> list[Subject]:
    """What the recipe is asked of: nothing, where it takes no network."""
    parameters = inspect.signature(asked.compute).parameters.values()
    of_network = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.VAR_POSITIONAL) and each.annotation is Subject
    ]
    if not of_network:
        if network:
            raise InputError(f"{asked.name} is about the bundled networks; leave out {network!r}.")
        return []
    if not network:
        raise InputError(f"{asked.name} needs a network: resnet-viz show {asked.name} fashion-resnet56.")
    if beside and all(each.kind is not each.VAR_POSITIONAL for each in of_network):
        raise InputError(f"{asked.name} looks at one network; leave out --beside.")
    entry = zoo.entry_of(network)
    names = [name.strip() for name in deleted.split(",") if name.strip()]
    subject = Subject.of(network, untrained=untrained, image=picture(entry, image), deleted=names, gate=gate)
    return [subject, *(subject.beside(each) for each in beside)]


def picture(entry: zoo.Entry, image: str | None) -> int | ImageSet | None:
    """A number of the set, or a picture file as the network takes it."""
    if image is None:
        return None
    if image.isdecimal():
        last = len(zoo.images_of(entry)) - 1
        if int(image) > last:
            raise InputError(f"--image must be 0 to {last} for {entry.name}, or a file; got {image}.")
        return int(image)
    return ImageSet(image, entry.preprocessing.fit(open_photo(Path(image)))[None], None, (Path(image).name,))


def settings_of(asked: Recipe, given: tuple[str, ...]) -> dict[str, Any]:
    """Settings by name, each read as the recipe's default is (None: no shell can say it, but for a file of norms). Raises InputError
    for one that it has not."""
    parameters = inspect.signature(asked.compute).parameters
    kinds = {name: type(each.default) for name, each in parameters.items() if each.default not in (each.empty, None)}
    kinds |= {name: Norms for name, each in parameters.items() if each.annotation == Norms | None}
    read: dict[type, Callable[[str], Any]] = {
        bool: {"yes": True, "no": False}.__getitem__,
        tuple: lambda text: tuple(text.split(",")),
        Norms: Norms.read,
    }
    settings = {}
    for pair in given:
        name, _, text = pair.partition("=")
        if name not in kinds:
            has = f"has {', '.join(kinds)}" if kinds else "has no settings"
            raise InputError(f"--set {pair!r}: {asked.name} {has}; write NAME=VALUE.")
        kind = kinds[name]
        try:
            settings[name] = read.get(kind, kind)(text)
        except InputError:
            raise
        except (ValueError, KeyError) as error:
            wanted = {bool: "yes or no", int: "a whole number", float: "a number"}[kind]
            raise InputError(f"--set {name} must be {wanted}; got {text!r}.") from error
    return settings


def answer(asked: Recipe, subjects: list[Subject], settings: dict[str, Any]) -> Shown:
    """The recipe's answer, with a progress bar."""
    with bar(asked.doing or asked.name) as progress:
        steps = asked.steps(*subjects, **settings)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return cast(Shown, end.value)
            if isinstance(step, float):
                progress(round(100 * step), 100)


def words_of(shown: Shown) -> dict[str, Any]:
    """All but the figure."""
    names = ("recipe", "title", "says", "formula", "caption", "facts", "sources", "rows", "python")
    return {name: value for name in names if (value := getattr(shown, name))}


def write(path: Path, text: str) -> None:
    replace(path, lambda unfinished: unfinished.write_text(text))


def svg(shown: Shown, path: Path) -> None:
    """Write the figure by plotly's own exporter. Raises InputError where that is not installed."""
    try:
        shown.plot().figure().write_image(path, format="svg")
    except (ValueError, ImportError, RuntimeError) as error:
        raise InputError(
            f"The SVG could not be made ({error}); it needs a figure, kaleido (pip install kaleido) and a Chromium."
        ) from error
