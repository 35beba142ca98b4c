"""Which shortcut? The kinds of shortcut and the orders of activation that He et al. 2016 compared (arXiv:1603.05027)."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..networks.zoo import Entry, trainable
from .training import Schedule

__all__ = ["DEEP", "DEEP_KINDS", "DEPTH", "EPOCHS", "KINDS", "SEEDS", "Kind", "runs", "schedule"]

DEPTH, DEEP, EPOCHS, SEEDS = 56, 110, 3, (0, 1, 2)


@dataclass(frozen=True)
class Kind:
    """One kind of block. ``network``: its name in the family of ``trainable``, with its shortcut option; ``formula``: what the block
    puts out, in LaTeX. ``published``: the test error on CIFAR-10 of its network of 110 layers, %, by He et al. 2016 (tables 1 and 2;
    median of 5 runs); 'fail' where they found it above 20 % or not converging; '' where they did not try it."""

    title: str
    network: str
    formula: str
    published: float | str = ""
    option: str = "A"

    def entry(self, depth: int) -> Entry:
        """Its network of 6n + 2 layers for Fashion-MNIST. Raises InputError for another depth."""
        return trainable(self.network, depth, self.option)


KINDS = {
    "identity": Kind("identity", "resnet", "x + F(x)", 6.61),
    "none": Kind("no shortcut", "plain", "F(x)", "fail"),
    "exclusive": Kind("exclusive gate", "exclusive", "(1 - g)\\,x + g\\,F(x)", 8.70),
    "halved": Kind("scaled by 0.5", "halved", "0.5\\,x + 0.5\\,F(x)", 12.35),
    "gated": Kind("shortcut-only gate", "gated", "(1 - g)\\,x + F(x)", 12.86),
    "opened": Kind("shortcut-only gate, begun open", "opened", "(1 - g)\\,x + F(x)", 6.91),
    "convolution": Kind("1x1 convolution", "resnet", "W x + F(x)", 12.22, "C"),
    "dropout": Kind("dropout 0.5", "dropout", "\\mathrm{drop}(x) + F(x)", "fail"),
    "rezero": Kind("ReZero", "rezero", "x + \\alpha F(x)"),
    "normafter": Kind("BN after addition", "normafter", "x + F(x)", 8.17),
    "relubefore": Kind("ReLU before addition", "relubefore", "x + F(x)", 7.84),
    "relufirst": Kind("ReLU-only pre-activation", "relufirst", "x + F(x)", 6.71),
    "preactivation": Kind("full pre-activation", "preact", "x + F(x)", 6.37),
}
DEEP_KINDS = ("identity", "exclusive")


def schedule(seed: int = 0) -> Schedule:
    """How each of them is trained."""
    return Schedule(EPOCHS, seed=seed)


def runs() -> Iterator[tuple[Entry, Schedule]]:
    """Every run of the race, in the order in which they are worth having."""
    for seed in SEEDS:
        for kind in KINDS.values():
            yield kind.entry(DEPTH), schedule(seed)
    for seed in SEEDS:
        for name in DEEP_KINDS:
            yield KINDS[name].entry(DEEP), schedule(seed)
