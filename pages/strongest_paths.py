"""Which single paths carry most? The strongest that a search finds, and any path picked by hand."""

from functools import partial

import numpy as np
import streamlit as st

from resnet_viz.experiments.paths import is_plain
from resnet_viz.experiments.strongest_paths import MOST_BLOCKS, PLAN, WIDTH
from resnet_viz.figures.bars import relative_bars
from resnet_viz.figures.diagram import feature_maps
from resnet_viz.figures.palette import power_of_two, short_number
from resnet_viz.figures.strongest_paths import MOST_ROWS, branches_by_stage, paths_on_blocks
from resnet_viz.recipes.shown import Shown
from resnet_viz.web import cached, settings, snippets
from resnet_viz.web.card import card
from resnet_viz.web.gallery import thumbnails
from resnet_viz.web.parts import VEIT, choosing_strip, plan_note, question
from resnet_viz.web.session import visit

SHARE = r"\text{share of } p = \frac{\langle g_p, g\rangle}{\langle g, g\rangle},\quad g = \sum_p g_p"
now = visit()
loaded, blocks = now.loaded, list(now.loaded.network.blocks)
question(
    now,
    "Which single paths carry most?",
    "One image, its gradient taken apart into paths. Click one, or compose one of your own from branches.",
    f"after {VEIT}",
)
with cached.timed() as spent, st.spinner("Searching for the strongest paths ..."):
    found = cached.strongest_paths(loaded, now.image, now.label)
best = [block for block, branch in zip(blocks, found.takes_branch[0], strict=True) if branch]
with st.container(border=True):
    through = dict(zip(blocks, 100 * found.takes_branch.mean(0), strict=True))
    choosing_strip(now, Shown(bars=relative_bars(through, "% of these paths take its branch", 0, least=100), bars_title=f"bars: share of the {len(found.norms)} paths found that take the branch"))  # fmt: skip
with st.container(border=True):
    taken = settings.blocks(
        "branches",
        "Branches of the path",
        blocks,
        best,
        help="The path takes these branches, and the shortcut at every other block.",
    )
    takes_branch = tuple(block in taken for block in blocks)
    rows = np.flatnonzero((found.takes_branch == takes_branch).all(1))
    row = int(rows[0]) if len(rows) else -1

    def choose_path() -> None:
        if points := st.session_state["strongest"]["selection"]["points"]:
            clicked = found.takes_branch[points[0]["customdata"][0]]
            settings.set_value(
                "branches",
                np.array(blocks)[clicked].tolist(),
                best,
                lambda chosen: settings.code_of_blocks(chosen, blocks),
            )

    shares = 100 * found.shares
    title = f"The strongest path takes {found.takes_branch[0].sum()} of {len(blocks)} branches; its share of the whole gradient is {shares[0]:.2f} %"
    lengths = found.takes_branch.sum(1)
    says = f"The {len(shares)} strongest found, of {power_of_two(len(blocks))} paths, have {lengths.min()} to {lengths.max()} branches; together their share is {shares.sum():.1f} %."
    if is_plain(loaded.network):
        says = f"{loaded.title} has no shortcuts: this is its only path."
    elif len(blocks) <= MOST_BLOCKS:
        right, looked_at = cached.recall(loaded, now.image, now.label)
        says += f" All {2 ** len(blocks)} paths walked one by one: {right} of the {looked_at} found are among the {looked_at} strongest."
    else:
        says += " They are the strongest found, not proven to be the strongest: the search loses a path that is weak half-way."
    for each in now.networks[1:]:
        there = cached.strongest_paths(each, now.image, now.label)
        says += f" Beside it {each.title}: the strongest takes {there.takes_branch[0].sum()} branches, its share is {100 * there.shares[0]:.2f} %."
    card(now, "strongest", partial(paths_on_blocks, found, blocks, row, now.palette), "measured", "1 image", f"search of width {WIDTH}", *spent, title=title, says=says, formula=SHARE,
         alt=f"{title}. {says}", on_select=choose_path, python=snippets.STRONGEST.replace("{row}", str(row)),
         caption=f"The {min(MOST_ROWS, len(shares))} strongest found, one a row: ■ the branch is taken, ─ the shortcut. A path is as strong as its share, the part of the whole gradient that it adds: over all paths the shares add up to 100 %, and a path that points against the whole has a negative one. The search keeps the partial paths with the largest share of the gradient at each stream.")  # fmt: skip
with st.container(border=True):
    with cached.timed() as spent:
        path = cached.path_gradient(loaded, now.image, now.label, takes_branch)
    rank = f"rank {row + 1} of those found" if row >= 0 else "not among the strongest found"
    st.header(
        f"The chosen path, of {len(taken)} branch{'' if len(taken) == 1 else 'es'}: {100 * path.share:+.3g} % of the gradient",
        anchor=False,
    )
    st.markdown(
        f"{branches_by_stage(np.array(takes_branch), blocks)} ({rank}); norm {short_number(path.norm)} at the first block."
    )
    seen, gradient = st.columns([1, 2])
    seen.image(thumbnails(now.image, [0], 220)[0], caption=now.image.names[0], alt=now.image.names[0])
    with gradient:
        card(now, "path_picture", partial(feature_maps, "gradient", path.picture, now.palette), "measured", "1 image", *spent, formula=r"\partial L / \partial \text{image, along } p",
             alt="The gradient along the chosen path, as a picture on the input.", python=snippets.PATH_PICTURE.replace("{taken}", str(taken)),
             caption="The gradient of the loss with respect to each pixel of the normalised image, along this path alone: blue, the loss would rise with a brighter pixel; red, it would fall.")  # fmt: skip
    plan_note(PLAN)
