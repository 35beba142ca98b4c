"""What happens when a block is deleted? One image, a labelled set, and every block in turn; another network beside it."""

from functools import partial

import streamlit as st

from resnet_viz.experiments.calibration import PLAN
from resnet_viz.experiments.deletion import Lesion
from resnet_viz.experiments.image_attribution import stage_ends
from resnet_viz.experiments.paths import is_plain
from resnet_viz.figures import deletion as figures
from resnet_viz.figures import image_attribution as attribution
from resnet_viz.figures.importance import calibration_sentence, reliability_diagram
from resnet_viz.networks.zoo import LoadedNetwork
from resnet_viz.web import cached, parts, settings, snippets
from resnet_viz.web.card import card, chip, show
from resnet_viz.web.gallery import flipped, thumbnails
from resnet_viz.web.session import choices
from resnet_viz.web.sweeps import GATED, bars_of, do_sweeps, known_sweeps, show_sweeps

SHOWN = ["prediction", "set_error", "sweep", "class_errors", "pictures", "reliability", "reliability_beside", "grad_cam", "integrated_gradients"]  # top to bottom; computed in another order  # fmt: skip
CALIBRATION = r"\mathrm{ECE} = \sum_b \frac{n_b}{n}\,|\mathrm{accuracy}_b - \mathrm{confidence}_b|"
GRAD_CAM = r"\mathrm{ReLU}\left(\sum_k w_k A_k\right),\ w_k = \frac{1}{hw} \sum_{i,j} \partial z_c / \partial A_{kij}"
INTEGRATED = r"(x_i - b_i) \int_0^1 \frac{\partial z_c}{\partial x_i}\bigl(b + t\,(x - b)\bigr)\,dt"
now = parts.visit()
entry, loaded, images, networks = now.loaded.entry, now.loaded, now.images, now.networks
whose_class = f"{now.class_name}, {'its label' if now.label_is_true else 'predicted'}"
labelled, measured = images.labels is not None, f"{len(images):,} images"


def show_prediction() -> None:
    with cached.timed() as spent:
        before, after = cached.before_and_after(loaded, now.image, gates)
        other = parts.beside_sentence(now, gates)
    seen = figures.seen_sentence(entry.classes, before, after)
    verdict.markdown(f"**This image: {seen}**")
    figure = partial(figures.prediction_change, entry.classes, before, after, now.palette)
    truth = f"its label: {now.class_name}" if now.label_is_true else "no label"
    card(now, "prediction", figure, "measured", "1 image", *spent, title=f"This image: {seen}", formula=r"p_c = e^{z_c} / \sum_j e^{z_j}", says=other, alt=f"The five likeliest classes: {seen}.",
         caption=f"{'○ intact ● with the lesion' if deleted else '● intact'} · {truth}", python=snippets.PREDICTION)  # fmt: skip


def show_set() -> list[Lesion]:
    """The error of the set in each network, before and after; until that is known, of the first images."""
    place, first = st.empty(), images.limit(cached.FIRST_IMAGES)
    if labelled and not all(cached.is_kept(cached.set_logits, network, images, gates) for network in networks):
        with place.container():
            lesions = [cached.lesion(network, first, gates) for network in networks]
            st.header(figures.set_sentence(lesions[0]), anchor=False)
            show(partial(figures.error_bars, rows_of(lesions), now.palette))
            chip("measured", f"{first.title}, the others follow", "Wilson 95 %")
    with st.spinner("Measuring the error over the set ..."), cached.timed() as spent:
        lesions = [cached.lesion(network, images, gates) for network in networks]
    with place.container():
        if labelled:
            sample = "These 1,000 are a sample of the 10,000 test images behind the network's test error."
            card(now, "set_error", partial(figures.error_bars, rows_of(lesions), now.palette), "measured", measured, "Wilson 95 %", *spent,
                 title=figures.set_sentence(lesions[0]), formula=rf"{GATED},\ g = {gate if deleted else 1:g}", says=figures.rise_sentence(lesions[0]) if deleted else "",
                 alt="Error before and after, with intervals.", caption=sample if cached.history(entry.name) else "",
                 of=networks, images=images, python=snippets.set_error(networks))  # fmt: skip
        else:
            st.header(f"{lesions[0].changed_pct:.0f} % of predictions change", anchor=False)
            st.caption(f"{images.title}: they have no labels. The command line takes folders of labelled pictures.")
            chip("measured", images.title, *spent)
    return lesions


def rows_of(lesions: list[Lesion]) -> list[tuple[str, Lesion, bool]]:
    """Title, lesion, and whether it is plain, for each network."""
    return [(each.title, lesion, is_plain(each.network)) for each, lesion in zip(networks, lesions, strict=True)]


def show_consequences(lesion: Lesion) -> None:
    by_class, changed = st.columns([1, 1.3])
    with by_class:
        card(now, "class_errors", partial(figures.class_errors, entry.classes, lesion, now.palette), "measured", f"{lesion.images // len(entry.classes)} images a class", title="Which classes suffer?",
             alt="Error of each class before and after.", caption="○ intact ● with the lesion; the class that suffers most is on top",
             images=images, python=snippets.CLASS_ERRORS)  # fmt: skip
    with changed:
        flipped(images, entry.classes, lesion.before, lesion.after)
    keys = ("reliability", "reliability_beside")[: len(networks)]
    for place, network, key in zip(st.columns(len(networks)), networks, keys, strict=True):
        with place:
            show_calibration(network, key)
    parts.plan_note(PLAN)


