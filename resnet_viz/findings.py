"""What came out of the report's questions, and the forms it takes: JSON, a table, one page of HTML."""

import html
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

from .citation import CITE
from .errors import InputError
from .experiments.plan import Plan
from .figures.document import html_document, html_figure
from .figures.palette import LIGHT
from .figures.plot import Plot

__all__ = [
    "JUDGED",
    "REPORT",
    "Answer",
    "Finding",
    "Measurement",
    "Question",
    "as_html",
    "as_json",
    "bundled",
    "finding_text",
    "plan_text",
]

JUDGED = (
    "The verdict is by the number itself. In brackets, where it was not counted exactly, its 95 % interval, and over what: "
    "images, draws of the lesion, blocks, permutations or paths, drawn anew, or seeds (a t interval)."
)
REPORT = Path(__file__).with_name("report.json")


@dataclass(frozen=True)
class Measurement:
    """One number. ``low``, ``high``: an interval of this very number, None where it is exact; ``bracket`` says what it is:
    '95 %, images'. ``as_expected``: whether the number falls where the plan said."""

    network: str
    what: str
    value: float
    low: float | None
    high: float | None
    bracket: str
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


Answer = tuple[list[Measurement], str, Plot | None]
Question = tuple[Plan, str, Callable[[], Answer]]  # what is asked, the view that tests it, and what answers it


def as_json(findings: Iterable[Finding]) -> str:
    """The report as it is bundled."""
    rows = [{**asdict(finding), "as_expected": finding.as_expected} for finding in findings]
    return json.dumps({"cite": CITE, "findings": rows}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def bundled() -> tuple[Finding, ...]:
    """The report that came with the project. Raises InputError where it is missing."""
    return read(REPORT)


@cache
def read(path: Path) -> tuple[Finding, ...]:
    """The findings in a file, read once: every page asks for them at every click."""
    if not path.is_file():
        raise InputError(f"{path} is missing; make it with: python -m resnet_viz report.")
    return tuple(
        Finding(
            Plan(**row["plan"]),
            row["view"],
            tuple(Measurement(**each) for each in row["measurements"]),
            row["notes"],
            row["seconds"],
        )
        for row in json.loads(path.read_text())["findings"]
    )


def as_html(findings: Iterable[Finding], figures: Iterable[Plot | None]) -> str:
    """The report as one self-contained file."""
    findings = list(findings)
    text = MarkdownIt("commonmark").enable("table").render
    parts = [text(as_table(findings, lambda finding: f"#question-{findings.index(finding)}"))]
    for number, (finding, figure) in enumerate(zip(findings, figures, strict=True)):
        facts = "".join(f"<li>{name}: {html.escape(value)}</li>" for name, value in finding.plan.lines().items())
        drawn = html_figure(figure.json()) if figure else ""
        parts.append(
            f"<section id='question-{number}'><h2>{html.escape(finding.plan.question)}</h2><p>{html.escape(finding.notes)}</p>{drawn}"
            f"<small><ul>{facts}</ul>{finding.seconds:.0f} s</small></section>"
        )
    return html_document("What residual networks do when they are trained and when they are damaged", parts, LIGHT)


def measured_text(measurement: Measurement) -> str:
    """'fashion-resnet56, median rise, points: 0.7 (0.1 to 1.4; 95 %, images)'."""
    low, high = measurement.low, measurement.high
    number = (
        f"{measurement.value:.4g}"
        if low is None or high is None
        else f"{measurement.value:.3g} ({low:.3g} to {high:.3g}; {measurement.bracket})"
    )
    return f"{measurement.network}, {measurement.what}: {number}"


def out_of(finding: Finding) -> list[str]:
    """Each measurement in words, with a mark where it is not as expected."""
    return [f"{measured_text(each)}{'' if each.as_expected else ' ✗'}" for each in finding.measurements]


def plan_text(plan: Plan) -> str:
    """What was expected of a question, and what came out, in Markdown."""
    lines = [f"**{title.capitalize()}:** {text}." for title, text in plan.lines().items() if title != "question"]
    for finding in (each for each in bundled() if each.plan == plan):
        verdict = "as expected" if finding.as_expected else "not as expected"
        lines.append(f"**Result, {verdict}:** {'; '.join(out_of(finding))}. {JUDGED} Also: {finding.notes}.")
    return "\n\n".join(lines)


def finding_text(finding: Finding) -> str:
    """What came out of a question, and what was expected, in Markdown."""
    return (
        "  \n".join(out_of(finding))
        + f"""

- Expected: {finding.plan.expectation}.
- Published: {finding.plan.published}.
- Measured: {finding.plan.measure}; on {finding.plan.images}; seeds: {finding.plan.seeds}.
- Also: {finding.notes}."""
    )


def as_table(findings: Iterable[Finding], link: Callable[[Finding], str]) -> str:
    """A Markdown table; ``link`` gives the address of what tests it."""
    lines = ["| question | measured | expected | published |", "|---|---|---|---|"]
    for finding in findings:
        measured = "<br>".join(out_of(finding))
        verdict = "as expected" if finding.as_expected else "**not as expected**"
        cells = [
            f"[{finding.plan.question}]({link(finding)})",
            measured,
            f"{finding.plan.expectation}: {verdict}",
            finding.plan.published,
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
