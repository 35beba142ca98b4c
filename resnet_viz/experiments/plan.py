"""What an experiment asks and expects, written down before it is run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Texts for the reader of a page or of the report, in Markdown. ``expected`` names the effect with its margin."""

    question: str
    measure: str
    networks: str
    images: str
    seeds: str
    expected: str
    published: str = "nothing published to compare with"
