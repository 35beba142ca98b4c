"""The entry of the app: page config and navigation; nothing else."""

import streamlit as st

from resnet_viz.web.frame import ICON, frame

st.set_page_config(page_icon=ICON, layout="wide")
pages = [
    st.Page("pages/start.py", title="Start: seven claims", icon=":material/home:", url_path="", default=True),
    st.Page("pages/degradation.py", title="Degradation", icon=":material/moving:"),
    st.Page("pages/live_training.py", title="Live training", icon=":material/sprint:"),
    st.Page("pages/learning_identity.py", title="Learning the identity", icon=":material/equal:"),
    st.Page("pages/stage_diagram.py", title="Stage diagram", icon=":material/account_tree:"),
    st.Page("pages/gradient_flow.py", title="Gradient flow", icon=":material/trending_down:"),
    st.Page("pages/path_unrolling.py", title="Path unrolling", icon=":material/alt_route:"),
    st.Page("pages/strongest_paths.py", title="Strongest paths", icon=":material/timeline:"),
    st.Page("pages/short_paths.py", title="Short paths", icon=":material/shortcut:"),
    st.Page("pages/layer_deletion.py", title="Layer deletion", icon=":material/content_cut:"),
    st.Page("pages/lesion_studies.py", title="Lesion studies", icon=":material/healing:"),
    st.Page("pages/block_importance.py", title="Block importance", icon=":material/leaderboard:"),
    st.Page("pages/early_stop.py", title="Stopping early", icon=":material/skip_next:"),
    st.Page("pages/lessons.py", title="Lessons", icon=":material/school:"),
    st.Page("pages/about.py", title="Words and sources", icon=":material/menu_book:"),
]
by_its_file = st.Page("pages/start.py", title=pages[0].title)  # /start, typed by hand: the first page's own address is /
page = st.navigation([*pages, by_its_file], position="hidden")
st.set_page_config(page_title=f"{page.title} · resnet_viz")
frame(page, pages)
