"""What happens when a block is deleted? One image, a labelled set, and every block in turn; another network beside it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..experiments import calibration, cut, deletion, image_attribution
from ..experiments.image_attribution import stage_ends
from ..experiments.lesion_studies import PLANS, SINGLE, Study, single_deletions
from ..experiments.paths import is_plain
from ..experiments.stepwise import Stepping
from ..figures import deletion as figures
from ..figures import image_attribution as attribution
from ..figures.bars import relative_bars
from ..figures.importance import calibration_sentence, reliability_diagram
from ..figures.palette import LIGHT, shape_text
from ..figures.pictures import pixels_of
from ..findings import Answer, Measurement, Question
from ..networks.datasets import FASHION_MNIST
from ..networks.images import ImageSet
from ..networks.zoo import NETWORKS
from . import measures
from .shown import (
    BOTH,
    MEASURED,
    Shown,
    Steps,
    beside_sentence,
    counted,
    no_error,
    pictures_of,
    recipe,
    rows_of,
    sources,
)
from .subject import Subject
from .verdict import (
    CHANCE,
    CONTROL,
    IMAGES,
    RESIDUAL,
    bootstrapped,
    lesion_set,
    mean_interval,
    median_interval,
    network,
)

__all__ = [
    "changed_predictions",
    "class_errors",
    "grad_cam",
    "integrated_gradients",
    "mapped",
    "prediction",
    "reliability",
    "set_error",
    "sweep",
]

PICTURES = 12
HEALED = 2.0  # points above the intact network
SOFTMAX = r"p_c = e^{z_c} / \sum_j e^{z_j}"
GATED = r"y = x + g\,F(x)\text{; plain: }y = g\,F(x) + (1 - g)\,x"
CALIBRATION = r"\mathrm{ECE} = \sum_b \frac{n_b}{n}\,|\mathrm{accuracy}_b - \mathrm{confidence}_b|"
GRAD_CAM = r"\mathrm{ReLU}\left(\sum_k w_k A_k\right),\ w_k = \frac{1}{hw} \sum_{i,j} \partial z_c / \partial A_{kij}"
INTEGRATED = r"(x_i - b_i) \int_0^1 \frac{\partial z_c}{\partial x_i}\bigl(b + t\,(x - b)\bigr)\,dt"
A_SAMPLE = "These 1,000 are a sample of the 10,000 test images behind the network's test error."
NO_MAP = (
    "Grad-CAM is a map of a stream with channels, height and width. Behind {block} the stream of an image is {shape}, so there is "
    "no map."
)
MOST_HARMED = BOTH + "; the class that suffers most is on top"
CALIBRATED = (
    BOTH + "; the larger the mark, the more images; the smallest stand for one or two. On the diagonal the network is "
    "right as often as it is sure; below it, it is overconfident."
)
WHERE_EVIDENCE_LIES = (
    "[Grad-CAM](https://arxiv.org/abs/1610.02391) at the stream $A$ that leaves each block: its channels, weighted by the "
    "mean gradient of the class's logit $z_c$. The brighter, the more that place speaks for {class_name}; what speaks "
    "against it is cut off. Each column has a scale of its own, from 0{same}. The maps are coarse and smoothed to the "
    "image: {sizes}.{correlation}"
)
WHICH_PIXELS = (
    "[Integrated gradients](https://arxiv.org/abs/1703.01365) of the logit from {baseline}, $b$, to the image, $x$: blue pixels "
    "raise it, red ones lower it. A pixel that is the same in both gets 0."
)


@recipe()
def prediction(subject: Subject, *beside: Subject) -> Shown:
    """The five likeliest classes of the image, intact and with the lesion; what the network beside it sees."""
    seen = subject.sees
    truth = f"its label: {subject.class_name}" if subject.label_is_true else "no label"
    return Shown(
        title=f"This image: {seen}",
        draw=partial(figures.prediction_change, subject.entry.classes, *subject.probabilities),
        says=" ".join(map(beside_sentence, beside)),
        formula=SOFTMAX,
        caption=f"{BOTH if subject.lesioned else '● intact'} · {truth}",
        alt=f"The five likeliest classes: {seen}.",
        facts=(MEASURED, "1 image"),
        sources=sources([subject], subject.image),
    )


@recipe("Measure the error over the set")
def set_error(*subjects: Subject) -> Steps:
    """The error of the set in each network, before and after; until that is known, of the first images."""
    subject, images = subjects[0], subjects[0].images
    if images.labels is None:
        lesion = yield from measures.lesion_in_steps(subject.loaded, images, subject.gates)
        return Shown(
            title=f"{lesion.changed_pct:.0f} % of predictions change"
            if subject.lesioned
            else f"{counted(images)}, nothing deleted",
            caption=no_error(subject),
            facts=(MEASURED, images.title),
        )
    first = images.limit(measures.FIRST_IMAGES)
    if len(first) < len(images):
        lesions = yield from lesions_of(subjects, first)
        yield Shown(
            title=figures.set_sentence(lesions[0]),
            draw=partial(figures.error_bars, rows_of(subjects, lesions)),
            facts=(MEASURED, f"{first.title}, the others follow", "Wilson 95 %"),
        )
    lesions = yield from lesions_of(subjects, images)
    return Shown(
        title=figures.set_sentence(lesions[0]),
        draw=partial(figures.error_bars, rows_of(subjects, lesions)),
        says=figures.rise_sentence(lesions[0]) if subject.lesioned else "",
        formula=rf"{GATED},\ g = {min(subject.gates):g}",
        caption=A_SAMPLE if subject.entry.dataset == FASHION_MNIST and subject.entry.name in NETWORKS else "",
        alt="Error before and after, with intervals.",
        facts=(MEASURED, f"{len(images):,} images", "Wilson 95 %"),
        sources=sources(subjects, images),
    )


def lesions_of(subjects: Sequence[Subject], images: ImageSet) -> Stepping[list[deletion.Lesion]]:
    """What the lesion does to a set in each network."""
    steps = [measures.lesion_in_steps(each.loaded, images, each.gates) for each in subjects]
    return (yield from measures.one_after_the_other(steps))


@recipe()
def class_errors(subject: Subject) -> Shown:
    """The error of each class, before and after. Raises ValueError for images without labels."""
    lesion = measures.lesion(subject.loaded, subject.images, subject.gates)
    counts = np.unique(deletion.known(lesion.labels), return_counts=True)[1]
    fewest, most = counts.min(), counts.max()
    of_each = f"{fewest} images a class" if fewest == most else f"{fewest} to {most} images a class"
    return Shown(
        title="Which classes suffer?",
        draw=partial(figures.class_errors, subject.entry.classes, lesion),
        caption=MOST_HARMED,
        alt="Error of each class before and after.",
        facts=(
            MEASURED,
            of_each,
            *([f"{figures.MOST_CLASSES} of {len(counts)} classes"] if len(counts) > figures.MOST_CLASSES else []),
        ),
        sources=sources([subject], subject.images),
    )


@recipe()
def changed_predictions(subject: Subject) -> Shown:
    """Images of the set whose predicted class the lesion changes, spread over all of them."""
    images, classes = subject.images, subject.entry.classes
    lesion = measures.lesion(subject.loaded, images, subject.gates)
    changed = np.flatnonzero(lesion.before != lesion.after)
    few = [int(changed[i * len(changed) // PICTURES]) for i in range(PICTURES)] if len(changed) > PICTURES else changed
    captions = {i: f"{classes[lesion.before[i]]} → {classes[lesion.after[i]]}" for i in map(int, few)}
    more = f", {PICTURES} of them:" if len(changed) > PICTURES else "."
    return Shown(
        says=f"**{len(changed)} of {len(images):,} predictions change**{more}",
        pictures=pictures_of(images, captions),
    )


@recipe("Compare confidence with accuracy")
def reliability(subject: Subject) -> Shown:
    """Confidence against accuracy, before and after. Raises ValueError for images without labels."""
    before, after = (
        measures.reliability(subject.loaded, subject.images, gates) for gates in (subject.intact, subject.gates)
    )
    return Shown(
        title=calibration_sentence(subject.title, before, after),
        draw=partial(reliability_diagram, [("intact", before, True), ("with the lesion", after, False)]),
        formula=CALIBRATION,
        caption=CALIBRATED,
        alt="Accuracy over confidence, before and after.",
        facts=(MEASURED, f"{len(subject.images):,} images"),
        sources=sources([subject], subject.images),
    )


def both_gates(subject: Subject) -> list[measures.Gates]:
    """Intact, and with the lesion if there is one."""
    return [subject.intact, *([subject.gates] if subject.gates != subject.intact else [])]


def mapped(subject: Subject) -> list[str]:
    """The blocks behind which the stream has channels, height and width, as Grad-CAM needs them."""
    return [each.name for each in subject.description.blocks if len(each.out_shape) == 3]


@recipe()
def grad_cam(subject: Subject, block: str = "") -> Shown:
    """Where in the image the evidence for its class lies, at the end of each stage and at a block (the last), if the stream has
    places there."""
    block, both = subject.block(block), both_gates(subject)
    if block not in mapped(subject):
        shape = subject.description.blocks[subject.blocks.index(block)].out_shape
        return Shown(says=NO_MAP.format(block=block, shape=shape_text(shape)))
    seen, label = subject.image, subject.label
    maps = {
        name: [
            measures.over_set(image_attribution.grad_cam, subject.loaded, seen, label, gates, name) for gates in both
        ]
        for name in stage_ends(mapped(subject), block)
    }
    title = attribution.grad_cam_sentence(block, subject.class_name, maps[block])
    lesioned = len(both) > 1
    return Shown(
        title=title,
        draw=partial(attribution.grad_cam_by_block, pixels_of(seen, 0), maps, block),
        says=attribution.strength_sentence(maps[block]),
        formula=GRAD_CAM,
        caption=WHERE_EVIDENCE_LIES.format(
            class_name=subject.class_name,
            same=", the same above and below" if lesioned else "",
            sizes=attribution.sizes_sentence(maps),
            correlation=" The correlation (Pearson) is of the cells." if lesioned else "",
        ),
        alt=f"{title}.",
        facts=(MEASURED, "1 image", subject.whose_class),
        sources=sources([subject], seen),
    )


@recipe("Integrated gradients")
def integrated_gradients(subject: Subject) -> Steps:
    """What each pixel adds to the logit of the image's class, before and after."""
    both, pair = both_gates(subject), []
    for gates in both:
        given = subject.image, subject.label, gates
        pair.append(measures.over_set(image_attribution.integrated_gradients, subject.loaded, *given))
        yield len(pair) / len(both)
    baseline = "an input of zeros" if subject.images.normalised else "black"
    title = attribution.integrated_sentence(subject.class_name, pair, baseline)
    correlation = " The correlation (Pearson) is of the other pixels." if len(both) > 1 else ""
    return Shown(
        title=title,
        draw=partial(attribution.integrated_pictures, pixels_of(subject.image, 0), pair),
        says=attribution.completeness_sentence(pair),
        formula=INTEGRATED,
        caption=WHICH_PIXELS.format(baseline=baseline) + correlation,
        alt=f"{title}.",
        facts=(MEASURED, "1 image", subject.whose_class),
        sources=sources([subject], subject.image),
    )


