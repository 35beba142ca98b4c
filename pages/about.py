"""What do the words mean, and where does everything come from? Glossary, formulas, papers, licences, versions."""

from importlib.metadata import version

import pandas as pd
import streamlit as st

from resnet_viz.citation import CITE
from resnet_viz.networks.device import describe_device
from resnet_viz.networks.zoo import NETWORKS
from resnet_viz.web.parts import visit

visit()
WORDS = {
    "network": "stem → blocks → head",
    "stem": "the first layers: they turn pixels into the first stream",
    "head": "the last layers: average pool and a fully connected layer, which turn the last stream into one score for each class",
    "block": "the residual unit: branch, shortcut, sum, activation; **the circuit**. Named as torchvision names it: `layer3.2` is the third block of stage 3",
    "branch": "$F$: the stack of convolutions of a block",
    "shortcut": "**the wire** past a branch, also called *skip connection*: an identity, zero-padding (option A) or a projection (a strided 1x1 convolution)",
    "stream": "the tensor that runs from block to block (the residual stream), written $x$ before a block and $y$ after it",
    "stage": "the run of blocks with one number of channels: `layer1` ... `layer4`; its first block halves the resolution",
    "plain network": "the same layers without shortcuts: the control",
    "pre-activation": "batch norm and ReLU come first in the branch, and nothing stands on the shortcut (He et al., 2016)",
    "delete": "skip a block's branch and keep its shortcut: $y = x + g F(x)$ with $g = 0$",
    "gate": "the factor $g$ on a branch: 1 intact, 0 deleted, in between scaled",
    "lesion": "a set of deleted (or scaled) blocks; a lesion study measures the error after it, over a labelled set",
    "path": "one choice of branch or shortcut at every block; $n$ blocks have $2^n$ paths. Its length is the number of branches it takes",
    "gradient norm": "the L2 norm of the gradient of the loss, for each image, then the mean over the images. The loss is the cross-entropy against the image's label",
    "untrained": "seeded initial weights, batch-norm statistics set by one pass over a fixed set of images (*calibrated*)",
    "measured": "computed now from the network on the images named beside it",
    "precomputed": "read from what was recorded while a bundled network was trained",
    "schematic": "a drawing of the wiring: no number in it was measured",
    "Wilson 95 %": "the interval that holds the true error in 95 of 100 such samples (Wilson's score interval)",
    "paired by image": "the interval of a rise compares each image with itself before and after, so that it is narrower than two intervals side by side",
}  # fmt: skip
PAPERS = [
    "He, Zhang, Ren, Sun: [Deep Residual Learning for Image Recognition](https://arxiv.org/abs/1512.03385), 2015",
    "He, Zhang, Ren, Sun: [Identity Mappings in Deep Residual Networks](https://arxiv.org/abs/1603.05027), 2016",
    "Veit, Wilber, Belongie: [Residual Networks Behave Like Ensembles of Relatively Shallow Networks](https://arxiv.org/abs/1605.06431), 2016",
    "He, Zhang, Ren, Sun: [Delving Deep into Rectifiers](https://arxiv.org/abs/1502.01852), 2015: the initial weights",
    "Agresti, Min: Simple improved confidence intervals for comparing matched proportions, Statistics in Medicine 24, 2005: the paired interval",
    "Xiao, Rasul, Vollgraf: [Fashion-MNIST](https://arxiv.org/abs/1708.07747), 2017: images, MIT licence, © 2017 Zalando SE",
]

st.title("What do the words mean, and where does it come from?", anchor=False)
st.header("Words", anchor=False)
st.markdown(
    "| word | meaning |\n|---|---|\n" + "\n".join(f"| **{word}** | {meaning} |" for word, meaning in WORDS.items())
)
st.header("Papers", anchor=False)
st.markdown("\n".join(f"- {paper}" for paper in PAPERS))
st.header("Networks, weights and licences", anchor=False)
st.dataframe(pd.DataFrame([{"network": entry.name, "data set": entry.dataset, "weights": entry.provenance, "licence": entry.licence} for entry in NETWORKS.values()]),
             hide_index=True)  # fmt: skip
st.header("This software", anchor=False)
st.markdown(f"{CITE}. {describe_device()}; "
            + ", ".join(f"{name} {version(name)}" for name in ("streamlit", "torchvision", "plotly", "networkx", "scipy", "numpy")) + ". "
            "Sample photos: scikit-image (their licences stand there).")  # fmt: skip
