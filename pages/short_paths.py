"""Are the long paths needed for training? Networks trained on all paths and on short ones, three seeds each, from their histories."""

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from resnet_viz.experiments.deletion import known
from resnet_viz.experiments.short_paths import LONGEST_PATH, MATCHED_PLAN, PLAN, share_of_short_paths
from resnet_viz.experiments.training import difference, every_seed, short_path_runs
from resnet_viz.figures.training import difference_sentence, error_by_epoch
from resnet_viz.networks.zoo import NETWORKS
from resnet_viz.web import cached, snippets
from resnet_viz.web.card import card
from resnet_viz.web.parts import VEIT, plan_note, question
from resnet_viz.web.session import visit

FACTS = ("precomputed", "10,000 test images", "3 seeds each", "Welch 95 %")
BANDS = "The lines are means over the seeds, the bands reach from the best to the worst. "
now = visit()
question(None, "Are the long paths needed for training?", "The same network, trained on all paths or on short ones only. The curves are of the bundled networks, whichever network is chosen.",
         f"after {VEIT}, section 4.3")  # fmt: skip


def errors(runs: list[dict[str, Any]], which: str = "test_error_pct") -> list[float]:
    """The test error of each run."""
    return [run[which] for run in runs]


def title_of(ways: dict[str, list[dict[str, Any]]]) -> str:
    """The mean test error of each way to train."""
    return "Test error, with all blocks: " + ", ".join(f"{way} {np.mean(errors(runs)):.2f} %" for way, runs in ways.items())  # fmt: skip


def anew_sentence(way: str, runs: list[dict[str, Any]], ordinary: list[float]) -> str:
    """What is left of a difference when the batch norms have seen all blocks."""
    anew = errors(runs, "test_error_reestimated_pct")
    return difference_sentence(f"{way}, batch norms' statistics taken anew with all blocks, {np.mean(anew):.2f} %", difference(anew, ordinary))


matched = short_path_runs("fashion-resnet56")
if every_seed(matched):
    with st.container(border=True):
        (_, way), (plain_runs, random_runs) = matched, matched.values()
        ordinary, title = errors(plain_runs), title_of(matched)
        says = [difference_sentence(way, difference(errors(random_runs), ordinary)), anew_sentence(way, random_runs, ordinary)]
        card(now, "matched_blocks", partial(error_by_epoch, matched, now.palette), *FACTS, title=title, says="  \n".join(says), alt=title,
             formula=r"g_i = 0\text{ for 14 of 27 blocks, drawn for each batch}", origin="fashion-resnet56, trained in two ways", python=snippets.short_paths("fashion-resnet56"),
             caption=BANDS + "The paths of 13 blocks have 6.5 branches on average, as many as the paths that carry the gradient of resnet56; Veit et al. took 23 of 54 for the same reason. "
             "Tested with all blocks, more is added to the stream than the batch norms were trained on; the sentence on statistics taken anew is about the same networks without that.")  # fmt: skip
        plan_note(MATCHED_PLAN)
        st.caption("Reproduced by `python -m resnet_viz train fashion-resnet56 --seed S`, with `--blocks-per-batch 13`.")
with st.container(border=True):
    harsher = short_path_runs("fashion-resnet20")
    ordinary, (random_way, path_way) = errors(harsher["all paths"]), list(harsher)[1:]
    small = cached.network(NETWORKS["fashion-resnet20"])
    images = cached.images(small.entry).limit(32)
    carried = share_of_short_paths(cached.gradient_by_length(small, images, tuple(known(images.labels).tolist())).mean_norms)
    title = f"Harsher than Veit et al. {title_of(harsher)}"
    says = [difference_sentence(way, difference(errors(harsher[way]), ordinary)) for way in (random_way, path_way)]
    says[1:1] = [anew_sentence(random_way, harsher[random_way], ordinary)]
    says.append(f"Paths of at most {LONGEST_PATH} branches carry {100 * carried:.0f} % of the gradient of the trained resnet20 (of the summed norms by length, measured now on {len(images)} of the test images).")  # fmt: skip
    card(now, "short_paths", partial(error_by_epoch, harsher, now.palette), *FACTS, title=title, says="  \n".join(says), alt=title,
         formula=r"\text{short: }\nabla_\theta L = \sum_{|p| \le 4} g_p;\quad \text{random: }g_i = 0\text{ for 5 of 9 blocks, drawn for each batch}", origin="fashion-resnet20, trained in three ways",
         python=snippets.short_paths("fashion-resnet20"), caption=BANDS + "The paths of 4 random blocks have 2 branches on average, less than half as many as those that carry the gradient of resnet20: this says little about the paper.")  # fmt: skip
    plan_note(PLAN)
    st.caption(
        "Reproduced by `python -m resnet_viz train fashion-resnet20 --seed S`, with `--blocks-per-batch 4` or `--longest-path 4`."
    )
