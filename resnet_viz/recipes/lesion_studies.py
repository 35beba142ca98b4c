"""How much damage can a network take? Many blocks deleted at random, or blocks that change places."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..experiments import lesion_studies
from ..experiments.deletion import joined, known
from ..experiments.lesion_studies import (
    PLANS,
    RANDOM,
    REORDER,
    Study,
    largest_steps,
    swappable_pairs,
    ten_counts,
    together,
)
from ..experiments.paths import is_plain
from ..experiments.stepwise import share_of
from ..figures.lesion_studies import errors_by_amount, study_sentences
from ..figures.palette import LIGHT
from ..findings import Answer, Measurement, Question
from . import measures
from .shown import MEASURED, Shown, Steps, no_error, one_of, recipe, rows_of, sources
from .subject import Subject
from .verdict import CHANCE, CONTROL, RESAMPLES, RESIDUAL, lesion_set, median_interval, network

__all__ = ["study"]

COMPUTE = {RANDOM: lesion_studies.random_deletions, REORDER: lesion_studies.random_swaps}
FORMULAS = {
    RANDOM: r"\text{error}(k) = \text{error with } g_i = 0 \text{ for } k \text{ random blocks } i",
    REORDER: r"\tau = \frac{\text{pairs in the old order} - \text{pairs in reverse}}{n (n - 1) / 2}",
}
SMOOTHLY = "An ensemble would get worse smoothly, without a sudden collapse."
CAPTIONS = {
    RANDOM: f"A pale mark is one draw; the line joins the medians. {SMOOTHLY} With every block deleted, all draws are the same.",
    REORDER: (
        "A pale mark is one draw, a strong one the median of the draws with as many swaps. Toward the left lies the network's "
        f"own order; a swap can undo another. {SMOOTHLY}"
    ),
}
NO_PAIRS = "No two blocks of {title} have the same shape within a stage, so none can change places."
MOST_DRAWS = 20
AT_ONCE = 5  # draws, which are kept together: whoever asks for more or fewer of them finds these
DRAWS = 20  # of the report
LARGEST_STEP, LARGEST_FALL = 1 / 3, 0.1  # of the whole rise, at most, where it is smooth


@recipe("Run the study")
def study(*subjects: Subject, kind: str = RANDOM, draws: int = 5, seed: int = 0) -> Steps:
    """The error of the set in each network with ever more blocks deleted at random, or ('reorder') with ever more random pairs
    exchanged; until that is known, of the first numbers of them.

    ``draws``: of each number, 1 to 20. A network beside that has no blocks to exchange is left out. Raises InputError for
    another kind or number of draws.
    """
    lesioned = COMPUTE[one_of("kind", COMPUTE, kind)]
    one_of("draws", range(1, MOST_DRAWS + 1), draws)
    subject, images = subjects[0], subjects[0].images
    if images.labels is None:
        return Shown(title="No labels, no error", says=no_error(subject))
    if kind == REORDER and not has_pairs(subject):
        return Shown(title="Nothing to swap", says=NO_PAIRS.format(title=subject.title))
    able = [each for each in subjects if kind == RANDOM or has_pairs(each)]
    counts = ten_counts(len(subject.blocks))
    studies: list[list[Study]] = [[] for _ in able]
    done, last = 0, len(counts) * len(able)
    for number, count in enumerate(counts, start=1):
        for each, of_network in zip(able, studies, strict=True):
            parts = measures.parts_for(each.loaded, images, AT_ONCE)
            drawn = [
                measures.set_in_steps(lesioned, each.loaded, part, [count], AT_ONCE, seed, first)
                for first in range(0, draws, AT_ONCE)
                for part in parts
            ]
            found = yield from share_of(measures.one_after_the_other(drawn), done, last)
            of_draws = [found[start : start + len(parts)] for start in range(0, len(found), len(parts))]
            whole = [replace(of_parts[0], sweep=joined([part.sweep for part in of_parts])) for of_parts in of_draws]
            of_network.append(together(whole, draws))
            done += 1
        rows = rows_of(able, list(map(together, studies)))
        so_far = Shown(
            draw=partial(errors_by_amount, rows, subject.chance_pct),
            facts=(MEASURED, f"{len(images):,} images", f"{number} of {len(counts)} numbers so far"),
        )
        if number < len(counts):
            yield so_far
    title, _ = study_sentences(rows[0][1])
    says = "  \n".join(f"**{name}**: {study_sentences(each)[1]}" for name, each, _ in rows)
    return Shown(
        title=title,
        draw=so_far.draw,
        says=says,
        formula=FORMULAS[kind],
        caption=CAPTIONS[kind],
        alt=f"{title}. {says}",
        facts=(MEASURED, f"{len(images):,} images", f"{draws} draw{'s' * (draws > 1)} each", f"seed {seed}"),
        sources=sources(able, images),
    )


def has_pairs(subject: Subject) -> bool:
    """Whether blocks of the network can change places."""
    return bool(measures.over_set(swappable_pairs, subject.loaded, subject.images))


def steps_interval(study: Study) -> tuple[tuple[float, float], tuple[float, float]]:
    """The 95 % percentile intervals of a study's largest step and fall, the draws of each number drawn anew, seed 0."""
    generator = np.random.default_rng(0)
    by_step = [study.error_pct[study.steps == step] for step in np.unique(study.steps)]
    drawn = [np.median(generator.choice(errors, (RESAMPLES, len(errors))), axis=1) for errors in by_step]
    intact = np.full(RESAMPLES, known(study.sweep.error_pct))
    found = [largest_steps(medians) for medians in np.stack([intact, *drawn], axis=1)]
    (low_step, low_fall), (high_step, high_fall) = np.percentile(found, [2.5, 97.5], axis=0)
    return (float(low_step), float(high_step)), (float(low_fall), float(high_fall))


