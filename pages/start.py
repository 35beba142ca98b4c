"""The first screen: a real network to touch, and the seven claims with the page that tests each."""

import streamlit as st

from resnet_viz.figures.deletion import prediction_change
from resnet_viz.web import cached
from resnet_viz.web.parts import PAGES, chip, deleting_strip, show, untrained_note, visit
from resnet_viz.web.session import choices

now = visit()
entry = now.loaded.entry
errors = {
    name: history["train_error_pct"]
    for name in ("fashion-plain20", "fashion-plain56", "fashion-resnet56")
    if (history := cached.history(name))
}
degradation = (
    " Here, training error after the same training: "
    + ", ".join(f"{name.removeprefix('fashion-')} {error:.1f} %" for name, error in errors.items())
    + "."
)
CLAIMS = [
    ("Degradation", f"Past some depth, adding plain layers raises the *training* error: an optimisation failure, not overfitting.{degradation}", None),
    ("Residual learning", "A block computes $y = x + F(x)$: to do nothing it only needs $F(x) = 0$.", "stage_diagram"),
    ("The shortcut is a gradient highway", "$\\partial y / \\partial x = I + \\partial F / \\partial x$ carries an identity term.", "gradient_flow"),
    ("Basic and bottleneck blocks", "1x1 reduce, 3x3, 1x1 restore buys depth almost for free.", "stage_diagram"),
    ("Stages", "A stem, stages that double the channels and halve the resolution, a head; all shortcuts are identities but a few.", "stage_diagram"),
    ("Pre-activation", "With batch norm and ReLU inside the branch, nothing at all stands on the shortcut.", "gradient_flow"),
    ("An ensemble of paths", "$2^n$ paths of different lengths, the gradient in the shorter ones: so a deleted block barely hurts.", "path_unrolling"),
]  # fmt: skip

st.title("Why can a residual network lose a layer and still see?", anchor=False)
st.markdown(
    "Below is a real network that looks at a real image. Click blocks to delete them, and watch what it sees. Everything here is computed as you click."
)
untrained_note(now)
with st.container(border=True):
    deleted = deleting_strip(now, None, "")
    picture, answer = st.columns([1, 1.4], vertical_alignment="center")
    with cached.timed() as spent:
        gates = now.gates(deleted, choices().lesion(entry.name).gate)
        before = cached.probabilities(now.loaded, now.image, now.gates([]))
        after = cached.probabilities(now.loaded, now.image, gates)
    was, becomes = (entry.classes[int(values.argmax())] for values in (before, after))
    with picture:
        counts = (
            f"{len(deleted)} of {len(gates)} blocks deleted" if deleted else "Nothing deleted: the network is intact"
        )
        st.subheader(f"{counts}. It sees: {becomes}" + (f", no longer {was}" if becomes != was else ""), anchor=False)
        st.page_link(
            PAGES / "layer_deletion.py",
            label="Over 1,000 images, beside a plain network",
            icon=":material/content_cut:",
        )
        chip("measured", "1 image", *spent)
    with answer:
        show(
            prediction_change(entry.classes, before, after, now.palette),
            "start_prediction",
            f"The likeliest classes; first {becomes}.",
        )
        st.caption("○ intact ● with the lesion")
st.subheader("Seven claims, and where to test them", anchor=False)
titles = {"stage_diagram": "Stage diagram", "gradient_flow": "Gradient flow", "path_unrolling": "Path unrolling"}
for number, (claim, text, page) in enumerate(CLAIMS, start=1):
    said, link = st.columns([5, 1], vertical_alignment="center")
    said.markdown(f"**{number}. {claim}.** {text}")
    if page is not None:
        link.page_link(PAGES / f"{page}.py", label=titles[page], icon=":material/arrow_forward:")
chip("precomputed", "training errors: all 60,000 training images, without augmentation, one seed")
