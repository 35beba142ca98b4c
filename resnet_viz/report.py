"""The report: every question about lesions and paths, asked of the bundled networks, with what was expected and what came."""

import html
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from markdown_it import MarkdownIt
from scipy import stats

from .citation import CITE
from .errors import InputError
from .experiments import (
    attribution,
    calibration,
    deletion,
    early_stop,
    lesion_studies,
    paths,
    short_paths,
    strongest_paths,
)
from .experiments.attribution import Importance
from .experiments.lesion_studies import RANDOM, REORDER, SINGLE, Study
from .experiments.paths import GradientByLength
from .experiments.plan import Plan
from .experiments.training import SHORT_PATHS, histories
from .figures import deletion as deletion_figures
from .figures import importance as importance_figures
from .figures import lesion_studies as study_figures
from .figures import paths as path_figures
from .figures.document import html_document, html_figure
from .figures.palette import LIGHT
from .figures.training import error_by_epoch
from .networks.images import ImageSet
from .networks.zoo import CHECKPOINTS, NETWORKS, LoadedNetwork, images_of, load
from .progress import Progress, no_progress

REPORT = Path(__file__).with_suffix(".json")
CHANCE = 90.0  # per cent, of ten classes
BACKWARD_IMAGES = 32
RESAMPLES = 1000
RESIDUAL, CONTROL = ("fashion-resnet56", "fashion-resnet110"), "fashion-plain56"


@dataclass(frozen=True)
class Measurement:
    """One number. ``low``, ``high``: its 95 % interval, None where it is exact. ``as_expected``: whether it falls where the
    plan said before measuring."""

    network: str
    what: str
    value: float
    low: float | None
    high: float | None
    as_expected: bool


@dataclass(frozen=True)
class Finding:
    """A question, its answer in numbers, and the view that tests it: 'early_stop?network=fashion-resnet56'."""

    plan: Plan
    view: str
    measurements: tuple[Measurement, ...]
    notes: str
    seconds: float

    @property
    def page(self) -> str:
        return self.view.split("?")[0]

    @property
    def as_expected(self) -> bool:
        return all(each.as_expected for each in self.measurements)


Answer = tuple[list[Measurement], str, go.Figure | None]


@cache
def network(name: str) -> LoadedNetwork:
    return load(NETWORKS[name])


@cache
def lesion_set() -> ImageSet:
    return images_of(NETWORKS[CONTROL])


