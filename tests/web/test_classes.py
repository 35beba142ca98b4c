"""A class in the server's memory: its teacher alone reads it, it is bounded, and it ends."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from resnet_viz.errors import InputError
from resnet_viz.web import classes as module
from resnet_viz.web import meetings
from resnet_viz.web.classes import Classes
from resnet_viz.web.lesson import Lesson, Step

LESSON = Lesson("L", "", [Step("h", "", "about", "How much?", "So much.", "number", unit="%", right="5")])


class Room:
    """Classes, who is connected, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.here = {"teacher"}
        self.now = 0.0
        self.classes = Classes(lambda session: session in self.here, lambda: self.now)


@pytest.fixture
def room() -> Room:
    return Room()


def test_the_last_answer_of_a_session_counts_and_only_its_teacher_reads_it(room: Room) -> None:
    code = room.classes.open("teacher", LESSON, "own").code
    for session, said in (("a", "5"), ("b", "7"), ("a", "6")):
        room.classes.predict(code, session, 0, said)
    room.classes.predict(code, "a", 3, "of another step")
    assert sorted(room.classes.predictions("teacher", 0)) == ["6", "7"]
    assert room.classes.predictions("a", 0) == [] and room.classes.of("a") is None


def test_a_code_is_short_and_holds_no_sign_that_is_taken_for_another(room: Room) -> None:
    codes = {room.classes.open("teacher", LESSON, "own").code for _ in range(200)}
    assert len(codes) > 190 and {len(code) for code in codes} == {5}
    assert not set("".join(codes)) & set("0O1I") and "".join(codes).isupper()
    (last,) = room.classes.held  # one class a teacher
    assert room.classes.find(f" {last.lower()} ") is room.classes.of("teacher")


def test_a_class_holds_a_copy_of_its_lesson(room: Room) -> None:
    lesson = Lesson("L", "", [Step("h", "", "about")])
    opened = room.classes.open("teacher", lesson, "own")
    lesson.steps.clear()
    assert len(opened.lesson.steps) == 1


def test_a_class_ends_with_its_teacher(room: Room) -> None:
    code = room.classes.open("teacher", LESSON, "own").code
    room.classes.close("a")
    assert room.classes.find(code)
    room.classes.close("teacher")
    assert room.classes.find(code) is None
    with pytest.raises(InputError, match="Your class has ended: this prediction was not sent"):
        room.classes.predict(code, "a", 0, "5")


def test_a_class_outlives_a_short_absence_of_its_teacher_but_not_a_day(room: Room) -> None:
    code = room.classes.open("teacher", LESSON, "own").code
    room.now = 5000.0
    assert room.classes.find(code)  # connected all the time
    room.here.clear()
    room.now += meetings.GRACE - 1
    assert room.classes.find(code)
    room.here.add("teacher")
    assert room.classes.of("teacher")
    room.here.clear()
    room.now += meetings.GRACE + 1
    assert room.classes.find(code) is None
    room.here.add("teacher")
    code = room.classes.open("teacher", LESSON, "own").code
    room.now += meetings.LONGEST_LIFE + 1
    assert room.classes.find(code) is None


def test_who_has_the_secret_takes_the_class_over(room: Room) -> None:
    opened = room.classes.open("teacher", LESSON, "own")
    room.classes.predict(opened.code, "a", 0, "5")
    room.here = {"anew"}
    for wrong in ("", opened.secret[:-1], "ü" * 32, opened.code):
        assert room.classes.take_over(wrong, "anew") is None
    assert room.classes.of("anew") is None and opened.secret not in repr(opened)
    of_its_own = room.classes.open("anew", LESSON, "own").code
    assert room.classes.take_over(opened.secret, "anew") is opened
    assert room.classes.predictions("anew", 0) == ["5"] and room.classes.predictions("teacher", 0) == []
    assert room.classes.find(of_its_own) is None  # one class a teacher
    assert room.classes.take_over(opened.secret, "anew") is room.classes.of("anew") is opened
    room.now += meetings.GRACE + 1
    assert room.classes.find(opened.code)  # with the new session, not with the first
    room.classes.close("anew")
    assert room.classes.take_over(opened.secret, "anew") is None


def test_what_is_revealed_is_predicted_no_more(room: Room) -> None:
    opened = room.classes.open("teacher", LESSON, "own")
    room.classes.predict(opened.code, "a", 0, "5")
    room.classes.reveal("a", 0)
    assert not opened.revealed
    room.classes.reveal("teacher", 0)
    with pytest.raises(InputError, match="Your teacher has shown what happens: this prediction was not sent"):
        room.classes.predict(opened.code, "a", 0, "6")
    room.classes.predict(opened.code, "a", 1, "7")
    assert opened.revealed == {0} and room.classes.predictions("teacher", 0) == ["5"]


def test_who_has_joined_is_counted_as_long_as_connected(room: Room) -> None:
    code = room.classes.open("teacher", LESSON, "own").code
    room.here |= {"a", "b"}
    for session in "aabb":
        room.classes.join(code, session)
    room.classes.join("AAAAA", "a")
    assert room.classes.joined("teacher") == 2 and room.classes.joined("a") == 0
    room.here.remove("b")
    assert room.classes.joined("teacher") == 1


def test_there_is_room_for_so_much_and_no_more(room: Room, monkeypatch) -> None:
    monkeypatch.setattr(meetings, "MOST", 2)
    room.here |= {"second", "third"}
    code = room.classes.open("teacher", LESSON, "own").code
    room.classes.open("second", LESSON, "own")
    with pytest.raises(InputError, match="At most 2 classes"):
        room.classes.open("third", LESSON, "own")
    with pytest.raises(InputError, match="no room"):
        room.classes.predict(code, "a", 0, "x" * 501)
    monkeypatch.setattr(module, "MOST_ANSWERS", 2)
    for session in "ab":
        room.classes.predict(code, session, 0, "5")
    with pytest.raises(InputError, match="no room"):
        room.classes.predict(code, "c", 0, "5")
    room.classes.predict(code, "b", 0, "6")  # in place of its own
    monkeypatch.setattr(module, "MOST_BYTES", 20)
    with pytest.raises(InputError, match="no room"):
        room.classes.predict(code, "b", 0, "ü" * 10)
    assert sorted(room.classes.predictions("teacher", 0)) == ["5", "6"]


def test_a_whole_class_may_answer_at_once(room: Room) -> None:
    code = room.classes.open("teacher", LESSON, "own").code
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda number: room.classes.predict(code, f"s{number % 50}", number % 5, str(number)), range(1000))
        )
    assert sum(len(room.classes.predictions("teacher", step)) for step in range(5)) == len(
        {(n % 50, n % 5) for n in range(1000)}
    )
