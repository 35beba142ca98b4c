"""How much each block changes the stream: how far it turns and stretches it, how large its response is, and whether the branch
moves the stream down the gradient of the loss."""

from .plan import Plan

__all__ = ["DESCENT_PLAN", "IMAGES", "PREDICTION_PLAN", "RESPONSE_PLAN"]

IMAGES = 200
PREDICTION_PLAN = Plan(
    "Does a block's influence on the stream predict the harm of deleting it?",
    "Spearman's rank correlation over the blocks of the block influence, 1 - cosine of the stream that enters and the stream that "
    "leaves (where the shape changes, of what leaves the block with and without its branch), with the rise in error when the block "
    "alone is deleted",
    "fashion-resnet56 and -resnet110",
    f"the influence on {IMAGES} of the bundled test images, the rise in error on all 1,000",
    "none are needed",
    "above 0.5 in both: a block that hardly turns the stream can hardly be missed, but what it turns the stream towards counts, too",
    "[Men et al., 2024](https://arxiv.org/abs/2403.03853) order the layers of language models by it, and leave out those of the "
    "least influence; they compute the cosine at each token, here it is that of an image's whole stream",
    known="the correlation of |F(x)| / |x| with the rise in loss, 0.44 in resnet56,",
)
RESPONSE_PLAN = Plan(
    "Do residual networks have smaller responses than plain ones, and deeper ones smaller than shallower ones?",
    "the standard deviation of the response of each block's branch (after its last batch norm, before any ReLU and the addition) over "
    "images, channels and places; the ratio of two networks' medians over the blocks",
    "fashion-resnet20, -resnet56 and -resnet110; fashion-plain20 and -plain56",
    f"{IMAGES} of the bundled test images",
    "none are needed; one training of each network",
    "the residual network's median is below 0.8 of the plain one's at 20 and at 56 layers; that of resnet56 is below that of "
    "resnet20, that of resnet110 below that of resnet56",
    "[He et al., 2015](https://arxiv.org/abs/1512.03385), figure 7: the responses of residual networks are generally smaller than "
    "those of plain ones, and the deeper the network, the smaller; there of every 3x3 layer, here of the last one of each block, of "
    "networks trained on CIFAR-10",
)
DESCENT_PLAN = Plan(
    "Do the late branches move the stream down the gradient of the loss?",
    "the cosine of the branch F(x) with the negative gradient of the loss with respect to the stream x that enters the block; the "
    "mean over the blocks of the last third whose shape stays the same",
    "fashion-resnet56, -resnet110 and -preact110",
    f"{IMAGES} of the bundled test images",
    "none are needed",
    "above 0 in all three",
    "[Jastrzebski et al., 2018](https://arxiv.org/abs/1710.04773): residual blocks, the late ones most of all, move the stream along "
    "the negative gradient of the loss",
)