@recipe("Delete every block in turn")
def sweep(*subjects: Subject) -> Steps:
    """The error of the set with each block deleted in turn, in each network."""
    images = subjects[0].images
    passes = len(subjects[0].blocks) / 2  # what lies before a lesion is shared
    networks = [each.loaded for each in subjects]
    swept = yield from measures.swept_in_parts(deletion.sweep, networks, images, passes)
    rows = rows_of(subjects, swept)
    says = "  \n".join(f"**{title}**: {figures.sweep_sentence(each)}" for title, each, _ in rows)
    labelled = images.labels is not None
    rises = dict(zip(swept[0].blocks, swept[0].rises, strict=True)) if labelled else {}
    return Shown(
        title="Every block deleted in turn",
        draw=partial(figures.sweep_errors, rows, subjects[0].chance_pct),
        says=says,
        formula=rf"{GATED},\ g = 0",
        caption=figures.sweep_caption(rows),
        alt=f"What each deletion does. {says}",
        facts=(
            MEASURED,
            f"{len(swept[0].blocks)} lesions × {len(images):,} images",
            *(["Wilson 95 %"] if labelled else []),
        ),
        sources=sources(subjects, images),
        bars=relative_bars(rises, "points more error", least=5) if labelled else None,
        bars_title="bars: rise in error when this block alone is deleted" if labelled else "",
    )


