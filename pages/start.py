"""The first screen: a real network to touch, and the seven claims with the page that tests each."""

from dataclasses import replace
from urllib.parse import parse_qsl

import streamlit as st

from resnet_viz import findings
from resnet_viz.experiments.degradation import mean_train_error
from resnet_viz.recipes.start import first_look
from resnet_viz.web import cached, links
from resnet_viz.web.card import chip, draw
from resnet_viz.web.gallery import thumbnails
from resnet_viz.web.parts import deleting_strip, page_named, untrained_note
from resnet_viz.web.session import TWIN, choices, visit

now = visit()
measured = ", ".join(
    f"{kind}{depth} {mean_train_error(cached.histories_by_depth(kind)[depth]):.1f} %"
    for kind, depth in (("plain", 20), ("plain", 56), ("resnet", 56))
)


def at(page: str, title: str, network: str = "", beside: str = TWIN) -> tuple[str, str, links.Query]:
    """A page that tests a claim, its title, and the query it opens with: what is chosen, or the network that shows the claim."""
    chosen = replace(choices(), network=network, beside=beside, untrained=None) if network else choices()
    return page, title, links.query_of(page, chosen)


STAGES, GRADIENTS = at("stage_diagram", "Stage diagram"), at("gradient_flow", "Gradient flow")
CLAIMS = [  # set in roman: KaTeX, or an italic font, would be another 130 kB before a visitor's first figure
    ("Degradation", f"Past some depth, adding plain layers raises the **training** error: an optimisation failure, not overfitting. Here, after the same training: {measured}.", [at("degradation", "Degradation")]),
    ("Residual learning", "A block adds its branch to what it is given, x + F(x): to do nothing, it only needs F(x) = 0.", [at("learning_identity", "Learning the identity")]),
    ("The shortcut is a gradient highway", "The derivative of x + F(x) is I + ∂F/∂x: its identity term hands the gradient on past the branch.", [GRADIENTS]),
    ("Basic and bottleneck blocks", "A bottleneck (1x1 reduces the channels, 3x3, 1x1 restores them) is three layers for about the cost of two: in torchvision, ResNet-50 takes 12 % more multiply-adds than ResNet-34.", [STAGES]),
    ("Stages", "A stem, three or four stages, a head. From stage to stage the channels double and the resolution halves; only where the shape changes is a shortcut more than an identity.", [STAGES]),
    ("Pre-activation", "With batch norm and ReLU moved into the branch, neither stands on the shortcut: it is an identity, or where the shape changes zero-padding.", [at("gradient_flow", "Gradient flow", "fashion-preact56", "fashion-resnet56")]),
    ("An ensemble of paths", "n blocks make 2ⁿ paths of different lengths, most of the gradient in the shorter ones: so most blocks can be deleted, one at a time, at little cost.",
     [at("path_unrolling", "Path unrolling", "fashion-resnet110"), at("strongest_paths", "Strongest paths", "fashion-resnet20")]),
]  # fmt: skip

st.title("Why can a residual network lose a layer and still see?", anchor=False)
st.markdown(
    "A real network looks at a real image. Click a block to delete it, click it again to restore it, and watch what the network sees: "
    "its answer is computed as you click."
)
untrained_note(now)
with st.container(border=True):
    seen = first_look(*now.subjects)
    st.markdown(f"**{seen.title}.** {seen.says}")
    deleting_strip(now)
    shown, answer = st.columns([1, 2.2], vertical_alignment="center")
    with shown:
        st.image(thumbnails(now.image, [0], 170)[0], caption=now.image.names[0], alt=now.image.names[0])
        st.page_link(page_named("layer_deletion"), label="Over 1,000 images, beside a plain network", icon=":material/content_cut:",
                     query_params=links.query_of("layer_deletion", choices()))  # fmt: skip
    with answer:
        draw(seen, words=False)
st.header("Seven claims, and where to test them", anchor=False)
for number, (claim, text, tests) in enumerate(CLAIMS, start=1):
    said, link = st.columns([5, 1], vertical_alignment="center")
    said.markdown(f"**{number}. {claim}.** {text}")
    for page, title, query in tests:
        link.page_link(page_named(page), label=title, icon=":material/arrow_forward:", query_params=query)
chip("precomputed", "training errors: all 60,000 training images, without augmentation, mean of 3 seeds")
st.header("What was asked of these networks, and what came out", anchor=False)
st.markdown(
    "What was expected stood in the code before the report was run; where earlier figures were known by then, it says so. What came out otherwise is marked ✗. "
    + findings.JUDGED
)
for finding in findings.bundled():
    badge = ":green-badge[as expected]" if finding.as_expected else ":orange-badge[not as expected]"
    with st.expander(f"{finding.plan.question} {badge}"):
        st.markdown("  \n".join(f"{findings.measured_text(each)}{'' if each.as_expected else ' ✗'}" for each in finding.measurements) + f"""
- Expected: {finding.plan.expectation}.
- Published: {finding.plan.published}.
- Measured: {finding.plan.measure}; on {finding.plan.images}; seeds: {finding.plan.seeds}.
- Also: {finding.notes}.""")  # fmt: skip
        view = dict(parse_qsl(finding.view.partition("?")[2]))
        st.page_link(page_named(finding.page), icon=":material/arrow_forward:", query_params=view)
chip(
    "precomputed",
    f"python -m resnet_viz report: {sum(finding.seconds for finding in findings.bundled()):.0f} s on two cores",
)