def bundled_study(name: str, kind: str) -> Study:
    """A study of a bundled network over the lesion set, seed 0."""
    loaded, draw = network(name), COMPUTE[kind]
    counts = ten_counts(len(loaded.network.blocks))
    return draw(loaded.network, loaded.entry.preprocessing, lesion_set(), counts, DRAWS)


def many(kind: str) -> Answer:
    """Random deletions or swaps: smooth in the residual networks, a collapse in the plain one."""
    measured, notes, rows = [], [], []
    unit = "deleted blocks" if kind == RANDOM else "swaps"
    draws = f"95 %, {DRAWS} draws"
    for name in (*RESIDUAL, CONTROL):
        study = bundled_study(name, kind)
        steps, _, middle, _, _ = study.medians()
        count = len(network(name).network.blocks)
        plain = is_plain(network(name).network)
        (step, fall), (of_step, of_fall) = study.largest_steps(), steps_interval(study)

        def median_at(place: int, what: str, expected: bool, name: str = name, study: Study = study) -> None:
            steps, _, middle, _, _ = study.medians()
            errors = study.error_pct[study.steps == steps[place]]
            measured.append(Measurement(name, what, float(middle[place]), *median_interval(errors), draws, expected))

        smooth = step > 2 / 3 if plain else step <= LARGEST_STEP
        measured.append(
            Measurement(name, "largest step of the median, share of the rise", step, *of_step, draws, smooth)
        )
        if plain:
            least = int(middle.argmin())
            median_at(least, f"least median error, % ({unit}: {steps[least]})", bool(middle[least] > 50))
        else:
            measured.append(
                Measurement(
                    name, "largest fall of the median, share of the rise", fall, *of_fall, draws, fall <= LARGEST_FALL
                )
            )
            if kind == RANDOM:
                tenth = int(np.flatnonzero(steps <= count / 10).max())
                median_at(tenth, f"median error with {steps[tenth]} of {count} deleted, %", bool(middle[tenth] < 50))
        notes.append(
            f"{name}: intact {study.sweep.error_pct:.1f} %, medians for {', '.join(map(str, steps))} {unit} {', '.join(f'{error:.1f}' for error in middle)} %; Spearman's correlation over all draws {study.correlation():.2f}"
        )
        rows.append((name, study, plain))
    return measured, "; ".join(notes), errors_by_amount([rows[0], rows[2]], CHANCE, LIGHT)


QUESTIONS: tuple[Question, ...] = (
    (PLANS[RANDOM], "lesion_studies?network=fashion-resnet56", partial(many, RANDOM)),
    (PLANS[REORDER], "lesion_studies?network=fashion-resnet56&study=swap-places", partial(many, REORDER)),
)