def study_of(name: str) -> Study:
    """Every block of a bundled network deleted in turn, over the lesion set."""
    loaded = network(name)
    return single_deletions(loaded.network, loaded.entry.preprocessing, lesion_set())


def single() -> Answer:
    """Every block in turn."""
    measured, notes, rows = [], [], []
    for name in (*RESIDUAL, "fashion-preact110", CONTROL, "fashion-vgg11"):
        swept = study_of(name).sweep
        labels = deletion.known(swept.labels)
        change = (swept.predictions != labels).astype(float) - (swept.intact != labels)

        def median(chosen: np.ndarray, change: np.ndarray = change) -> float:
            return float(100 * np.median(change[:, chosen].mean(1)))

        value = float(np.median(swept.rises))
        plain = is_plain(network(name).network)
        measured.append(
            Measurement(
                name,
                "median rise, points",
                value,
                *bootstrapped(median, len(labels)),
                IMAGES,
                value > 50 if plain else value < 5,
            )
        )
        worst = ", ".join(f"{block} {error:.1f} %" for block, error in swept.worst())
        notes.append(f"{name}: mean {swept.rises.mean():+.1f}, intact {swept.error_pct:.1f} %, the three worst {worst}")
        rows.append((name, swept, plain))
    return measured, "; ".join(notes), figures.sweep_errors([rows[0], rows[3]], CHANCE, LIGHT)


