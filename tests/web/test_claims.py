"""The seven claims of the first page: their numbers are those of the report and of the models, their links open what is there."""

from urllib.parse import parse_qsl

import pytest

from resnet_viz import findings
from resnet_viz.contents import CONTENTS
from resnet_viz.errors import InputError
from resnet_viz.networks.zoo import NETWORKS
from resnet_viz.recipes import recipe_named, start
from resnet_viz.recipes.measures import description_of_row
from tests.web.test_pages import opened


def test_each_claim_has_its_number_and_the_view_of_a_figure_that_exists() -> None:
    rows = start.claims().rows
    assert [row["claim"][2] for row in rows] == list("1234567")
    assert [row["number"] for row in rows] == [
        "+4.0 points",
        "95,000 times closer",
        "+0.81",
        "+12 %",
        "25 of 27",
        "27.6 % → 0\N{NO-BREAK SPACE}%",
        "7.1, not 27",
    ]
    for row in rows:
        page, _, query = row["view"].partition("?")
        figure, modules = dict(parse_qsl(query))["figure"], (page, "shattered_gradients")
        assert page in CONTENTS and any(recipe_named(f"{module}.{figure}") for module in modules)
        assert row["facts"] in ("precomputed", "computed from the model")


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(("page", "query"), [view.split("?") for _, view in start.CLAIMS])
def test_the_view_of_a_claim_is_taken_as_it_says(page, query) -> None:
    app = opened(page, dict(parse_qsl(query)))
    assert not [warning.value for warning in app.warning if "could not be used" in warning.value]
    assert not app.exception


def test_the_numbers_are_those_of_the_report_with_their_intervals() -> None:
    measured = {(each.network, each.what): each for found in findings.bundled() for each in found.measurements}
    training = measured["plain56 against plain20", "training error, points"]
    says = [row["says"] for row in start.claims().rows]
    assert f"({training.low:+.1f} to {training.high:+.1f}; {training.bracket})" in says[0]
    assert "(0.78 to 0.85; 95 %, Welch over 3 seeds)" in says[2] and "(6.7 to 7.6; 95 %, images)" in says[6]
    deep, shallow = (description_of_row(NETWORKS[f"imagenet-resnet{depth}"]).macs for depth in (50, 34))
    assert f"{100 * (deep / shallow - 1):+.0f} %" == "+12 %", "the same share as in the small networks"


def test_a_report_that_lacks_a_number_says_how_to_make_it() -> None:
    with pytest.raises(InputError, match="lacks plain56, errors; make it with: python -m resnet_viz report"):
        start.reported("plain56", "errors")
