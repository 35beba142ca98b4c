"""What do the words mean, and where does everything come from? Glossary, papers, licences, versions."""

import streamlit as st

from resnet_viz.recipes import about as recipes
from resnet_viz.web.kit.ask import show

st.title("What do the words mean, and where does it come from?", anchor=False)
for recipe in (recipes.words, recipes.networks, recipes.software):
    show(recipe)