def calibrated() -> Answer:
    """Confidence and accuracy before a lesion and after many."""
    measured, notes, rows = [], [], []
    draws = calibration.DRAWS
    for name in ("fashion-resnet56", CONTROL):
        loaded = network(name)
        count = len(loaded.network.blocks)
        deleted = round(count / 10)
        generator = np.random.default_rng(0)
        chosen = [generator.choice(list(loaded.network.blocks), deleted, replace=False) for _ in range(draws)]
        lesions = [loaded.network.gates_without(names) for names in chosen]
        labels = deletion.known(deletion.label_array(lesion_set()))
        intact, *lesioned = deletion.probabilities_of_each(
            loaded.network, loaded.entry.preprocessing, lesion_set(), [loaded.intact, *lesions]
        )
        before, after = (
            calibration.reliability(intact, labels),
            [calibration.reliability(each, labels) for each in lesioned],
        )
        errors = np.array([each.expected_calibration_error for each in after])
        surplus = np.array([each.surplus for each in after])
        for what, values in (
            ("growth of the calibration error", errors - before.expected_calibration_error),
            ("confidence minus accuracy, with the lesion", surplus),
        ):
            value = float(np.median(values))
            measured.append(
                Measurement(
                    name,
                    f"{what}, median of the draws",
                    value,
                    *median_interval(values),
                    f"95 %, {draws} draws",
                    value > 0,
                )
            )
        notes.append(
            f"{name}, {draws} draws of {deleted} of its {count} blocks: calibration error {before.expected_calibration_error:.3f} intact, {errors.min():.3f} to {errors.max():.3f} "
            f"with the lesion; confidence minus accuracy {surplus.min():.2f} to {surplus.max():.2f}, above 0 in {(surplus > 0).sum()}"
        )
        pooled = calibration.reliability(np.concatenate(lesioned), np.tile(labels, draws))
        rows += [(f"{name}, intact", before, True), (f"{name}, {deleted} blocks deleted, {draws} draws", pooled, False)]
    return measured, "; ".join(notes), reliability_diagram(rows[:2], LIGHT)


def healed() -> Answer:
    """What a third of the multiply-adds costs, and what is left of that after a short training."""
    measured, notes = [], []
    for name in RESIDUAL:
        found = cut.recorded(name)
        if len(found) <= len(cut.SEEDS):
            notes.append(f"{name}: not measured yet")
            continue
        least, *random = found
        least_rise, random_rises = least["healed"], [each["healed"]["rise"] for each in random]
        what = "rise after healing, points"
        measured.append(
            Measurement(
                name,
                f"{what}, without the least harmful blocks",
                least_rise["rise"],
                least_rise["rise_low"],
                least_rise["rise_high"],
                IMAGES,
                least_rise["rise"] <= HEALED,
            )
        )
        mean, low, high = mean_interval(random_rises)
        measured.append(
            Measurement(
                name,
                f"{what}, without random blocks",
                mean,
                low,
                high,
                "95 %, t over 3 seeds",
                mean > HEALED,
            )
        )
        before = ", ".join(f"{each['cut']['rise']:+.1f} → {each['healed']['rise']:+.1f}" for each in random)
        notes.append(
            f"{name}, intact {least['intact']['error_pct']:.1f} %, without {len(least['deleted'])} of "
            f"{least['intact']['blocks']} blocks ({', '.join(least['deleted'])}): {share_gone(least)} of the multiply-adds gone, "
            f"{least['cut']['rise']:+.1f} points before healing; as many random blocks ({', '.join(map(share_gone, random))} gone): "
            f"{before} points"
        )
    return measured, "; ".join(notes), None


def share_gone(record: Mapping[str, Any]) -> str:
    """'33 %', of the multiply-adds of a network that was cut."""
    return f"{100 * (1 - record['cut']['macs'] / record['intact']['macs']):.0f} %"


QUESTIONS: tuple[Question, ...] = (
    (PLANS[SINGLE], "layer_deletion?network=fashion-resnet56", single),
    (calibration.PLAN, "layer_deletion?network=fashion-resnet56&deleted=13.16.21", calibrated),
    (cut.PLAN, "layer_deletion?network=fashion-resnet56&deleted=12-13.16.19.22-26", healed),
)
