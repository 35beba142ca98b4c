"""What Streamlit runs for a visitor at each click: page config and navigation; nothing else."""

import streamlit as st

from resnet_viz.contents import CONTENTS
from resnet_viz.places import APP
from resnet_viz.web.shell.frame import ICON, frame

st.set_page_config(page_icon=ICON, layout="wide")
pages = [
    st.Page(
        APP / "pages" / f"{name}.py",
        title=title,
        icon=f":material/{icon}:",
        url_path="" if name == "start" else name,
        default=name == "start",
    )
    for name, (title, icon) in CONTENTS.items()
]
by_its_file = st.Page(
    APP / "pages" / "start.py", title=pages[0].title
)  # /start, typed by hand: the first page's own address is /
page = st.navigation([*pages, by_its_file], position="hidden")
st.set_page_config(page_title=f"{page.title} · resnet_viz")
frame(page, pages)
