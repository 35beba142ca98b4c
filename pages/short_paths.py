"""Are the long paths needed for training? Three ways to train the same network, three seeds each, from their histories."""

import streamlit as st

from resnet_viz.experiments.short_paths import PLAN
from resnet_viz.experiments.training import SHORT_PATHS, difference, histories
from resnet_viz.figures.training import error_by_epoch
from resnet_viz.networks.zoo import CHECKPOINTS, NETWORKS
from resnet_viz.web import snippets
from resnet_viz.web.card import card
from resnet_viz.web.parts import VEIT, plan_note, question, visit

ENTRY = NETWORKS["fashion-resnet20"]
now = visit()
question(None, "Are the long paths needed for training?", "The same network, trained on all paths or on short ones only. The curves are of fashion-resnet20, whichever network is chosen.",
         f"after {VEIT}, section 4.3")  # fmt: skip
ways = {name: histories(ENTRY, recipe, CHECKPOINTS) for name, recipe in SHORT_PATHS.items()}
ordinary, *others = [[history["test_error_pct"] for history in found] for found in ways.values()]
with st.container(border=True):
    sentences = []
    for name, errors in zip(list(ways)[1:], others, strict=True):
        rise, low, high = difference(errors, ordinary)
        verdict = (
            "no difference beyond that between seeds" if low < 0 < high else "a difference beyond that between seeds"
        )
        sentences.append(f"**{name}**: {rise:+.2f} points (95 % interval {low:+.2f} to {high:+.2f}): {verdict}.")
    anew = [history["test_error_reestimated_pct"] for history in list(ways.values())[1]]
    rise, low, high = difference(anew, ordinary)
    sentences.append(f"With the batch norms' statistics taken anew with all blocks, the error after training on random blocks is {sum(anew) / len(anew):.2f} %: "
                     f"{rise:+.2f} points ({low:+.2f} to {high:+.2f}).")  # fmt: skip
    title = "Test error, with all blocks: " + ", ".join(f"{name} {sum(errors) / len(errors):.2f} %" for name, errors in zip(ways, [ordinary, *others], strict=True))  # fmt: skip
    card(now, "short_paths", error_by_epoch(ways, now.palette), "precomputed", "10,000 test images", "3 seeds each", "Welch 95 %", title=title, says="  \n".join(sentences),
         formula=r"\text{short: }\nabla_\theta L = \sum_{|p| \le 4} g_p;\quad \text{random: }g_i = 0\text{ for 5 of 9 blocks, drawn for each batch}", alt=title, origin="fashion-resnet20, trained in three ways", python=snippets.SHORT_PATHS,
         caption="The lines are means over the seeds, the bands reach from the best to the worst. Trained with some of the blocks, the network is tested with "
         "all of them: more is added to the stream than its batch norms met in training.")  # fmt: skip
    plan_note(PLAN)
    st.caption(
        "Reproduced by `python -m resnet_viz train fashion-resnet20 --seed S`, with `--blocks-per-batch 4` or `--longest-path 4`."
    )
