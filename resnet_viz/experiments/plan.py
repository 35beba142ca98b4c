"""What an experiment asks and expects, written down before it is run."""

from dataclasses import dataclass

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """Texts for the reader of a page or of the report, in Markdown. ``expected`` names the effect with its margin;
    ``known``: the figures that were known when it was written, if any."""

    question: str
    measure: str
    networks: str
    images: str
    seeds: str
    expected: str
    published: str = "nothing published to compare with"
    known: str = ""

    @property
    def expectation(self) -> str:
        """What was expected and, where that was no blind guess, what was known by then."""
        return self.expected + (f" (expected when {self.known} were known)" if self.known else "")

    def lines(self) -> dict[str, str]:
        """What a reader is told, by title."""
        told = {name: text for name, text in vars(self).items() if name != "known"}
        return {**told, "expected": self.expectation}
