"""What does a block cost, and what does it buy? Weights and multiply-adds, by arithmetic and by stage, beside older
networks."""

import streamlit as st

from resnet_viz.experiments.anatomy import WIDTHS
from resnet_viz.recipes import anatomy as recipes
from resnet_viz.web.kit import settings
from resnet_viz.web.kit.ask import show
from resnet_viz.web.kit.parts import HE_2015, question, secondary
from resnet_viz.web.session import Visit, visit

WHAT_TO_SEE = "Count weights and multiply-adds: 1x1 convolutions leave the 3x3 few channels, and that pays for depth."
WIDTH = "How many channels the stream has."
REDUCTION = "By how much a bottleneck divides them."
SIDE = "Height and width of the maps, in pixels: each weight is used once at every place."
MODULE = "One of GoogLeNet's nine modules, as its paper names them."
FAMILY = "Which networks of the table."


def view(now: Visit) -> None:
    subject = now.subject.without_lesion().without_image()
    question(
        now, "What does a block cost, and what does it buy?", WHAT_TO_SEE, f"after {HE_2015}, section 4.1 and figure 5"
    )
    with st.container(border=True):
        with secondary("Settings"), st.container(horizontal=True, vertical_alignment="bottom"):
            width = choice("width", "Channels", WIDTHS, 256, WIDTH)
            reduction = choice("reduction", "Reduction", recipes.REDUCTIONS, 4, REDUCTION)
            side = choice("side", "Maps", recipes.SIDES, 14, SIDE)
        show(recipes.block_cost, width=width, reduction=reduction, side=side)
    with st.container(border=True):
        show(recipes.from_34_to_50)
    with st.container(border=True):
        show(recipes.where_it_goes, subject)
    with st.container(border=True):
        module = settings.one_of("module", "Inception module", recipes.INCEPTIONS, "3a", help=MODULE)
        show(recipes.inception_beside, module=module)
    with st.container(border=True):
        show(recipes.dense_head)
    with st.container(border=True):
        name = settings.one_of("family", "Family", recipes.FAMILIES, "imagenet", help=FAMILY)
        show(recipes.family, name=name)


def choice(name: str, label: str, options: tuple[int, ...], default: int, help: str) -> int:
    """One of a few numbers, side by side."""
    return int(settings.one_of(name, label, list(map(str, options)), str(default), help=help))


view(visit())
