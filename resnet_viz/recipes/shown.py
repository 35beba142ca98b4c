"""A figure is a function: of subjects and settings, to what is shown, the same for a page, a report, a shell and a notebook."""

import inspect
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from functools import cached_property, partial, update_wrapper
from typing import Any, TypeAlias, TypeVar, cast

from ..engine.kept import ANSWERS, Spent, key_of, timed
from ..engine.tickets import result
from ..errors import InputError
from ..experiments.stepwise import finished
from ..figures.bars import Bars
from ..figures.palette import LIGHT, Palette
from ..figures.pictures import thumbnail
from ..figures.plot import Plot
from ..networks.device import device
from ..networks.images import ImageSet
from ..networks.zoo import NETWORKS
from .subject import Subject, opening

Value = TypeVar("Value")
Measured = TypeVar("Measured")
MEASURED, PRECOMPUTED, SCHEMATIC, COMPUTED = "measured", "precomputed", "schematic", "computed from the model"
BOTH = "○ intact ● with the lesion"
NO_ERROR = "{title}: they have no labels, so there is no error to measure. {cure}"
LABEL_THEM = "Hand the network over with labels: `labels=`."
LABELLED_ELSEWHERE = "Choose a fashion-* network, or give the command line a folder of labelled pictures."
THUMBNAIL = 84  # pixels
LITTLE = 0.1  # of the seconds: what took no more here than that was measured beforehand


@dataclass(frozen=True)
class Picture:
    """A small picture: PNG, what stands below it, and what it shows for those who cannot see it."""

    png: bytes
    caption: str
    alt: str


@dataclass(frozen=True)
class Shown:
    """What a recipe answers, in plain data. Texts are Markdown.

    ``title``: the answer; ``says``: what the figure says; ``formula``: LaTeX; ``caption``: what to see; ``alt``: the figure for
    those who cannot see it. ``facts``: MEASURED, PRECOMPUTED, SCHEMATIC or COMPUTED, on what, with which interval, in what
    time. ``sources``: the networks and images, a line each. ``draw``: makes the figure, given ``palette``. ``rows``: a table.
    ``bars``: for the network strip, ``bars_title`` what they are. ``recipe``, ``python``: what made it, and the program that
    makes it again; ``of``: the name of the network that was asked about, if one was.
    """

    title: str = ""
    draw: partial[Plot] | None = None
    says: str = ""
    formula: str = ""
    caption: str = ""
    alt: str = ""
    facts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    bars: Bars | None = None
    bars_title: str = ""
    recipe: str = ""
    of: str = ""
    python: str = ""

    def plot(self, palette: Palette = LIGHT) -> Plot:
        """The figure, in the colours of a theme. Raises ValueError where there is none."""
        if self.draw is None:
            raise ValueError(f"{self.recipe} shows no figure; see its text, pictures or rows.")
        return self.draw(palette=palette)


Steps: TypeAlias = Generator[float | Shown, None, Shown]


class Recipe:
    """A question's function, with what is needed to ask it anywhere.

    It takes subjects and named settings, and returns a ``Shown``; what takes long yields how much is done (0 to 1), or a
    ``Shown`` of what is known so far, before it does. Its answers are kept. ``doing``: what it is that takes so long: 'Delete
    every block in turn'. ``stays``: its steps keep nothing on the way, as those of a training: another process would begin anew.
    """

    def __init__(self, compute: Callable[..., Shown | Steps], doing: str, stays: bool) -> None:
        self.compute, self.doing, self.stays = compute, doing, stays
        self.name = f"{compute.__module__.rpartition('.')[2]}.{compute.__name__}"
        update_wrapper(self, compute)

    def __reduce__(self) -> str:
        return self.compute.__name__  # a recipe travels by its name

    def __call__(self, *subjects: Subject, **settings: Any) -> Shown:
        """The answer. Raises InputError where the subjects have none."""
        return result(self, *subjects, **settings)

    def live(self, records: Sequence[Any], **settings: Any) -> Shown:
        """The answer for a training that is under way, from what it has recorded so far, as the setting ``records``: it is not
        kept, and the program below it trains as much anew."""
        made = self.compute(records=records, **settings)
        return self._signed((), settings, made if isinstance(made, Shown) else finished(made))

    def known(self, *subjects: Subject, **settings: Any) -> Shown | None:
        """The answer, if somebody has had it."""
        return cast(Shown | None, ANSWERS.find(key_of(self, *subjects, **settings)))

    def steps(self, *subjects: Subject, **settings: Any) -> Steps:
        """How far it is, and what is known so far; returns the answer."""
        if (found := self.known(*subjects, **settings)) is not None:
            return found
        spent: list[Spent] = []
        signed = partial(self._finished, spent, subjects, settings)
        with timed() as taken:
            made = self.compute(*subjects, **settings)
        spent += taken
        while not isinstance(made, Shown):
            with timed() as taken:  # not around the loop: what is done with a step is none of the recipe's time
                try:
                    step = next(made)
                except StopIteration as end:
                    step = made = end.value
            spent += taken
            if made is not step:
                yield signed(step) if isinstance(step, Shown) else step
        answer = signed(made)
        ANSWERS.put(key_of(self, *subjects, **settings), answer)
        return answer

    def _finished(
        self, spent: Sequence[Spent], subjects: Sequence[Subject], settings: Mapping[str, Any], shown: Shown
    ) -> Shown:
        kind, *facts = shown.facts or ("",)
        if kind == MEASURED:
            here, beforehand = (sum(seconds) for seconds in zip(*(Spent(), *spent), strict=True))
            if here < beforehand * LITTLE:
                kind = PRECOMPUTED
            else:
                facts.append(f"{here:.2f} s on {device().type.upper()}")
        return self._signed(subjects, settings, replace(shown, facts=(kind, *facts) if kind else ()))

    def _signed(self, subjects: Sequence[Subject], settings: Mapping[str, Any], shown: Shown) -> Shown:
        python = self.program(subjects, settings) + ("\nfigure = shown.plot().figure()" if shown.draw else "")
        of = subjects[0].entry.name if subjects else ""
        return replace(shown, recipe=self.name, of=of, python=python)

    def program(self, subjects: Sequence[Subject], settings: Mapping[str, Any]) -> str:
        """The lines of Python that ask it."""
        module, name = self.name.split(".")
        classes = {type(value) for value in settings.values() if is_dataclass(value)}
        imports = [f"from {each.__module__} import {each.__name__}" for each in classes]
        imports.append(f"from resnet_viz.recipes import {module}")
        lines, names = [], []
        if subjects:
            imports.append("from resnet_viz.recipes.subject import Subject")
            if any(not each.entry.can_be_built for each in subjects):
                imports.insert(0, "import resnet_viz\n")
            if any(":" in each.entry.name for each in subjects):
                imports.insert(0, "from pathlib import Path\n")
            names = ["subject", *(f"beside{number or ''}" for number in range(len(subjects) - 1))]
            own = "  # the image in place of your own" if subjects[0].position is None else ""
            lines = [f"subject = Subject.of({arguments(subjects[0])}){own}"]
            lines += [
                f"{name} = subject.beside({network_and_seed(each)})"
                for name, each in zip(names[1:], subjects[1:], strict=True)
            ]
        given = [*names, *(f"{setting}={value!r}" for setting, value in settings.items())]
        call = f"shown = {module}.{name}({', '.join(given)})"
        return "\n".join([*imports, "", *lines, call])

    @cached_property
    def source(self) -> str:
        """The recipe's own lines."""
        return inspect.getsource(self.compute)