def bootstrapped(statistic: Callable[[np.ndarray], float], units: int) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of chosen units, drawn with replacement, seed 0."""
    found = stats.bootstrap(
        (np.arange(units),), statistic, vectorized=False, n_resamples=RESAMPLES, method="percentile", rng=0
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def study_of(name: str, kind: str) -> Study:
    """A study of one network over the lesion set: five draws, seed 0."""
    loaded = network(name)
    settings = loaded.network, loaded.entry.preprocessing, lesion_set()
    if kind == SINGLE:
        return lesion_studies.single_deletions(*settings)
    draw = lesion_studies.random_deletions if kind == RANDOM else lesion_studies.random_swaps
    return draw(*settings, lesion_studies.ten_counts(len(loaded.network.blocks)))


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
                value > 50 if plain else value < 5,
            )
        )
        worst = ", ".join(f"{block} {error:.1f} %" for block, error in swept.worst())
        notes.append(f"{name}: mean {swept.rises.mean():+.1f}, intact {swept.error_pct:.1f} %, the three worst {worst}")
        rows.append((name, swept, plain))
    return measured, "; ".join(notes), deletion_figures.sweep_errors([rows[0], rows[3]], CHANCE, LIGHT)


def many(kind: str) -> Answer:
    """Random deletions or swaps: smooth in the residual networks, a collapse in the plain one."""
    measured, notes, rows = [], [], []
    for name in (*RESIDUAL, CONTROL):
        study = study_of(name, kind)
        steps, _, middle, _, _ = study.medians()
        plain = paths.is_plain(network(name).network)
        if plain:
            first = study.error_pct[study.steps == steps[0]]
            value = float(middle.min())
            measured.append(
                Measurement(name, "least median error, %", value, float(first.min()), float(first.max()), value > 50)
            )
        else:

            def correlation(chosen: np.ndarray, study: Study = study) -> float:
                return float(stats.spearmanr(study.amounts[chosen], study.error_pct[chosen]).statistic)

            value, interval = study.correlation(), bootstrapped(correlation, len(study.steps))
            expected = value > 0.9 if kind == RANDOM else value < -0.8
            measured.append(Measurement(name, "Spearman's correlation", value, *interval, expected))
            if kind == RANDOM:
                tenth = int(np.flatnonzero(steps <= len(network(name).network.blocks) / 10).max())
                errors = study.error_pct[study.steps == steps[tenth]]
                error = float(middle[tenth])
                measured.append(Measurement(name, f"median error with {steps[tenth]} deleted, %", error, float(errors.min()), float(errors.max()), error < 50))  # fmt: skip
        errors = study.error_pct
        worst = ", ".join(f"{error:.0f} %" for error in np.sort(errors)[:-4:-1])
        notes.append(f"{name}: mean {errors.mean():.1f} %, median {np.median(errors):.1f} %, the three worst {worst}")
        rows.append((name, study, plain))
    return measured, "; ".join(notes), study_figures.errors_by_amount([rows[0], rows[2]], CHANCE, LIGHT)


def importance() -> Answer:
    """Four measures of importance, on the smaller networks."""
    measured, figure = [], None
    for name in ("fashion-resnet20", "fashion-resnet56"):
        loaded = network(name)
        batch = lesion_set().limit(attribution.IMAGES)
        settings = loaded.network, loaded.inputs(batch), deletion.known(batch.labels).to(loaded.inputs(batch).device)
        deleted = attribution.true_deletion(*settings)
        drawn = [attribution.shapley_permutation(*settings, number) for number in range(attribution.PERMUTATIONS)]
        others = {"Shapley value, nats": attribution.shapley(drawn), "first order, nats": attribution.first_order(*settings),
                  "|F(x)| / |x|": attribution.branch_size(*settings)}  # fmt: skip
        for title, other in others.items():

            def correlation(chosen: np.ndarray, other: Importance = other, deleted: Importance = deleted) -> float:
                return float(stats.spearmanr(other.mean[chosen], deleted.mean[chosen]).statistic)

            value = correlation(np.arange(len(deleted.mean)))
            expected = value > 0.7 if title.startswith("Shapley") else value < 0.7
            measured.append(
                Measurement(
                    name,
                    f"{title.split(',')[0]} with deletion",
                    value,
                    *bootstrapped(correlation, len(deleted.mean)),
                    expected,
                )
            )
        figure = importance_figures.importance_by_block(
            list(loaded.network.blocks), {"deletion, nats": deleted, **others}, LIGHT
        )
    return (
        measured,
        "Spearman's rank correlations over the blocks, whose intervals come from resampling the blocks",
        figure,
    )


def early() -> Answer:
    """The last tenth of the blocks left out."""
    measured, rows = [], []
    for name in (*RESIDUAL, CONTROL):
        loaded = network(name)
        swept = early_stop.stop_everywhere(loaded.network, loaded.entry.preprocessing, lesion_set())
        count = len(loaded.network.blocks)
        walked = count - round(count / 10)
        plain, value = paths.is_plain(loaded.network), float(swept.rises[walked])
        what = f"rise after {walked} of {count} blocks, points"
        measured.append(
            Measurement(name, what, value, *swept.lesions[walked].rise_interval(), value > 50 if plain else value < 5)
        )
        rows.append((name, swept, plain))
    notes = "; ".join(f"{name}: {study_figures.stop_sentence(swept)}" for name, swept, _ in rows)
    return measured, notes, study_figures.error_by_stop([rows[0], rows[2]], CHANCE, LIGHT)


def calibrated() -> Answer:
    """Confidence and accuracy before and after a lesion."""
    measured, notes, rows = [], [], []
    for name in ("fashion-resnet56", CONTROL):
        loaded = network(name)
        count = len(loaded.network.blocks)
        chosen = np.random.default_rng(0).choice(count, round(count / 10), replace=False)
        gates = [0.0 if index in chosen else 1.0 for index in range(count)]
        labels = deletion.known(deletion.label_array(lesion_set()))
        both = deletion.probabilities_of_each(
            loaded.network, loaded.entry.preprocessing, lesion_set(), [[1.0] * count, gates]
        )
        before, after = (calibration.reliability(each, labels) for each in both)

        def growth(chosen: np.ndarray, both: np.ndarray = both, labels: np.ndarray = labels) -> float:
            intact, damaged = (
                calibration.reliability(each[chosen], labels[chosen]).expected_calibration_error for each in both
            )
            return damaged - intact

        value = growth(np.arange(len(lesion_set())))
        accuracy = float((both[1].argmax(1) == labels).mean())
        overconfident = after.mean_confidence > accuracy
        measured.append(
            Measurement(
                name,
                "growth of the calibration error",
                value,
                *bootstrapped(growth, len(lesion_set())),
                value > 0 and overconfident,
            )
        )
        notes.append(f"{name}: calibration error {before.expected_calibration_error:.3f} → {after.expected_calibration_error:.3f}; "
                     f"with the lesion, confidence {after.mean_confidence:.2f} at an accuracy of {accuracy:.2f}")  # fmt: skip
        rows += [(f"{name}, intact", before, True), (f"{name}, {len(chosen)} blocks deleted", after, False)]
    return measured, "; ".join(notes), importance_figures.reliability_diagram(rows[:2], LIGHT)


@cache
def lengths(name: str, untrained: bool = False) -> GradientByLength:
    """The exact gradient by path length over 32 images."""
    loaded = load(NETWORKS[name], untrained=0) if untrained else network(name)
    batch = lesion_set().limit(BACKWARD_IMAGES)
    labels = deletion.known(batch.labels)
    return paths.gradient_by_length(loaded.network, loaded.inputs(batch), labels.to(loaded.inputs(batch).device))


def counted() -> Answer:
    """Arithmetic: how many of the 2^54 paths have which length."""
    counts = lengths("fashion-resnet110").paths
    few, most = (100 * paths.share_of_paths(counts, *ends) for ends in ((5, 17), (19, 35)))
    measured = [
        Measurement(
            "any network of 54 blocks", "paths of 5 to 17 branches, %", few, None, None, abs(few - 0.4537) < 1e-4
        ),
        Measurement(
            "any network of 54 blocks", "paths of 19 to 35 branches, %", most, None, None, abs(most - 98.02) < 0.01
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
            norms = exact.norms[chosen].mean(0)
            return float(np.arange(len(norms)) @ norms / norms.sum())

        interval = bootstrapped(mean_length, len(exact.norms))
        measured.append(
            Measurement(
                name, "mean length, branches", exact.mean_length, *interval, exact.mean_length < half / 2 + 1e-9
            )
        )
        low, high = paths.carrying_range(exact.mean_norms)
        notes.append(f"{name}: 95 % of the gradient through {low} to {high} of {len(exact.paths) - 1} branches "
                     f"({100 * paths.share_of_paths(exact.paths, low, high):.2g} % of the paths); untrained {lengths(name, untrained=True).mean_length:.1f} on average; "
                     f"the lengths add up to autograd's gradient within {exact.sum_relative_error:.0e}")  # fmt: skip
    figure = path_figures.share_by_length(
        lengths("fashion-resnet110"), LIGHT, ("fashion-preact110", lengths("fashion-preact110"))
    )
    return measured, "; ".join(notes), figure


def one_path() -> Answer:
    """Single paths, drawn at random: the longer, the weaker."""
    loaded = network("fashion-resnet110")
    batch = lesion_set().limit(BACKWARD_IMAGES)
    inputs = loaded.inputs(batch)
    sampled = paths.sampled_path_norms(loaded.network, inputs, deletion.known(batch.labels).to(inputs.device))
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
            value < -0.9,
        )
    ]
    notes = (f"number of paths times the norm of one peaks at length {int(product.argmax())}, the exact gradient at {int(exact.mean_norms.argmax())}; "
             "the product overstates long lengths, where the gradients of many paths cancel")  # fmt: skip
    return measured, notes, path_figures.count_times_norm(exact, sampled, LIGHT)


def strongest() -> Answer:
    """The strongest single paths that a search finds."""
    loaded = network("fashion-resnet20")
    batch = lesion_set().limit(10)
    inputs, labels = loaded.inputs(batch), deletion.known(batch.labels)
    recalls = []
    for image, label in zip(inputs.split(1), labels.to(inputs.device).split(1), strict=True):
        right, looked_at = strongest_paths.recall(loaded.network, image, label)
        recalls.append(right / looked_at)
    shares = np.array(recalls)
    interval = bootstrapped(lambda chosen: float(shares[chosen].mean()), len(shares))
    measured = [
        Measurement(
            "fashion-resnet20",
            "share of the 64 strongest paths that a search of width 64 finds",
            float(shares.mean()),
            *interval,
            bool(shares.mean() > 0.7),
        )
    ]
    return measured, "over ten images; all 512 paths are known, so what the search misses can be counted", None


def trained_on_short_paths() -> Answer:
    """Training on short paths, from the bundled histories."""
    entry = NETWORKS["fashion-resnet20"]
    ways = {name: histories(entry, recipe, CHECKPOINTS) for name, recipe in SHORT_PATHS.items()}
    errors = {name: [history["test_error_pct"] for history in found] for name, found in ways.items()}
    ordinary, *others = errors.items()
    measured = []
    for name, found in others:
        rise, low, high = short_paths.difference(found, ordinary[1])
        measured.append(Measurement("fashion-resnet20", f"{name}: difference, points", rise, low, high, low < 0 < high))
    anew = [history["test_error_reestimated_pct"] for history in list(ways.values())[1]]
    means = "; ".join(f"{name} {np.mean(found):.2f} %" for name, found in errors.items())
    notes = f"{means}; with batch-norm statistics taken anew with all blocks, training on random blocks gives {np.mean(anew):.2f} %"
    return measured, notes, error_by_epoch(ways, LIGHT)


QUESTIONS: list[tuple[Plan, str, Callable[[], Answer]]] = [
    (lesion_studies.PLANS[SINGLE], "layer_deletion?network=fashion-resnet56", single),
    (lesion_studies.PLANS[RANDOM], "lesion_studies?network=fashion-resnet56", lambda: many(RANDOM)),
    (lesion_studies.PLANS[REORDER], "lesion_studies?network=fashion-resnet56&study=swap-places", lambda: many(REORDER)),
    (early_stop.PLAN, "early_stop?network=fashion-resnet56", early),
    (attribution.PLAN, "block_importance?network=fashion-resnet20", importance),
    (calibration.PLAN, "layer_deletion?network=fashion-resnet56&deleted=13.16.21", calibrated),
    (paths.COUNT_PLAN, "path_unrolling?network=fashion-resnet110", counted),
    (paths.LENGTH_PLAN, "path_unrolling?network=fashion-resnet110&beside=fashion-preact110", gradient),
    (paths.SINGLE_PATH_PLAN, "path_unrolling?network=fashion-resnet110", one_path),
    (strongest_paths.PLAN, "strongest_paths?network=fashion-resnet20", strongest),
    (short_paths.PLAN, "short_paths?network=fashion-resnet20", trained_on_short_paths),
]


def report(progress: Progress = no_progress) -> tuple[list[Finding], list[go.Figure | None]]:
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


def as_json(findings: Iterable[Finding]) -> str:
    """The report as it is bundled."""
    rows = [{**asdict(finding), "as_expected": finding.as_expected} for finding in findings]
    return json.dumps({"cite": CITE, "findings": rows}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def bundled() -> list[Finding]:
    """The report that came with the project. Raises InputError where it is missing."""
    if not REPORT.is_file():
        raise InputError(f"{REPORT} is missing; make it with: python -m resnet_viz report.")
    rows = json.loads(REPORT.read_text())["findings"]
    return [
        Finding(
            Plan(**row["plan"]),
            row["view"],
            tuple(Measurement(**each) for each in row["measurements"]),
            row["notes"],
            row["seconds"],
        )
        for row in rows
    ]


def as_html(findings: Iterable[Finding], figures: Iterable[go.Figure | None]) -> str:
    """The report as one self-contained file."""
    findings = list(findings)
    text = MarkdownIt("commonmark").enable("table").render
    parts = [text(as_table(findings, lambda finding: f"#question-{findings.index(finding)}"))]
    for number, (finding, figure) in enumerate(zip(findings, figures, strict=True)):
        facts = "".join(f"<li>{name}: {html.escape(value)}</li>" for name, value in vars(finding.plan).items())
        drawn = html_figure(figure) if figure else ""
        parts.append(f"<section id='question-{number}'><h2>{html.escape(finding.plan.question)}</h2><p>{html.escape(finding.notes)}</p>{drawn}"
                     f"<small><ul>{facts}</ul>{finding.seconds:.0f} s</small></section>")  # fmt: skip
    return html_document("What residual networks do when they are damaged", parts, LIGHT)


def measured_text(measurement: Measurement) -> str:
    """'fashion-resnet56: median rise, points 0.7 (0.1 to 1.4)'."""
    low, high = measurement.low, measurement.high
    number = (
        f"{measurement.value:.4g}"
        if low is None or high is None
        else f"{measurement.value:.3g} ({low:.3g} to {high:.3g})"
    )
    return f"{measurement.network}: {measurement.what} {number}"


def as_table(findings: Iterable[Finding], link: Callable[[Finding], str]) -> str:
    """A Markdown table; ``link`` gives the address of what tests it."""
    lines = ["| question | measured | expected beforehand | published |", "|---|---|---|---|"]
    for finding in findings:
        measured = "<br>".join(
            f"{measured_text(each)}{'' if each.as_expected else ' ✗'}" for each in finding.measurements
        )
        verdict = "as expected" if finding.as_expected else "**not as expected**"
        cells = [
            f"[{finding.plan.question}]({link(finding)})",
            measured,
            f"{finding.plan.expected}: {verdict}",
            finding.plan.published,
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
