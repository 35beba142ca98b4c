"""Why can a residual network lose a layer and still see? The first page's figure, of the image and the network beside."""

from dataclasses import replace

from ..figures.deletion import seen_sentence
from .layer_deletion import BOTH, prediction, probabilities
from .shown import Shown, recipe
from .subject import Subject

__all__ = ["first_look"]


@recipe()
def first_look(subject: Subject, *beside: Subject) -> Shown:
    """How many blocks are deleted, and what the network sees, beside another under the same lesion."""
    deleted, seen = len(subject.lesioned), seen_sentence(subject.entry.classes, *probabilities(subject))
    counts = (
        f"{deleted} of {len(subject.blocks)} blocks deleted" if deleted else "Nothing deleted: the network is intact"
    )
    return replace(prediction(subject, *beside), title=f"{counts}. It sees: {seen}", formula="", caption=BOTH)