def recipe(doing: str = "", *, stays: bool = False) -> Callable[[Callable[..., Shown | Steps]], Recipe]:
    """Make a function a recipe; ``doing`` and ``stays`` as in ``Recipe``."""
    return partial(Recipe, doing=doing, stays=stays)


def one_of(name: str, options: Collection[Value], value: Value) -> Value:
    """A setting's value, if it is one of these, or in this range. Raises InputError for another one."""
    if value not in options:
        ends = f"{options[0]} to {options[-1]}" if isinstance(options, range) else ""
        raise InputError(f"{name} must be {ends or 'one of ' + ', '.join(map(str, options))}; got {value}.")
    return value


def network_and_seed(subject: Subject) -> str:
    """How a program names a network and its weights."""
    entry = subject.entry
    if not entry.can_be_built:
        return "resnet_viz.hand_over(model, images)"  # and what else it was handed over with
    name = repr(entry.name) if entry.name in NETWORKS else f"Path({entry.weights!r})"
    return name if subject.network.seed is None else f"{name}, untrained={subject.network.seed}"


def arguments(subject: Subject) -> str:
    """What ``Subject.of`` makes a subject from."""
    parts, gate = [network_and_seed(subject)], min(subject.gates)
    if subject.position != opening(subject.images):
        parts.append(f"image={subject.position or 0}")
    if subject.lesioned:
        parts.append(f"deleted={subject.lesioned}" + (f", gate={gate:g}" if gate else ""))
    return ", ".join(parts)


def sources(subjects: Iterable[Subject], images: ImageSet | None = None) -> tuple[str, ...]:
    """Which networks, with which weights, and which images, if any: what an exported file says of itself."""
    networks = [each.network for each in subjects]
    lines = [
        f"{each.entry.name}, {each.weights}" + (f", weights {each.digest[:12]}" if each.trained else "")
        for each in networks
    ]
    if images is not None:
        lines.append(f"images: {images.names[0] if len(images) == 1 else images.title}")
    return tuple(lines)


def rows_of(subjects: Sequence[Subject], measured: Sequence[Measured]) -> list[tuple[str, Measured, bool]]:
    """Title, what was measured, and whether it is plain, for each network."""
    return [(each.title, found, each.is_plain) for each, found in zip(subjects, measured, strict=True)]


def pictures_of(images: ImageSet, captions: Mapping[int, str]) -> tuple[Picture, ...]:
    """Images of a set, at the positions that have a caption."""
    return tuple(
        Picture(thumbnail(images, index, THUMBNAIL), caption, f"{images.names[index]}: {caption}")
        for index, caption in captions.items()
    )


def counted(images: ImageSet) -> str:
    """'32 images'."""
    return f"{len(images):,} image{'s' if len(images) > 1 else ''}"


def no_error(subject: Subject) -> str:
    """Why no error can be measured of images without labels, and what helps."""
    cure = LABELLED_ELSEWHERE if subject.entry.can_be_built else LABEL_THEM
    return NO_ERROR.format(title=subject.images.title, cure=cure)


def beside_sentence(beside: Subject) -> str:
    """What a network beside makes of the image under the same lesion."""
    lesion = ", with the same lesion" if beside.lesioned else ""
    return f"Beside it {beside.title}{lesion}: {beside.sees}."
