"""What Streamlit runs for a visitor at each click: page config and navigation; nothing else."""

import streamlit as st

from resnet_viz.places import APP
from resnet_viz.web.frame import ICON, frame

PAGES = APP / "pages"

st.set_page_config(page_icon=ICON, layout="wide")
pages = [
    st.Page(PAGES / "start.py", title="Start: seven claims", icon=":material/home:", url_path="", default=True),
    st.Page(PAGES / "degradation.py", title="Degradation", icon=":material/moving:"),
    st.Page(PAGES / "live_training.py", title="Live training", icon=":material/sprint:"),
    st.Page(PAGES / "learning_identity.py", title="Learning the identity", icon=":material/equal:"),
    st.Page(PAGES / "stage_diagram.py", title="Stage diagram", icon=":material/account_tree:"),
    st.Page(PAGES / "gradient_flow.py", title="Gradient flow", icon=":material/trending_down:"),
    st.Page(PAGES / "shattered_gradients.py", title="Shattered gradients", icon=":material/grain:"),
    st.Page(PAGES / "path_unrolling.py", title="Path unrolling", icon=":material/alt_route:"),
    st.Page(PAGES / "strongest_paths.py", title="Strongest paths", icon=":material/timeline:"),
    st.Page(PAGES / "short_paths.py", title="Short paths", icon=":material/shortcut:"),
    st.Page(PAGES / "layer_deletion.py", title="Layer deletion", icon=":material/content_cut:"),
    st.Page(PAGES / "lesion_studies.py", title="Lesion studies", icon=":material/healing:"),
    st.Page(PAGES / "block_importance.py", title="Block importance", icon=":material/leaderboard:"),
    st.Page(PAGES / "early_stop.py", title="Stopping early", icon=":material/skip_next:"),
    st.Page(PAGES / "lessons.py", title="Lessons", icon=":material/school:"),
    st.Page(PAGES / "about.py", title="Words and sources", icon=":material/menu_book:"),
]
by_its_file = st.Page(PAGES / "start.py", title=pages[0].title)  # /start, typed by hand: the first page's own address is /
page = st.navigation([*pages, by_its_file], position="hidden")
st.set_page_config(page_title=f"{page.title} · resnet_viz")
frame(page, pages)
