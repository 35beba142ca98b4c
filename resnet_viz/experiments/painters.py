"""Do the blocks need their order, their number and their weights? A stage in reverse, a block repeated, blocks side by side (after
Sun et al. 2024, arXiv:2407.09298), a block with initial weights again (after Zhang et al. 2019, arXiv:1902.01996)."""

from .lesion_studies import IMAGES
from .plan import Plan

__all__ = ["PLANS"]

SEEDS = (0, 1, 2)  # of the initial weights in the report; the bundled networks were trained from those of seed 0
REVERSED, REPEATED, PARALLEL, REINITIALISED = "reversed", "repeated", "parallel", "reinitialised"
NETWORKS = "fashion-resnet56 and -resnet110; control fashion-plain56"
NO_SEEDS = "none are needed"
TRANSFORMERS = (
    "Sun et al., of Transformers' middle layers: some tasks survive it that layers are skipped, walked in another order or "
    "run in parallel"
)
PLANS = {
    REVERSED: Plan(
        "Do the blocks of a stage need their order?",
        "rise in error, in points, when the blocks of one stage that keep the stream's shape are walked in reverse order, stage "
        "by stage",
        NETWORKS,
        IMAGES,
        NO_SEEDS,
        "in the residual networks the rise is above 20 points in the first stage, whose first blocks cannot be deleted either, "
        "and below 20 points in the later stages; in the plain one it is above 50 points in every stage",
        TRANSFORMERS,
        known="the errors after random swaps and after each deletion",
    ),
    REPEATED: Plan(
        "Can a block be walked twice?",
        "rise in error, in points, when the middle one of a stage's blocks that keep the stream's shape is walked twice in a "
        "row, stage by stage",
        NETWORKS,
        IMAGES,
        NO_SEEDS,
        "in the residual networks the rise is below 5 points in every stage, in the plain one above 50 points",
        TRANSFORMERS,
        known="the errors after each deletion",
    ),
    PARALLEL: Plan(
        "Can two blocks run side by side?",
        "rise in error, in points, when the last two blocks of the network read the same stream and what their branches make of "
        "it is added, or averaged; in the plain network, without a shortcut",
        NETWORKS,
        IMAGES,
        NO_SEEDS,
        "added or averaged, the rise is below 5 points in the residual networks and above 50 points in the plain one",
        TRANSFORMERS,
        known="the errors after each deletion and when the network stops early",
    ),
    REINITIALISED: Plan(
        "Is a block with its initial weights better than none?",
        "rise in error, in points, when one block has initial weights again, minus the rise when it is deleted: the median over "
        "the blocks, its mean over the seeds. The block's batch norms have the statistics of the untrained network, calibrated",
        NETWORKS,
        IMAGES,
        "0, from whose weights the networks were trained, 1 and 2",
        "worse: in the residual networks the median difference is above 10 points, since a random branch adds noise as large as "
        "the stream; in the plain one it is within 10 points of 0, since either is a collapse",
        "Zhang et al.: set back to its initial weights, a layer either does hardly any harm (robust) or takes the error to "
        "chance (critical)",
        known="the errors after each deletion",
    ),
}
