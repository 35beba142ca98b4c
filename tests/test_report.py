"""The report: what is bundled is what its questions give, and its forms say the same."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from resnet_viz import findings, report
from resnet_viz.cli import main
from resnet_viz.errors import InputError
from resnet_viz.experiments import short_paths as experiment
from resnet_viz.experiments.degradation import LONGER_PLAN, trained_longer
from resnet_viz.experiments.deletion import Sweep
from resnet_viz.experiments.lesion_studies import RANDOM, Study
from resnet_viz.experiments.training import every_seed, short_path_runs
from resnet_viz.recipes import degradation, path_unrolling, short_paths, strongest_paths
from resnet_viz.recipes.lesion_studies import steps_interval
from resnet_viz.recipes.verdict import RESIDUAL, median_interval

QUICK = [path_unrolling.number_of_paths, strongest_paths.strongest_found, short_paths.trained_on_short_paths]
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def quick_questions(monkeypatch):
    """Only those that take a few seconds."""
    monkeypatch.setattr(report, "QUESTIONS", [row for row in report.QUESTIONS if row[2] in QUICK])


@pytest.mark.usefixtures("quick_questions")
def test_the_bundled_report_is_what_its_questions_give():
    bundled = {finding.plan.question: finding for finding in findings.bundled()}
    found, _ = report.report()
    assert len(found) == 3
    for finding in found:
        known = bundled[finding.plan.question]
        assert finding.plan == known.plan and finding.view == known.view
        for measured, expected in zip(finding.measurements, known.measurements, strict=True):
            assert (measured.network, measured.what, measured.as_expected) == (
                expected.network,
                expected.what,
                expected.as_expected,
            )
            assert measured.value == pytest.approx(expected.value, abs=0.02)


def test_a_bracket_says_what_it_is_where_the_number_stands():
    for finding in findings.bundled():
        for measured in finding.measurements:
            assert (measured.low is None) == (measured.bracket == ""), measured
            assert measured.bracket in findings.measured_text(measured)
    number = findings.Measurement("fashion-resnet56", "median rise, points", 0.7, 0.1, 1.4, "95 %, images", True)
    assert findings.measured_text(number) == "fashion-resnet56, median rise, points: 0.7 (0.1 to 1.4; 95 %, images)"


def test_an_expectation_says_which_figures_were_known():
    asked = [finding for finding in findings.bundled() if finding.plan.known]
    assert asked and len(asked) < len(findings.bundled())
    forms = findings.as_table(asked, lambda _: ""), findings.as_html(asked, [None] * len(asked))
    for finding in asked:
        told = f"{finding.plan.expected} (expected when {finding.plan.known} were known)"
        assert finding.plan.lines()["expected"] == told
        assert all(told in html.unescape(form).replace(r"\|", "|") for form in forms)


def test_the_interval_of_a_median_is_between_two_of_its_draws():
    draws = np.arange(20.0)[::-1]
    assert median_interval(draws) == (5, 14), "of 20 draws the 6th and the 15th: 95.9 %"


def test_the_intervals_of_a_studys_steps_hold_them_and_are_narrow_where_draws_agree():
    labels = np.zeros(100, np.int64)

    def study(spread: int) -> Study:
        errors = np.add.outer([20, 50, 90], np.arange(10) - 5) if spread else np.repeat([[20], [50], [90]], 10, 1)
        predictions = (np.arange(100) < errors.reshape(-1, 1)).astype(np.int64)
        steps = np.repeat([1, 2, 3], 10)
        return Study(RANDOM, steps.astype(float), steps, Sweep(("x",) * 30, labels, predictions, labels))

    (low, high), fall = steps_interval(study(0))
    assert low == high == study(0).largest_steps()[0] == pytest.approx(40 / 90) and fall == (0, 0)
    (low, high), _ = steps_interval(study(10))
    assert low < study(10).largest_steps()[0] < high


def test_every_question_is_in_the_bundled_report_with_what_was_expected_of_it():
    bundled = findings.bundled()
    assert [(finding.plan, finding.view) for finding in bundled] == [(plan, view) for plan, view, _ in report.QUESTIONS]
    assert all(finding.measurements for finding in bundled)
    for measured in (each for finding in bundled for each in finding.measurements):
        if measured.low is not None:
            assert measured.low <= measured.value <= measured.high


def test_effects_are_there_with_margins_well_outside_sampling_error():
    values = {(each.network, each.what): each for finding in findings.bundled() for each in finding.measurements}
    rise = "median rise, points"
    assert max(values[name, rise].high for name in ("fashion-resnet56", "fashion-resnet110", "fashion-preact110")) < 10
    assert min(values[name, rise].low for name in ("fashion-plain56", "fashion-vgg11")) > 60
    for name in RESIDUAL:
        assert values[name, "mean length, branches"].high < 13.5
    assert values["any network of 54 blocks", "paths of 5 to 17 branches, %"].value == pytest.approx(0.4537, abs=1e-4)


def test_the_readme_shows_the_table():
    table = findings.as_table(findings.bundled(), lambda finding: f"pages/{finding.page}.py")
    assert table in README.read_text()


@pytest.mark.usefixtures("quick_questions")
def test_the_files_say_the_same(tmp_path):
    files = [tmp_path / "report.json", tmp_path / "report.html"]
    result = CliRunner().invoke(main, ["report", "--json", str(files[0]), "--html", str(files[1])])
    assert result.exit_code == 0, result.output
    written, page = json.loads(files[0].read_text()), files[1].read_text()
    assert [finding["plan"]["question"] for finding in written["findings"]] == [
        row[0].question for row in report.QUESTIONS
    ]
    for plan, _, _ in report.QUESTIONS:
        assert page.count(f"<h2>{plan.question}</h2>") == 1
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.https?:", page), "it opens without internet"
    assert page.count("plotly.js v") == 1


@pytest.mark.usefixtures("all_trained")
def test_longer_trainings_and_matching_blocks_are_judged_by_their_margins(all_trained):
    measured, notes, _ = degradation.longer()
    assert [(each.network, each.value, each.as_expected) for each in measured] == [
        ("plain56 against plain20", 2.5, True),
        ("resnet56 against resnet20", -1.5, True),
    ]
    assert "/ 8.0 %" in notes
    measured, notes, _ = short_paths.trained_on_matching_blocks()
    before = [run["test_error_pct"] for run in short_path_runs("fashion-resnet56")["all 27 blocks"]]
    assert [each.value for each in measured] == pytest.approx([32 - sum(before) / 3, 9 - sum(before) / 3])
    assert all(each.as_expected for each in measured)
    path = all_trained / "histories" / "fashion-plain56-epochs30.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"train_error_pct": 6.4}))
    assert [each.as_expected for each in degradation.longer()[0]] == [False, True]


def test_a_question_whose_runs_are_not_all_there_is_not_asked():
    asked = {plan.question for plan, _, _ in report.QUESTIONS}
    assert (LONGER_PLAN.question in asked) == (not trained_longer()[1])
    assert (experiment.MATCHED_PLAN.question in asked) == every_seed(short_path_runs("fashion-resnet56"))
    assert not every_seed({"a": [1, 2, 3], "b": [1, 2]})


def test_a_missing_report_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setattr(findings, "REPORT", tmp_path / "report.json")
    with pytest.raises(InputError, match="python -m resnet_viz report"):
        findings.bundled()
