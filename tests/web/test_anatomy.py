"""The page on costs: its numbers are those of the models, its controls stand in its links, its tables say what they
count."""

import pytest

from resnet_viz.errors import InputError
from resnet_viz.networks.zoo import NETWORKS
from resnet_viz.recipes import anatomy, measures
from resnet_viz.recipes.subject import Subject
from tests.web.test_links import query
from tests.web.test_pages import opened, texts


@pytest.mark.usefixtures("few_images")
def test_a_link_restores_every_setting() -> None:
    link = {
        "network": "fashion-resnet20",
        "width": "512",
        "reduction": "8",
        "side": "7",
        "module": "4e",
        "family": "cifar10",
    }
    app = opened("anatomy", link)
    assert query(app) == link and not app.warning
    cards = app.session_state["state"].cards
    assert "512 · 64 + 9 · 64 · 64 + 64 · 512" in cards["block_cost"].says and "· 7 · 7" in cards["block_cost"].says
    assert cards["inception_beside"].title.startswith("Inception 4e:")
    assert [row["network"] for row in cards["family"].rows] == [name for name in NETWORKS if name.startswith("cifar10")]
    assert "fashion-resnet20: layer3 has the most parameters" in texts(app)


def test_every_term_of_the_arithmetic_is_shown() -> None:
    shown = anatomy.block_cost()
    assert "2 · 9 · 256 · 256 = 1,179,648 weights (1.18 M)" in shown.says
    assert "256 · 64 + 9 · 64 · 64 + 64 · 256 = 69,632 (0.07 M)" in shown.says
    assert shown.title == "At 256 channels, two 3x3 have 17 times the weights of a bottleneck"
    assert len(shown.rows) == 2 + 3 + 2 + 3
    for row in shown.rows:
        for what in ("weights", "multiply-adds"):
            assert row[what] == eval(row[f"{what} as a product"].replace("·", "*"))


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        (anatomy.block_cost, {"width": 100}),
        (anatomy.block_cost, {"reduction": 1}),
        (anatomy.block_cost, {"side": 0}),
        (anatomy.inception_beside, {"module": "6a"}),
        (anatomy.family, {"name": "resnets"}),
    ],
)
def test_what_is_not_there_is_refused(recipe, settings) -> None:
    with pytest.raises(
        InputError, match=rf"{next(iter(settings))} must be one of .*; got {next(iter(settings.values()))}"
    ):
        recipe(**settings)


@pytest.mark.parametrize("name", ["fashion-resnet56", "fashion-plain20", "cifar10-resnet110", "imagenet-googlenet"])
def test_the_parts_of_a_network_are_all_of_it(name: str) -> None:
    description = measures.description_of_row(NETWORKS[name])
    parts = anatomy.parts_of(description)
    assert list(parts) == ["stem", *dict.fromkeys(block.stage for block in description.blocks), "head"]
    assert [sum(values) for values in zip(*parts.values(), strict=True)] == [description.params, description.macs]


def test_shares_of_a_network() -> None:
    shown = anatomy.where_it_goes(Subject.of("fashion-resnet56"))
    (bars,) = shown.plot().figure().data
    assert sum(bars.x[::2]) == pytest.approx(100) and sum(bars.x[1::2]) == pytest.approx(100)
    assert shown.title == "fashion-resnet56: layer3 has the most parameters (76 %) and the most multiply-adds (39 %)"
    elsewhere = anatomy.where_it_goes(Subject.of("fashion-resnet34")).title
    assert (
        elsewhere == "fashion-resnet34: layer4 has the most parameters (62 %), layer3 has the most multiply-adds (42 %)"
    )


def test_from_34_to_50_as_built_and_as_printed() -> None:
    shown = anatomy.from_34_to_50()
    assert shown.title == "16 more layers for 12 % more multiply-adds (6 % as the paper counts)"
    table = {row[""]: row for row in shown.rows}
    assert table["multiply-adds, as built"] == {
        "": "multiply-adds, as built",
        "ResNet-34": "3.66 G",
        "ResNet-50": "4.09 G",
        "difference": "+11.6 %",
    }
    assert table["multiply-adds, as printed"]["difference"] == "+5.6 %"
    assert table["the same with the stride in the 1x1"]["difference"] == "+5.3 %"
    (bars,) = shown.plot().figure().data
    built = [measures.description_of_row(NETWORKS[f"imagenet-resnet{depth}"]).macs / 1e6 for depth in (34, 50)]
    assert [sum(bars.x[::2]), sum(bars.x[1::2])] == pytest.approx(built)


def test_dense_heads() -> None:
    shown = anatomy.dense_head()
    assert shown.title.startswith("89 % of VGG-16's 138.4 M parameters are in its dense layers")
    assert "25,088 · 4,096 = 102,760,448 weights" in shown.says and "2,048 · 1,000 = 2,048,000" in shown.says
    before, head = (trace for trace in shown.plot().figure().data if trace.showlegend)
    assert [a + b for a, b in zip(before.x, head.x, strict=True)][::-1] == pytest.approx(
        [138.357544, 6.624904, 60.192808]
    )


def test_the_table_for_imagenet_tells_what_is_printed_from_what_is_built() -> None:
    rows = {row["network"]: row for row in anatomy.family().rows}
    assert list(rows)[:4] == [
        "plain imagenet-resnet18",
        "imagenet-resnet18",
        "plain imagenet-resnet34",
        "imagenet-resnet34",
    ]
    fifty = rows["imagenet-resnet50"]
    assert (fifty["multiply-adds, M"], fifty["printed, M"]) == (4089.2, 3800)
    assert (fifty["error, %"], fifty["10-crop, top 1"], fifty["single model, top 5"]) == (23.87, 22.85, 5.25)
    assert [rows[name]["layers"] for name in ("imagenet-vgg16", "imagenet-googlenet", "plain imagenet-resnet34")] == [
        16,
        22,
        34,
    ]
    plain = rows["plain imagenet-resnet34"]
    assert (plain["printed, M"], plain["10-crop, top 1"], plain["error, %"]) == (3600, 28.54, None)
    assert rows["imagenet-resnet50-v2"]["10-crop, top 1"] is None, "other weights than the paper's"
    fashion = anatomy.family(name="fashion").rows
    assert {"printed, M", "10-crop, top 1"}.isdisjoint(fashion[0]) and fashion[0]["error, %"] == 7.93
