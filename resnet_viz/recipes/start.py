"""Why can a residual network lose a layer and still see? The first page's figure, of the image and the network beside."""

from collections.abc import Callable
from functools import partial

from .. import findings
from ..errors import InputError
from ..experiments.degradation import family, mean_train_error
from ..figures.deletion import prediction_change
from ..findings import Measurement
from ..networks.network import stage_of
from ..networks.zoo import NETWORKS
from . import measures
from .shown import BOTH, COMPUTED, MEASURED, PRECOMPUTED, Shown, beside_sentence, recipe, sources
from .subject import Subject

__all__ = ["claims", "first_look", "what_came_out"]

# Set in roman: KaTeX, or an italic font, would be another 130 kB before a visitor's first figure.
CLAIMS = (  # each with the view that opens on its figure
    (
        "**1. Degradation.** Past some depth, adding plain layers raises the **training** error: an optimisation failure, not "
        "overfitting, which would lower it.",
        "degradation?network=fashion-resnet56&figure=errors_by_epoch",
    ),
    (
        "**2. Residual learning.** A block adds its branch to what it is given, x + F(x): to do nothing, it only needs F(x) = 0. "
        "A plain block needs F(x) = x.",
        "learning_identity?network=fashion-resnet56&figure=identity_blocks",
    ),
    (
        "**3. The shortcut is a gradient highway.** The derivative of x + F(x) is I + ∂F/∂x: its identity term hands the gradient "
        "on past the branch. Without it, the gradients of a deep untrained network shatter: those of two close inputs have nothing in "
        "common.",
        "gradient_flow?network=fashion-resnet56&figure=cosines",
    ),
    (
        "**4. Basic and bottleneck blocks.** A basic block is two 3x3 layers. A bottleneck is three (1x1 reduces the channels, 3x3, "
        "1x1 restores them) for about the cost of two.",
        "anatomy?network=fashion-resnet50&figure=from_34_to_50",
    ),
    (
        "**5. Stages.** A stem, three or four stages, a head. From stage to stage the channels double and the resolution halves; "
        "only where the shape changes is a shortcut more than an identity.",
        "stage_diagram?network=fashion-resnet56&highlight=shortcuts&figure=stages",
    ),
    (
        "**6. Pre-activation.** In the original block a ReLU follows the sum, and cuts what came by the shortcut, too. With batch norm "
        "and ReLU moved into the branch, nothing stands in the way from block to block.",
        "gradient_flow?network=fashion-preact56&beside=fashion-resnet56&figure=statistics",
    ),
    (
        "**7. An ensemble of paths.** n blocks make 2ⁿ paths of different lengths, most of the gradient in the shorter ones. A "
        "deleted block takes only its own paths with it: most blocks can go, one at a time, at little cost.",
        "path_unrolling?network=fashion-resnet110&images=several-images&figure=share_by_length",
    ),
)
WORDS = (
    "A block adds what its layers, its **branch** F, compute to the **stream** x that it is given; the way past them is its "
    "**shortcut**. A **plain** network has the same layers and no shortcuts. In brackets: the interval that holds the value with "
    "95 % confidence, and over what it was taken; a **seed** is one training from its own random weights."
)
DEEPER, SHALLOWER, COUNTED = "fashion-resnet50", "fashion-resnet34", "fashion-resnet56"
JUDGED = (
    "What was expected stood in the code before the report was run; where earlier figures were known by then, it says so. "
    'Where it says "not as expected", at least one number came out otherwise, and is marked ✗. '
)


@recipe()
def first_look(subject: Subject, *beside: Subject) -> Shown:
    """How many blocks are deleted, and what the network sees, beside another under the same lesion."""
    deleted, seen = len(subject.lesioned), subject.sees
    counts = (
        f"{deleted} of {len(subject.blocks)} blocks deleted" if deleted else "Nothing deleted: the network is intact"
    )
    return Shown(
        title=f"{counts}. It sees: {seen}",
        draw=partial(prediction_change, subject.entry.classes, *subject.probabilities),
        says=" ".join(map(beside_sentence, beside)),
        caption=BOTH,
        alt=f"The five likeliest classes: {seen}.",
        facts=(MEASURED, "1 image"),
        sources=sources([subject], subject.image),
    )


@recipe()
def claims() -> Shown:
    """What residual networks are said to do, in seven claims: each with the number that makes it, and the view of its figure."""
    numbers = (degradation, residual_learning, highway, bottleneck, stages, free_shortcut, short_paths)
    rows = tuple(
        {"claim": claim, "view": view, **number()} for (claim, view), number in zip(CLAIMS, numbers, strict=True)
    )
    return Shown(
        title="Seven claims, each with its number",
        says=WORDS,
        rows=rows,
        facts=(f"{PRECOMPUTED}: by the report below",),
    )


def reported(network: str, what: str) -> Measurement:
    """A number of the report. Raises InputError where it is not in it."""
    for each in (each for finding in findings.bundled() for each in finding.measurements):
        if (each.network, each.what) == (network, what):
            return each
    raise InputError(f"{findings.REPORT.name} lacks {network}, {what}; make it with: python -m resnet_viz report.")


