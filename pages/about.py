"""What do the words mean, and where does everything come from? Glossary, formulas, papers, licences, versions."""

import pandas as pd
import streamlit as st

from resnet_viz.citation import CITE
from resnet_viz.networks.device import describe_device
from resnet_viz.networks.zoo import NETWORKS
from resnet_viz.web import cached
from resnet_viz.web.session import visit

visit()
WORDS = {
    "network": "stem → blocks → head",
    "stem": "the first layers: they turn pixels into the first stream",
    "head": "the last layers: average pool and a fully connected layer, which turn the last stream into one score for each class",
    "block": "the residual unit: branch, shortcut, sum, activation. Named as torchvision names it: `layer3.2` is the third block of stage 3",
    "basic block": "a block whose branch holds two 3x3 convolutions",
    "bottleneck": "a block whose branch holds three convolutions: 1x1 reduces the channels, 3x3 works on the few that are left, 1x1 restores them",
    "branch": "$F$: the stack of convolutions of a block",
    "shortcut": "the way past a branch, also called *skip connection*: an identity, or where the shape changes one of the options A, B and C",
    "options A, B, C": "what stands on the shortcuts (He et al., 2015). A: identities; where the shape changes, every second pixel is taken and new channels are filled with zeros, so there are no weights. "
                       "B: identities; where the shape changes, a *projection*, a strided 1x1 convolution. C: projections in every block",
    "stream": "the tensor that runs from block to block (the residual stream), written $x$ before a block and $y$ after it",
    "stage": "the run of blocks with one number of channels: `layer1` ... `layer4`. The first block of every stage but `layer1` halves the resolution",
    "plain network": "the same layers without shortcuts: the control",
    "original, pre-activation": "in the original block (He et al., 2015) a ReLU follows the sum; in a pre-activation block (He et al., 2016) batch norm and ReLU come before each convolution of the branch, and neither stands on the shortcut",
    "feature map": "one channel of a tensor, drawn as a picture",
    "multiply-adds": "how many multiplications, each followed by an addition, the convolutions and fully connected layers take for one image: a measure of cost that does not depend on the machine (the papers print them as FLOPs)",
    "delete": "skip a block's branch and keep its shortcut: $y = x + g F(x)$ with $g = 0$",
    "gate": "the factor $g$ on a branch: 1 intact, 0 deleted, in between scaled",
    "lesion": "a set of deleted (or scaled) blocks; a lesion study measures the error under many of them, over a labelled set",
    "path": "one choice of branch or shortcut at every block; $n$ blocks have $2^n$ paths. Its length is the number of branches it takes",
    "ensemble": "several networks whose answers are put together, so that losing one costs little; Veit et al. show that a residual network behaves like an ensemble of its paths",
    "beam search": "a search that lets partial paths grow block by block and keeps only the strongest at each; what is weak half-way is lost, even if it would end strong",
    "shattered gradients": "gradients on the input that have nothing in common at neighbouring points, as if they were white noise: the cosine between them is near 0",
    "loss": "the cross-entropy of an image: minus the natural logarithm of the probability that the network gives the image's label",
    "gradient norm": "the L2 norm of the gradient of the loss, for each image, then the mean over the images",
    "vanishing and exploding gradients": "a gradient that becomes smaller, or larger, from block to block on its way back from the loss, so that the first layers hardly learn, or their weights jump",
    "untrained": "seeded initial weights, batch-norm statistics set by one pass over a fixed set of images (*calibrated*)",
    "measured": "computed now from the network on the images named beside it",
    "precomputed": "read from a recording that comes with the project, made by its own commands",
    "schematic": "a drawing of how things are connected: no number in it was measured",
    "error, accuracy": "the share of images that are classified wrongly, and rightly; *chance* is the error of guessing, 90 % with ten classes",
    "confidence": "the probability that a network gives to the class it predicts; it is *overconfident* where this is above its accuracy",
    "degradation": "a deeper network has a higher error than a shallower one on the very images it is trained on; overfitting would show as a low error there and a high one on test images",
    "step, epoch": "a step moves the weights once, against the gradient of a batch of images; an epoch is as many steps as it takes to see every training image",
    "learning rate": "how far a step moves the weights, in multiples of the gradient",
    "batch norm": "a layer that shifts and scales each channel to mean 0 and standard deviation 1, then multiplies it by a trained factor and adds a trained offset. In *train mode* it takes mean and deviation from the batch at hand, in *eval mode* from the averages gathered in training; *frozen*, always from these",
    "logits": "the scores of the classes before they become probabilities",
    "Dirac convolution": "a convolution whose output is its input",
    "twin": "of a residual network the plain one of equal depth, and the reverse",
    "seed": "the number that a random draw starts from: the same seed gives the same weights, batches and draws",
    "points": "percentage points: an error that goes from 6 % to 9 % rises by 3 points",
    "nat": "the unit of the cross-entropy loss: 1 nat more means that the probability of the label is 2.7 times smaller",
    "first order": "what the slope of the loss at the intact network predicts for a deletion: $-\\partial L / \\partial g$",
    "Shapley value": "how much a block lowers the loss on average over the orders in which the blocks can be put back",
    "Grad-CAM": "a map of the places where a stream speaks for a class: its channels, each weighted by the mean gradient of the class's logit, added up, and cut off below 0 (gradient-weighted class activation mapping)",
    "integrated gradients": "what each pixel adds to the logit of a class: the gradient along the way from a black image to this one, times the pixel's change",
    "completeness": "integrated gradients add up to the logit of the image less that of black; the completeness error is the difference left by the finite number of steps",
    "calibration error": "how far confidence and accuracy lie apart, averaged over ten bins of confidence, each weighted by its number of images (ECE)",
    "Pearson's correlation": "1 if two lists rise and fall in proportion, −1 if one falls as the other rises, 0 if unrelated",
    "Spearman's correlation": "the correlation of ranks: 1 if two lists have the same order, −1 if the reverse, 0 if unrelated",
    "Kendall's tau": "1 for blocks in their old order, −1 for the reverse: the share of pairs kept minus the share of pairs turned",
    "standard error": "the standard deviation that a mean has from sample to sample: how far it may be off; a 95 % interval reaches about two of them to each side",
    "95 % interval": "a range computed from the sample in such a way that it holds the true value for about 95 of 100 samples",
    "Welch 95 %": "the 95 % interval of a difference of two means over training seeds (Welch's t)",
    "Wilson 95 %": "the 95 % interval of an error over a sample of images (Wilson's score interval)",
    "paired by image": "the interval of a rise compares each image with itself before and after, so that it is narrower than two intervals side by side",
}  # fmt: skip
PAPERS = [
    "He, Zhang, Ren, Sun: [Deep Residual Learning for Image Recognition](https://arxiv.org/abs/1512.03385), 2015",
    "He, Zhang, Ren, Sun: [Identity Mappings in Deep Residual Networks](https://arxiv.org/abs/1603.05027), 2016",
    "Veit, Wilber, Belongie: [Residual Networks Behave Like Ensembles of Relatively Shallow Networks](https://arxiv.org/abs/1605.06431), 2016",
    "He, Zhang, Ren, Sun: [Delving Deep into Rectifiers](https://arxiv.org/abs/1502.01852), 2015: the initial weights",
    "Balduzzi, Frean, Leary, Lewis, Ma, McWilliams: [The Shattered Gradients Problem](https://arxiv.org/abs/1702.08591), 2017",
    "Agresti, Min: Simple improved confidence intervals for comparing matched proportions, Statistics in Medicine 24, 2005: the paired interval",
    "Castro, Gómez, Tejada: [Polynomial calculation of the Shapley value based on sampling](https://doi.org/10.1016/j.cor.2008.04.004), 2009",
    "Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: [Grad-CAM](https://arxiv.org/abs/1610.02391), 2017",
    "Sundararajan, Taly, Yan: [Axiomatic Attribution for Deep Networks](https://arxiv.org/abs/1703.01365), 2017: integrated gradients",
    "Guo, Pleiss, Sun, Weinberger: [On Calibration of Modern Neural Networks](https://arxiv.org/abs/1706.04599), 2017: the calibration error",
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
st.dataframe(pd.DataFrame([{"network": entry.name, "data set": entry.dataset.name, "weights": entry.provenance, "licence": entry.licence} for entry in NETWORKS.values()]),
             hide_index=True)  # fmt: skip
st.header("This software", anchor=False)
st.markdown(f"{CITE}. {describe_device()}; "
            + ", ".join(f"{name} {cached.version(name)}" for name in ("streamlit", "torchvision", "captum", "plotly", "networkx", "scipy", "numpy")) + ". "
            "Sample photos: scikit-image, under the licences given there.")  # fmt: skip
