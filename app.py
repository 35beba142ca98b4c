"""The entry of the app: ``streamlit run app.py``."""

import streamlit as st
from starlette.middleware import Middleware

from resnet_viz.web.server import CompressedFiles, ready

app = st.App("resnet_viz/web/script.py", lifespan=ready, middleware=[Middleware(CompressedFiles)])
