"""Who removes most of a network: a teacher opens a contest under a short code, and all who are in it see its table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from unicodedata import normalize

from ..errors import InputError
from .meetings import Meeting, Meetings

MOST_ENTRIES = 200  # of a contest
LONGEST_NICKNAME = 20  # characters
LARGEST_RISE = 100.0  # points


@dataclass(frozen=True)
class Entry:
    """What a session has entered: the blocks that it deletes, the share of the multiply-adds that goes with them, in per cent,
    and the rise in error, in percentage points."""

    session: str
    nickname: str
    deleted: tuple[str, ...]
    removed_pct: float
    rise: float

    @property
    def rank(self) -> tuple[float, float]:
        """The lower, the better."""
        return -self.removed_pct, self.rise


@dataclass
class Contest(Meeting):
    """``network``: the name of its row; ``most_rise``: of the error, in percentage points. ``entries``: by session, in the order in
    which they came in; ``unwanted``: nicknames that its teacher has removed, in small letters."""

    network: str
    most_rise: float
    entries: dict[str, Entry] = field(default_factory=dict)
    unwanted: set[str] = field(default_factory=set)


class Contests(Meetings[Contest]):
    """All contests of this server."""

    name, length = "contests", 6

    def open(self, teacher: str, network: str, most_rise: float) -> Contest:
        """A contest in place of the one that this teacher had. Raises InputError where there are too many, and for a rise that is
        not from 0 to 100 points."""
        if not 0 <= most_rise <= LARGEST_RISE:
            raise InputError(f"The rise allowed must be 0 to {LARGEST_RISE:g} points; got {most_rise:g}.")
        return self._open(teacher, partial(Contest, network=network, most_rise=most_rise))

    def enter(
        self, code: str, session: str, nickname: str, deleted: Sequence[str], removed_pct: float, rise: float
    ) -> bool:
        """Keep what was measured of a session's deletion, if it is better than what it had entered; returns whether it is.

        The nickname is that of its first entry. Raises InputError where there is no such contest, or no room in it, for too large
        a rise, and for a nickname that cannot be had.
        """
        with self.lock:
            self._forget_the_left()
            found = self.held.get(code)
            if found is None:
                raise InputError("The contest has ended: this was not entered.")
            if not rise <= found.most_rise:
                raise InputError(f"The error may rise by at most {found.most_rise:g} points; it rises by {rise:.1f}.")
            before = found.entries.get(session)
            name = before.nickname if before else free_nickname(nickname, found)
            entry = Entry(session, name, tuple(deleted), removed_pct, rise)
            if before and entry.rank >= before.rank:
                return False
            found.entries.pop(session, None)  # it comes in anew: of equals the earlier is ahead
            found.entries[session] = entry
            return True

    def ranking(self, code: str) -> list[Entry]:
        """The entries of a contest, the best first: most multiply-adds removed, then least rise, then earliest."""
        with self.lock:
            found = self.held.get(code)
            return sorted(found.entries.values(), key=lambda each: each.rank) if found else []

    def remove(self, teacher: str, nickname: str) -> None:
        """Take an entry out of a teacher's contest; its nickname cannot be had again."""
        with self.lock:
            found = self._of(teacher)
            entered = found.entries.values() if found else ()
            if found and (entry := next((each for each in entered if each.nickname == nickname), None)):
                del found.entries[entry.session]
                found.unwanted.add(nickname.casefold())


def free_nickname(text: str, contest: Contest) -> str:
    """A nickname as it is shown, if it can be had in a contest. Raises InputError otherwise."""
    nickname = " ".join(normalize("NFKC", text).split())  # what looks the same is the same
    if not 1 <= len(nickname) <= LONGEST_NICKNAME:
        raise InputError(f"A nickname must have 1 to {LONGEST_NICKNAME} characters; got {len(nickname)}.")
    if not nickname.isprintable():
        raise InputError("A nickname must not have invisible characters; leave them out.")
    if nickname.casefold() in {each.nickname.casefold() for each in contest.entries.values()}:
        raise InputError("Somebody else has this nickname; choose another.")
    if nickname.casefold() in contest.unwanted:
        raise InputError("Your teacher has removed this nickname; choose another.")
    if len(contest.entries) >= MOST_ENTRIES:
        raise InputError(f"At most {MOST_ENTRIES} can enter a contest; this one is full.")
    return nickname
