"""Why can a residual network lose a layer and still see? The first page's figure, of the image and the network beside."""

from functools import partial

from .. import findings
from ..experiments.degradation import family, mean_train_error
from ..figures.deletion import prediction_change
from .shown import BOTH, MEASURED, PRECOMPUTED, Shown, beside_sentence, recipe, sources
from .subject import Subject

__all__ = ["claims", "first_look", "what_came_out"]

# Set in roman: KaTeX, or an italic font, would be another 130 kB before a visitor's first figure.
CLAIMS = (
    "**1. Degradation.** Past some depth, adding plain layers raises the **training** error: an optimisation failure, not "
    "overfitting. Here, after the same training: {errors}.",
    "**2. Residual learning.** A block adds its branch to what it is given, x + F(x): to do nothing, it only needs F(x) = 0.",
    "**3. The shortcut is a gradient highway.** The derivative of x + F(x) is I + ∂F/∂x: its identity term hands the gradient "
    "on past the branch.",
    "**4. Basic and bottleneck blocks.** A bottleneck (1x1 reduces the channels, 3x3, 1x1 restores them) is three layers for "
    "about the cost of two: in torchvision, ResNet-50 takes 12 % more multiply-adds than ResNet-34.",
    "**5. Stages.** A stem, three or four stages, a head. From stage to stage the channels double and the resolution halves; "
    "only where the shape changes is a shortcut more than an identity.",
    "**6. Pre-activation.** With batch norm and ReLU moved into the branch, neither stands on the shortcut: it is an identity, "
    "or where the shape changes zero-padding.",
    "**7. An ensemble of paths.** n blocks make 2ⁿ paths of different lengths, most of the gradient in the shorter ones: so "
    "most blocks can be deleted, one at a time, at little cost.",
)
OF_CLAIMS = "training errors: all 60,000 training images, without augmentation, mean of 3 seeds"
JUDGED = (
    "What was expected stood in the code before the report was run; where earlier figures were known by then, it says so. "
    "What came out otherwise is marked ✗. "
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
    """What residual networks are said to do, in seven claims."""
    measured = (("plain", 20), ("plain", 56), ("resnet", 56))
    errors = ", ".join(f"{kind}{depth} {mean_train_error(family(kind)[depth]):.1f} %" for kind, depth in measured)
    rows = tuple({"claim": claim.format(errors=errors)} for claim in CLAIMS)
    return Shown(title="Seven claims, and where to test them", rows=rows, facts=(PRECOMPUTED, OF_CLAIMS))


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
