"""The entry of the app: ``streamlit run app.py``."""

from importlib.resources import files

import streamlit as st
from starlette.middleware import Middleware

from resnet_viz.web.shell.server import CompressedFiles, Guarded, ready

app = st.App(
    str(files("resnet_viz.web.shell") / "script.py"),
    lifespan=ready,
    middleware=[Middleware(Guarded), Middleware(CompressedFiles)],
)
