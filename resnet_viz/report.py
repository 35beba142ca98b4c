"""The report: every question, asked of the bundled networks, with what was expected and what came. Here are the questions
about lesions and paths; those about training stand in report_training.py."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np
from scipy import stats
from torch import Tensor

from .experiments import (
    attribution,
    calibration,
    deletion,
    early_stop,
    lesion_studies,
    paths,
    shattered,
    short_paths,
    strongest_paths,
)
from .experiments.lesion_studies import RANDOM, REORDER, SINGLE, Study
from .experiments.paths import GradientByLength
from .experiments.plan import Plan
from .experiments.training import difference, every_seed, short_path_runs
from .figures import deletion as deletion_figures
from .figures import importance as importance_figures
from .figures import lesion_studies as study_figures
from .figures import paths as path_figures
from .figures.palette import LIGHT
from .figures.plot import Plot
from .figures.training import error_by_epoch
from .findings import Answer, Finding, Measurement
from .networks.datasets import bundled_fashion
from .networks.images import ImageSet
from .networks.network import ResidualNetwork
from .networks.zoo import NETWORKS, LoadedNetwork, images_of, load
from .progress import Progress, no_progress
from .recipes import shattered_gradients
from .report_training import TRAINING_QUESTIONS, WELCH

CHANCE = 90.0  # per cent, of ten classes
BACKWARD_IMAGES = 32
RESAMPLES = 1000
DRAWS = 20  # of each lesion study
IMAGES = "95 %, images"
LARGEST_STEP, LARGEST_FALL = 1 / 3, 0.1  # of the whole rise, at most, where it is smooth
RESIDUAL, CONTROL = ("fashion-resnet56", "fashion-resnet110"), "fashion-plain56"


@cache
def network(name: str) -> LoadedNetwork:
    return load(NETWORKS[name])


@cache
def lesion_set() -> ImageSet:
    return images_of(NETWORKS[CONTROL])


def batch(name: str, count: int) -> tuple[ResidualNetwork, Tensor, Tensor]:
    """A network, some of the lesion set as its input, and their labels."""
    images = lesion_set().limit(count)
    inputs = network(name).inputs(images)
    return network(name).network, inputs, deletion.known(images.labels).to(inputs.device)


def bootstrapped(statistic: Callable[[np.ndarray], float], units: int) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of chosen units, drawn with replacement, seed 0."""
    found = stats.bootstrap(
        (np.arange(units),), statistic, vectorized=False, n_resamples=RESAMPLES, method="percentile", rng=0
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def study_of(name: str, kind: str) -> Study:
    """A study of one network over the lesion set, seed 0."""
    loaded = network(name)
    settings = loaded.network, loaded.entry.preprocessing, lesion_set()
    if kind == SINGLE:
        return lesion_studies.single_deletions(*settings)
    draw = lesion_studies.random_deletions if kind == RANDOM else lesion_studies.random_swaps
    return draw(*settings, lesion_studies.ten_counts(len(loaded.network.blocks)), DRAWS)


def single() -> Answer:
    """Every block in turn."""
    measured, notes, rows = [], [], []
    for name in (*RESIDUAL, "fashion-preact110", CONTROL, "fashion-vgg11"):
        swept = study_of(name, SINGLE).sweep
        labels = deletion.known(swept.labels)
        change = (swept.predictions != labels).astype(float) - (swept.intact != labels)

        def median(chosen: np.ndarray, change: np.ndarray = change) -> float:
            return float(100 * np.median(change[:, chosen].mean(1)))

        value = float(np.median(swept.rises))
        plain = paths.is_plain(network(name).network)
        measured.append(
            Measurement(
                name,
                "median rise, points",
                value,
                *bootstrapped(median, len(labels)),
                IMAGES,
                value > 50 if plain else value < 5,
            )
        )
        worst = ", ".join(f"{block} {error:.1f} %" for block, error in swept.worst())
        notes.append(f"{name}: mean {swept.rises.mean():+.1f}, intact {swept.error_pct:.1f} %, the three worst {worst}")
        rows.append((name, swept, plain))
    return measured, "; ".join(notes), deletion_figures.sweep_errors([rows[0], rows[3]], CHANCE, LIGHT)


def median_interval(errors: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a median of draws, from their order alone."""
    interval = stats.quantile_test(errors, p=0.5).confidence_interval()
    return float(interval.low), float(interval.high)


def steps_interval(study: Study) -> tuple[tuple[float, float], tuple[float, float]]:
    """The 95 % percentile intervals of a study's largest step and fall, the draws of each number drawn anew, seed 0."""
    generator = np.random.default_rng(0)
    by_step = [study.error_pct[study.steps == step] for step in np.unique(study.steps)]
    drawn = [np.median(generator.choice(errors, (RESAMPLES, len(errors))), axis=1) for errors in by_step]
    intact = np.full(RESAMPLES, deletion.known(study.sweep.error_pct))
    found = [lesion_studies.largest_steps(medians) for medians in np.stack([intact, *drawn], axis=1)]
    (low_step, low_fall), (high_step, high_fall) = np.percentile(found, [2.5, 97.5], axis=0)
    return (float(low_step), float(high_step)), (float(low_fall), float(high_fall))


def many(kind: str) -> Answer:
    """Random deletions or swaps: smooth in the residual networks, a collapse in the plain one."""
    measured, notes, rows = [], [], []
    unit = "deleted blocks" if kind == RANDOM else "swaps"
    draws = f"95 %, {DRAWS} draws"
    for name in (*RESIDUAL, CONTROL):
        study = study_of(name, kind)
        steps, _, middle, _, _ = study.medians()
        count = len(network(name).network.blocks)
        plain = paths.is_plain(network(name).network)
        (step, fall), (of_step, of_fall) = study.largest_steps(), steps_interval(study)

        def median_at(place: int, what: str, expected: bool, name: str = name, study: Study = study) -> None:
            steps, _, middle, _, _ = study.medians()
            errors = study.error_pct[study.steps == steps[place]]
            measured.append(Measurement(name, what, float(middle[place]), *median_interval(errors), draws, expected))

        smooth = step > 2 / 3 if plain else step <= LARGEST_STEP
        measured.append(Measurement(name, "largest step of the median, share of the rise", step, *of_step, draws, smooth))
        if plain:
            least = int(middle.argmin())
            median_at(least, f"least median error, % ({unit}: {steps[least]})", bool(middle[least] > 50))
        else:
            measured.append(Measurement(name, "largest fall of the median, share of the rise", fall, *of_fall, draws, fall <= LARGEST_FALL))  # fmt: skip
            if kind == RANDOM:
                tenth = int(np.flatnonzero(steps <= count / 10).max())
                median_at(tenth, f"median error with {steps[tenth]} of {count} deleted, %", bool(middle[tenth] < 50))
        notes.append(
            f"{name}: intact {study.sweep.error_pct:.1f} %, medians for {', '.join(map(str, steps))} {unit} {', '.join(f'{error:.1f}' for error in middle)} %; Spearman's correlation over all draws {study.correlation():.2f}"
        )
        rows.append((name, study, plain))
    return measured, "; ".join(notes), study_figures.errors_by_amount([rows[0], rows[2]], CHANCE, LIGHT)


def importance() -> Answer:
    """Four measures of importance, on the smaller networks."""
    measured, figure = [], None
    for name in ("fashion-resnet20", "fashion-resnet56"):
        settings = batch(name, attribution.IMAGES)
        deleted = attribution.true_deletion(*settings)
        if len(settings[0].blocks) <= attribution.MOST_BLOCKS:
            shapley = attribution.shapley_exact(*settings)
        else:
            drawn = [attribution.shapley_permutation(*settings, number) for number in range(attribution.PERMUTATIONS)]
            shapley = attribution.shapley(drawn)
        others = {"Shapley value, nats": shapley, "first order, nats": attribution.first_order(*settings),
                  "|F(x)| / |x|": attribution.branch_size(*settings)}  # fmt: skip
        for title, other in others.items():
            value = float(attribution.rank_correlations([other, deleted])[0, 1])
            expected = value > 0.7 if title.startswith("Shapley") else value < 0.7
            interval = attribution.rank_correlation_interval(other, deleted)
            bracket = f"95 %, {attribution.interval_of(other)}"
            what = f"{title.split(',')[0]} with deletion"
            measured.append(Measurement(name, what, value, *interval, bracket, expected))
        figure = importance_figures.importance_by_block(
            list(settings[0].blocks), {"deletion, nats": deleted, **others}, LIGHT
        )
    notes = (
        "Spearman's rank correlations over the blocks; Shapley values of fashion-resnet20 are exact, from all 512 subsets of its "
        f"blocks, those of fashion-resnet56 from {attribution.PERMUTATIONS} permutations"
    )
    return measured, notes, figure


@cache
def stopped(name: str) -> deletion.Sweep:
    """The lesion set in a network stopped after each number of blocks."""
    loaded = network(name)
    return early_stop.stop_everywhere(loaded.network, loaded.entry.preprocessing, lesion_set())


def early() -> Answer:
    """The last tenth of the blocks left out."""
    measured, rows = [], []
    for name in (*RESIDUAL, CONTROL):
        loaded, swept = network(name), stopped(name)
        count = len(loaded.network.blocks)
        walked = count - round(count / 10)
        plain, value = paths.is_plain(loaded.network), float(swept.rises[walked])
        what = f"rise after {walked} of {count} blocks, points"
        measured.append(
            Measurement(name, what, value, *swept.lesions[walked].rise_interval(), IMAGES, value > 50 if plain else value < 5)
        )
        rows.append((name, swept, plain))
    notes = "; ".join(f"{name}: {study_figures.stop_sentence(swept)}" for name, swept, _ in rows)
    return measured, notes, study_figures.error_by_stop([rows[0], rows[2]], CHANCE, LIGHT)


def refining() -> Answer:
    """How the answer comes about on the way: what the head says of each stream, and what a linear probe does."""
    measured, notes = [], []
    training, labels = bundled_fashion("training"), deletion.known(deletion.label_array(lesion_set()))
    for name in (*RESIDUAL, CONTROL):
        loaded, plain = network(name), name == CONTROL
        wrong = stopped(name).predictions != labels
        blocks = len(wrong) - 1

        def error(chosen: np.ndarray, walked: int, wrong: np.ndarray = wrong) -> float:
            return float(100 * wrong[walked, chosen].mean())

        for walked, most in ((blocks // 2, 50), (round(3 * blocks / 4), 25)):
            value = error(np.arange(len(labels)), walked)
            interval = bootstrapped(partial(error, walked=walked), len(labels))
            if not plain:
                measured.append(Measurement(name, f"error after {walked} of {blocks} blocks, %", value, *interval, "95 %, images", value <= most))
            else:
                notes.append(f"{name}: error after {walked} of {blocks} blocks {value:.0f} %")

        def largest_fall(chosen: np.ndarray, wrong: np.ndarray = wrong) -> float:
            return early_stop.largest_fall(wrong[:, chosen].mean(1))

        if not plain:
            what, fall = "share of the fall at a single block, the largest", largest_fall(np.arange(len(labels)))
            interval = bootstrapped(largest_fall, len(labels))
            measured.append(Measurement(name, what, fall, *interval, "95 %, images", fall <= 0.25))
        probed = early_stop.probe_everywhere(loaded.network, loaded.entry.preprocessing, training, lesion_set()) != labels

        def lead(chosen: np.ndarray, half: np.ndarray = probed[blocks // 2], end: np.ndarray = probed[-1]) -> float:
            return float(100 * (half[chosen].mean() - end[chosen].mean()))

        value = lead(np.arange(len(labels)))
        expected = value > 10 if plain else value <= 10
        measured.append(Measurement(name, "error of a linear probe half way minus at the end, points", value, *bootstrapped(lead, len(labels)), "95 %, images", expected))
        errors = ", ".join(f"{100 * probed[walked].mean():.1f}" for walked in (0, blocks // 4, blocks // 2, round(3 * blocks / 4), blocks))
        notes.append(f"{name}: error of a linear probe before the first block and after each quarter of the blocks {errors} %")
    notes.append("what a probe can read is there early, in the plain network too; the head can read it late")
    return measured, "; ".join(notes), None


def calibrated() -> Answer:
    """Confidence and accuracy before a lesion and after many."""
    measured, notes, rows = [], [], []
    draws = calibration.DRAWS
    for name in ("fashion-resnet56", CONTROL):
        loaded = network(name)
        count = len(loaded.network.blocks)
        deleted = round(count / 10)
        generator = np.random.default_rng(0)
        chosen = [generator.choice(list(loaded.network.blocks), deleted, replace=False) for _ in range(draws)]
        lesions = [loaded.network.gates_without(names) for names in chosen]
        labels = deletion.known(deletion.label_array(lesion_set()))
        intact, *lesioned = deletion.probabilities_of_each(
            loaded.network, loaded.entry.preprocessing, lesion_set(), [loaded.intact, *lesions]
        )
        before, after = calibration.reliability(intact, labels), [calibration.reliability(each, labels) for each in lesioned]
        errors = np.array([each.expected_calibration_error for each in after])
        surplus = np.array([each.surplus for each in after])
        for what, values in (
            ("growth of the calibration error", errors - before.expected_calibration_error),
            ("confidence minus accuracy, with the lesion", surplus),
        ):
            value = float(np.median(values))
            measured.append(Measurement(name, f"{what}, median of the draws", value, *median_interval(values), f"95 %, {draws} draws", value > 0))  # fmt: skip
        notes.append(f"{name}, {draws} draws of {deleted} of its {count} blocks: calibration error {before.expected_calibration_error:.3f} intact, {errors.min():.3f} to {errors.max():.3f} "
                     f"with the lesion; confidence minus accuracy {surplus.min():.2f} to {surplus.max():.2f}, above 0 in {(surplus > 0).sum()}")  # fmt: skip
        pooled = calibration.reliability(np.concatenate(lesioned), np.tile(labels, draws))
        rows += [(f"{name}, intact", before, True), (f"{name}, {deleted} blocks deleted, {draws} draws", pooled, False)]
    return measured, "; ".join(notes), importance_figures.reliability_diagram(rows[:2], LIGHT)


@cache
def lengths(name: str, untrained: bool = False) -> GradientByLength:
    """The exact gradient by path length over 32 images."""
    walked, inputs, labels = batch(name, BACKWARD_IMAGES)
    if untrained:
        walked = load(NETWORKS[name], untrained=0).network
    return paths.gradient_by_length(walked, inputs, labels)


def counted() -> Answer:
    """Arithmetic: how many of the 2^54 paths have which length."""
    counts = lengths("fashion-resnet110").paths
    few, most = (100 * paths.share_of_paths(counts, *ends) for ends in ((5, 17), (19, 35)))
    measured = [
        Measurement(
            "any network of 54 blocks", "paths of 5 to 17 branches, %", few, None, None, "", abs(few - 0.4537) < 1e-4
        ),
        Measurement(
            "any network of 54 blocks", "paths of 19 to 35 branches, %", most, None, None, "", abs(most - 98.02) < 0.01
        ),
    ]
    return measured, "Each branch lies on half of the paths, 2^53 of 2^54", None


def gradient() -> Answer:
    """Which lengths carry the gradient."""
    measured, notes = [], []
    for name in ("fashion-resnet110", "fashion-preact110", "fashion-resnet56", "fashion-preact56"):
        exact = lengths(name)
        half = (len(exact.paths) - 1) / 2

        def mean_length(chosen: np.ndarray, exact: GradientByLength = exact) -> float:
            return replace(exact, norms=exact.norms[chosen]).mean_length

        interval = bootstrapped(mean_length, len(exact.norms))
        measured.append(
            Measurement(
                name, "mean length, branches", exact.mean_length, *interval, IMAGES, exact.mean_length < half / 2 + 1e-9
            )
        )
        low, high = paths.carrying_range(exact.mean_norms)
        notes.append(f"{name}: 95 % of the summed norms at lengths of {low} to {high} of {len(exact.paths) - 1} branches "
                     f"({100 * paths.share_of_paths(exact.paths, low, high):.2g} % of the paths); untrained {lengths(name, untrained=True).mean_length:.1f} on average; "
                     f"the lengths add up to autograd's gradient within {exact.sum_relative_error:.0e}")  # fmt: skip
    figure = path_figures.share_by_length(
        lengths("fashion-resnet110"), LIGHT, ("fashion-preact110", lengths("fashion-preact110"))
    )
    return measured, "; ".join(notes), figure


def one_path() -> Answer:
    """Single paths, drawn at random: the longer, the weaker."""
    sampled = paths.sampled_path_norms(*batch("fashion-resnet110", BACKWARD_IMAGES))
    length = np.repeat(np.arange(len(sampled)), sampled.shape[1])

    def correlation(chosen: np.ndarray) -> float:
        return float(stats.spearmanr(length[chosen], sampled.flatten()[chosen]).statistic)

    value = correlation(np.arange(len(length)))
    exact = lengths("fashion-resnet110")
    product = paths.count_times_norm(exact.paths, sampled)
    measured = [
        Measurement(
            "fashion-resnet110",
            "Spearman's correlation of norm and length",
            value,
            *bootstrapped(correlation, len(length)),
            "95 %, paths",
            value < -0.9,
        )
    ]
    generator = np.random.default_rng(0)
    drawn = generator.integers(sampled.shape[1], size=(RESAMPLES, *sampled.shape))
    peaks = [paths.count_times_norm(exact.paths, np.take_along_axis(sampled, each, 1)).argmax() for each in drawn]
    low, high = np.percentile(peaks, [2.5, 97.5])
    notes = (f"five paths a length do not determine where the number of paths times the norm of one peaks: at {int(product.argmax())} as drawn, "
             f"at {low:.0f} to {high:.0f} in 95 % of redraws from them, and one path alone makes up {100 * paths.largest_path_share(exact.paths, sampled):.0f} % of the product; "
             f"the exact gradient peaks at {int(exact.mean_norms.argmax())}")  # fmt: skip
    return measured, notes, path_figures.count_times_norm(exact, sampled, LIGHT)


def strongest() -> Answer:
    """The strongest single paths that a search finds."""
    walked, inputs, labels = batch("fashion-resnet20", 10)
    recalls = []
    for image, label in zip(inputs.split(1), labels.split(1), strict=True):
        right, looked_at = strongest_paths.recall(walked, image, label)
        recalls.append(right / looked_at)
    value, interval = float(np.mean(recalls)), stats.ttest_1samp(recalls, 0).confidence_interval()
    what = "share of the 64 strongest paths that a search of width 64 finds"
    low, high = float(interval.low), float(interval.high)
    measured = [Measurement("fashion-resnet20", what, value, low, high, "95 %, Student's t over 10 images", value > 0.7)]
    return measured, "all 512 paths are known, so what the search misses can be counted", None


def trained_on_matching_blocks() -> Answer:
    """Training on as many random blocks as match the paths that carry the gradient, from the bundled histories."""
    ways = short_path_runs("fashion-resnet56")
    ordinary, random = ways.values()
    (_, way) = ways
    before = [history["test_error_pct"] for history in ordinary]
    errors, anew = ([history[f"test_error{kind}_pct"] for history in random] for kind in ("", "_reestimated"))
    as_trained, with_own = difference(errors, before), difference(anew, before)
    measured = [
        Measurement("fashion-resnet56", f"{way}: difference, points", *as_trained, WELCH, as_trained[0] > 5),
        Measurement("fashion-resnet56", f"{way}, batch norms taken anew: difference, points", *with_own, WELCH, with_own[0] <= 3),
    ]  # fmt: skip
    notes = f"means: ordinary {np.mean(before):.2f} %; {way} {np.mean(errors):.2f} %, with batch norms taken anew {np.mean(anew):.2f} %"
    return measured, notes, error_by_epoch(ways, LIGHT)


def trained_on_short_paths() -> Answer:
    """Training on paths shorter than those that carry the gradient, from the bundled histories."""
    ways = short_path_runs("fashion-resnet20")
    errors = {name: [history["test_error_pct"] for history in found] for name, found in ways.items()}
    ordinary, *others = errors.items()
    measured = []
    for name, found in others:
        rise, low, high = difference(found, ordinary[1])
        measured.append(Measurement("fashion-resnet20", f"{name}: difference, points", rise, low, high, WELCH, low < 0 < high))
    anew = [history["test_error_reestimated_pct"] for history in list(ways.values())[1]]
    means = "; ".join(f"{name} {np.mean(found):.2f} %" for name, found in errors.items())
    share = short_paths.share_of_short_paths(lengths("fashion-resnet20").mean_norms)
    notes = (f"{means}; with batch-norm statistics taken anew with all blocks, training on random blocks gives {np.mean(anew):.2f} %; paths of at most "
             f"{short_paths.LONGEST_PATH} branches carry {100 * share:.0f} % of the gradient of the trained network (summed norms by length, {BACKWARD_IMAGES} of the bundled test images)")  # fmt: skip
    return measured, notes, error_by_epoch(ways, LIGHT)


QUESTIONS: list[tuple[Plan, str, Callable[[], Answer]]] = [
    *TRAINING_QUESTIONS,
    (shattered.PLAN, "shattered_gradients?network=fashion-resnet56", shattered_gradients.verdict),
    (lesion_studies.PLANS[SINGLE], "layer_deletion?network=fashion-resnet56", single),
    (lesion_studies.PLANS[RANDOM], "lesion_studies?network=fashion-resnet56", lambda: many(RANDOM)),
    (lesion_studies.PLANS[REORDER], "lesion_studies?network=fashion-resnet56&study=swap-places", lambda: many(REORDER)),
    (early_stop.PLAN, "early_stop?network=fashion-resnet56", early),
    (early_stop.REFINING_PLAN, "early_stop?network=fashion-resnet56", refining),
    (attribution.PLAN, "block_importance?network=fashion-resnet20", importance),
    (calibration.PLAN, "layer_deletion?network=fashion-resnet56&deleted=13.16.21", calibrated),
    (paths.COUNT_PLAN, "path_unrolling?network=fashion-resnet110", counted),
    (paths.LENGTH_PLAN, "path_unrolling?network=fashion-resnet110&beside=fashion-preact110", gradient),
    (paths.SINGLE_PATH_PLAN, "path_unrolling?network=fashion-resnet110", one_path),
    (strongest_paths.PLAN, "strongest_paths?network=fashion-resnet20", strongest),
    *([(short_paths.MATCHED_PLAN, "short_paths", trained_on_matching_blocks)] if every_seed(short_path_runs("fashion-resnet56")) else []),
    (short_paths.PLAN, "short_paths?network=fashion-resnet20", trained_on_short_paths),
]


def report(progress: Progress = no_progress) -> tuple[list[Finding], list[Plot | None]]:
    """Ask every question of the bundled networks. Returns the findings and a figure for each that has one."""
    findings, figures = [], []
    for number, (plan, view, answer) in enumerate(QUESTIONS):
        progress(number, len(QUESTIONS))
        started = time.monotonic()
        measured, notes, figure = answer()
        findings.append(Finding(plan, view, tuple(measured), notes, round(time.monotonic() - started, 1)))
        figures.append(figure)
    progress(len(QUESTIONS), len(QUESTIONS))
    return findings, figures
