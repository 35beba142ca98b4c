"""The report: what is bundled is what its questions give, and its forms say the same."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from resnet_viz import findings, report, report_training
from resnet_viz.cli import main
from resnet_viz.errors import InputError
from resnet_viz.experiments import degradation, short_paths
from resnet_viz.experiments.training import every_seed, short_path_runs

QUICK = [report.counted, report.calibrated, report.trained_on_short_paths]
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
    for name in report.RESIDUAL:
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
    measured, notes, _ = report_training.trained_longer()
    assert [(each.network, each.value, each.as_expected) for each in measured] == [
        ("plain56 against plain20", 2.5, True), ("resnet56 against resnet20", -1.5, True),
    ]  # fmt: skip
    assert "/ 8.0 %" in notes
    measured, notes, _ = report.trained_on_matching_blocks()
    before = [run["test_error_pct"] for run in short_path_runs("fashion-resnet56")["all 27 blocks"]]
    assert [each.value for each in measured] == pytest.approx([32 - sum(before) / 3, 9 - sum(before) / 3])
    assert all(each.as_expected for each in measured)
    path = all_trained / "histories" / "fashion-plain56-epochs30.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"train_error_pct": 6.4}))
    assert [each.as_expected for each in report_training.trained_longer()[0]] == [False, True]


def test_a_question_whose_runs_are_not_all_there_is_not_asked():
    asked = {plan.question for plan, _, _ in report.QUESTIONS}
    assert (degradation.LONGER_PLAN.question in asked) == (not degradation.trained_longer()[1])
    assert (short_paths.MATCHED_PLAN.question in asked) == every_seed(short_path_runs("fashion-resnet56"))
    assert not every_seed({"a": [1, 2, 3], "b": [1, 2]})


def test_a_missing_report_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setattr(findings, "REPORT", tmp_path / "report.json")
    with pytest.raises(InputError, match="python -m resnet_viz report"):
        findings.bundled()