def show_calibration(network: LoadedNetwork, key: str) -> None:
    with st.spinner("Comparing confidence with accuracy ..."), cached.timed() as spent:
        both = [cached.reliability(network, images, each) for each in (network.intact, gates)]
    figure = partial(reliability_diagram, [("intact", both[0], True), ("with the lesion", both[1], False)], now.palette)
    card(now, key, figure, "measured", measured, *spent, title=calibration_sentence(network.title, *both), formula=CALIBRATION, alt="Accuracy over confidence, before and after.",
         of=[network], images=images, python=snippets.reliability(networks[: networks.index(network) + 1]),
         caption="○ intact ● with the lesion; the larger the mark, the more images; the smallest stand for one or two. On the diagonal the network is right as often as it is sure; below it, it is overconfident.")  # fmt: skip


def show_attribution() -> None:
    """Where in the image the evidence for its label lies, before and after."""
    both = [loaded.intact, *([gates] if gates != loaded.intact else [])]
    by_block, by_pixel = st.columns([1.3, 1])
    with by_block:
        show_grad_cam(both)
    with by_pixel:
        show_integrated_gradients(both)


def show_grad_cam(both: list[tuple[float, ...]]) -> None:
    blocks, place = list(loaded.network.blocks), st.container()
    chosen = settings.block("seen_at", "Grad-CAM at the block", blocks, blocks[-1],
                            help="A column of the figure above shows the stream that leaves this block.")  # fmt: skip
    with place, st.spinner("Looking for the evidence in the image ..."), cached.timed() as spent:
        maps = {block: [cached.grad_cam(loaded, now.image, now.label, each, block) for each in both] for block in stage_ends(blocks, chosen)}  # fmt: skip
    title = attribution.grad_cam_sentence(chosen, now.class_name, maps[chosen])
    with place:
        card(now, "grad_cam", partial(attribution.grad_cam_by_block, now.image.pixels[0].numpy(), maps, chosen, now.palette), "measured", "1 image", whose_class, *spent, title=title,
             formula=GRAD_CAM, says=attribution.strength_sentence(maps[chosen]), alt=f"{title}.", python=snippets.grad_cam(now.label, chosen, len(both) > 1),
             caption=f"[Grad-CAM](https://arxiv.org/abs/1610.02391) at the stream $A$ that leaves each block: its channels, weighted by the mean gradient of the class's logit $z_c$. The brighter, the more that place "
             f"speaks for {now.class_name}; what speaks against it is cut off. Each column has a scale of its own, from 0{', the same above and below' if len(both) > 1 else ''}. "
             f"The maps are coarse and smoothed to the image: {attribution.sizes_sentence(maps)}." + (" The correlation (Pearson) is of the cells." if len(both) > 1 else ""))  # fmt: skip


def show_integrated_gradients(both: list[tuple[float, ...]]) -> None:
    steps = [partial(cached.integrated_gradients, loaded, now.image, now.label, each) for each in both]
    with st.spinner("Integrating the gradients ..."), cached.timed() as spent:
        key = (loaded.identity, now.image.digest, now.label, *both)
        asked = not labelled  # such networks are large: they wait for a press
        pair = (
            parts.in_steps(key, "Integrated gradients", steps, ask_first=True) if asked else [step() for step in steps]
        )
    if pair is None:
        return
    title = attribution.integrated_sentence(now.class_name, pair)
    card(now, "integrated_gradients", partial(attribution.integrated_pictures, now.image.pixels[0].numpy(), pair, now.palette), "measured", "1 image", whose_class, *spent, title=title,
         formula=INTEGRATED, says=attribution.completeness_sentence(pair), alt=f"{title}.", python=snippets.integrated_gradients(now.label, len(both) > 1),
         caption="[Integrated gradients](https://arxiv.org/abs/1703.01365) of the logit from black, $b$, to the image, $x$: blue pixels raise it, red ones lower it. "
         "A black pixel gets 0, since it is no different from the baseline." + (" The correlation (Pearson) is of the other pixels." if len(both) > 1 else ""))  # fmt: skip


what_to_do, source = (
    ("Click a block: its layers are skipped, and the signal is handed on as it is.", f"the control of {parts.VEIT}") if is_plain(loaded.network)
    else ("Click a block: its branch is skipped, and the signal takes the shortcut alone.", f"after {parts.VEIT}"))  # fmt: skip
parts.question(now, "What happens when a block is deleted?", what_to_do, source)
with cached.timed() as sweep_time:
    swept = known_sweeps(now)
with st.container(border=True):
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.image(thumbnails(now.image, [0], 96)[0], width=48, alt=now.image.names[0])
        verdict = st.empty()
    bars = bars_of(swept[0]) if swept else {}
    deleted = parts.deleting_strip(now, bars, "bars: rise in error when this block alone is deleted" if bars else "")
    gate = choices().lesion(entry.name).gate
    gates = now.gates(deleted, gate)
    parts.lesion_notes(now, deleted)
left, right = st.columns([1, 1.5])
set_place, sweep_place = right.container(border=True), st.container(border=True)
with left.container(border=True):
    show_prediction()
if swept:
    with sweep_place:
        show_sweeps(now, swept, sweep_time)
with set_place:  # it comes late: the figures above need not wait for it
    lesions = show_set()
if labelled:
    with st.container(border=True):
        if deleted:
            show_consequences(lesions[0])
        else:
            st.markdown("**Try this.** Choose three blocks that do little harm one by one (short bars), and predict what deleting all "
                        "three will cost. Then delete them: do the harms add up?")  # fmt: skip
attribution_place = st.container(border=True)
if not swept:
    with sweep_place:
        if do_sweeps(now):
            st.rerun()  # the strip has bars now
with attribution_place:
    show_attribution()
st.session_state["cards"].sort(key=lambda card: SHOWN.index(card.key))