def row(number: str, says: str, facts: str = PRECOMPUTED) -> dict[str, str]:
    """What stands beside a claim."""
    return {"number": number, "says": says, "facts": facts}


def bracket(found: Measurement, form: Callable[[float], str]) -> str:
    """'(3.3 to 4.7; 95 %, Welch over 3 seeds)'."""
    assert found.low is not None and found.high is not None
    return f"({form(found.low)} to {form(found.high)}; {found.bracket})"


def degradation() -> dict[str, str]:
    found = reported("plain56 against plain20", "training error, points")
    plain, residual = (
        [f"{mean_train_error(family(kind)[depth]):.1f} %" for depth in (20, 56)] for kind in ("plain", "resnet")
    )
    says = (
        f"Error on the 60,000 images that they were trained on: plain networks {plain[0]} with 20 layers, {plain[1]} with 56 "
        f"{bracket(found, '{:+.1f}'.format)}; residual ones {residual[0]} and {residual[1]}."
    )
    return row(f"{found.value:+.1f} points", says)


def residual_learning() -> dict[str, str]:
    found = reported("20 blocks, plain against residual of scale 0.1", "orders of magnitude of the error")

    def times(orders: float) -> str:
        return f"{short_round(10**orders):,}"

    says = (
        "Trained to hand on what they are given, 20 residual blocks whose branches start at a tenth of their size end so much closer "
        f"to it than 20 plain ones {bracket(found, times)}. Branches that start at full size end further away than the plain ones."
    )
    return row(f"{times(found.value)} times closer", says)


def highway() -> dict[str, str]:
    found = reported("resnet56 minus plain56, untrained", "mean cosine")
    says = (
        "The cosine of the gradients at neighbouring points between two images, before training: so much higher in resnet56 than in "
        f"plain56, where it is near 0 {bracket(found, '{:.2f}'.format)}. After training it is near 1 in both."
    )
    return row(f"{found.value:+.2f}", says)


def bottleneck() -> dict[str, str]:
    deep, shallow = (measures.description_of_row(NETWORKS[name]) for name in (DEEPER, SHALLOWER))
    says = (
        f"Multiply-adds of ResNet-50 ({len(deep.blocks)} bottlenecks, {deep.macs / 1e6:.1f} M) against ResNet-34 "
        f"({len(shallow.blocks)} basic blocks, {shallow.macs / 1e6:.1f} M), as built here for small images. For ImageNet the "
        "increase is the same, as built by torchvision."
    )
    return row(f"{100 * (deep.macs / shallow.macs - 1):+.0f} %", says, COMPUTED)


def stages() -> dict[str, str]:
    blocks = measures.description_of_row(NETWORKS[COUNTED]).blocks
    others = [stage_of(block.name) for block in blocks if block.shortcut != "identity"]
    says = f"Shortcuts of ResNet-56 that are identities; the others stand where the stages {' and '.join(others)} begin, and change the shape."
    return row(f"{len(blocks) - len(others)} of {len(blocks)}", says, COMPUTED)


def free_shortcut() -> dict[str, str]:
    original, before = (
        reported(f"fashion-{name}56", "zeros in the stream, median of the blocks, %") for name in ("resnet", "preact")
    )
    says = (
        "The share of the stream that the ReLU after the sum sets to zero, where no gradient comes back: in the median block of "
        f"ResNet-56 {bracket(original, '{:.1f}'.format)}, and of the same network with pre-activation."
    )
    return row(f"{original.value:.1f} % → {before.value:.0f}\N{NO-BREAK SPACE}%", says)


def short_paths() -> dict[str, str]:
    found = reported("fashion-resnet110", "mean length, branches")
    residual, plain = (reported(f"fashion-{name}56", "median rise, points").value for name in ("resnet", "plain"))
    says = (
        "The mean number of branches on ResNet-110's paths, each length weighted by the gradient that it carries "
        f"{bracket(found, '{:.1f}'.format)}; on all paths alike it is half of the 54. Deleting the median block costs ResNet-56 "
        f"{residual:.1f} points of error, its plain twin {plain:.1f}."
    )
    return row(f"{found.value:.1f}, not 27", says)


def short_round(value: float) -> int:
    """To two digits."""
    digits = len(str(round(value))) - 2
    return round(round(value), -digits)


@recipe()
def what_came_out() -> Shown:
    """The report's questions, whether each came out as expected, what did, and the view that tests it."""
    found = findings.bundled()
    rows = tuple(
        {
            "question": each.plan.question,
            "as expected": each.as_expected,
            "answer": findings.finding_text(each),
            "view": each.view,
        }
        for each in found
    )
    seconds = sum(each.seconds for each in found)
    return Shown(
        title="What was asked of these networks, and what came out",
        says=JUDGED + findings.JUDGED,
        rows=rows,
        facts=(PRECOMPUTED, f"python -m resnet_viz report: {seconds:.0f} s on two cores"),
    )
