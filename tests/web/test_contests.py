"""A contest in the server's memory, and its card: what counts, who is ahead, whose nickname it is, and how it ends."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from resnet_viz.errors import InputError
from resnet_viz.web import contests as module
from resnet_viz.web import meetings
from resnet_viz.web.contests import Contests
from resnet_viz.web.session import contests as contests_of_the_app
from tests.web.test_pages import button, choose, opened, texts

NETWORK = "fashion-resnet20"


class Room:
    """A contest that a teacher has opened, who is connected, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.here = {"teacher"}
        self.now = 0.0
        self.contests = Contests(lambda session: session in self.here, lambda: self.now)
        self.code = self.contests.open("teacher", NETWORK, 2.0).code

    def enter(self, session: str, nickname: str, removed_pct: float, rise: float = 1.0) -> bool:
        return self.contests.enter(self.code, session, nickname, ["layer3.1"], removed_pct, rise)

    @property
    def table(self) -> list[str]:
        return [each.nickname for each in self.contests.ranking(self.code)]


@pytest.fixture
def room() -> Room:
    return Room()


def test_most_multiply_adds_win_then_the_lower_rise_then_the_earlier(room: Room) -> None:
    room.enter("a", "less", 10.0, -0.5)
    room.enter("b", "first", 20.0, 1.5)
    room.enter("c", "equal but later", 20.0, 1.5)
    room.enter("d", "lower rise", 20.0, 1.4)
    room.enter("e", "most", 30.0, 2.0)
    assert room.table == ["most", "lower rise", "first", "equal but later", "less"]


def test_an_entry_is_replaced_by_a_better_one_alone(room: Room) -> None:
    assert room.enter("a", "Ada", 20.0, 1.5)
    assert not room.enter("a", "Ada", 19.9, 0.0) and not room.enter("a", "Ada", 20.0, 1.5)
    assert room.contests.ranking(room.code)[0].removed_pct == 20.0
    room.enter("b", "Bob", 21.0)
    assert room.enter("a", "other", 21.0), "it stays with its first nickname"
    assert room.table == ["Bob", "Ada"], "what is entered anew comes later"


def test_what_raises_the_error_too_far_does_not_count(room: Room) -> None:
    assert room.enter("a", "Ada", 10.0, 2.0)
    for rise in (2.1, float("nan")):
        with pytest.raises(InputError, match="may rise by at most 2 points; it rises by"):
            room.enter("b", "Bob", 90.0, rise)
    assert room.table == ["Ada"]


@pytest.mark.parametrize("text", ["Ada", " ada ", "ＡＤＡ"])
def test_a_nickname_belongs_to_one_session(room: Room, text: str) -> None:
    room.enter("a", "Ada", 10.0)
    with pytest.raises(InputError, match="Somebody else has this nickname"):
        room.enter("b", text, 20.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1 to 20 characters; got 0"),
        (" \n ", "1 to 20 characters; got 0"),
        ("x" * 21, "1 to 20 characters; got 21"),
        ("a\u200bb", "invisible"),
        ("a\u202eb", "invisible"),
        ("a\x00", "invisible"),
    ],
)
def test_a_nickname_can_be_read(room: Room, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        room.enter("a", text, 10.0)
    assert room.enter("a", "  zwei  Wörter ", 10.0) and room.table == ["zwei Wörter"]


def test_the_teacher_alone_removes_an_entry_and_its_nickname_does_not_come_back(room: Room) -> None:
    room.enter("a", "Rude", 10.0)
    room.contests.remove("a", "Rude")
    assert room.table == ["Rude"]
    room.contests.remove("teacher", "Rude")
    room.contests.remove("teacher", "nobody")
    assert room.table == []
    with pytest.raises(InputError, match="Your teacher has removed this nickname"):
        room.enter("a", "rude", 10.0)
    assert room.enter("a", "nobody", 10.0)


def test_a_contest_ends_with_its_teacher(room: Room) -> None:
    room.enter("a", "Ada", 10.0)
    room.here.clear()
    room.now = meetings.GRACE - 1
    assert room.contests.find(room.code.lower())
    room.now += 1
    with pytest.raises(InputError, match="The contest has ended"):
        room.enter("a", "Ada", 20.0)
    assert room.contests.find(room.code) is None and room.table == []


def test_a_teacher_has_one_contest_at_a_time(room: Room) -> None:
    again = room.contests.open("teacher", NETWORK, 0.0)
    assert room.contests.find(room.code) is None and room.contests.of("teacher") is again
    room.contests.close("teacher")
    assert room.contests.of("teacher") is None


def test_there_is_room_for_so_much_and_no_more(room: Room, monkeypatch) -> None:
    for most_rise in (-0.1, 100.1, float("nan")):
        with pytest.raises(InputError, match="must be 0 to 100 points"):
            room.contests.open("teacher", NETWORK, most_rise)
    monkeypatch.setattr(meetings, "MOST", 1)
    with pytest.raises(InputError, match="At most 1 contests"):
        room.contests.open("second", NETWORK, 2.0)
    monkeypatch.setattr(module, "MOST_ENTRIES", 1)
    room.enter("a", "Ada", 10.0)
    with pytest.raises(InputError, match="At most 1 can enter"):
        room.enter("b", "Bob", 20.0)
    assert room.enter("a", "Ada", 20.0)


def test_thirty_who_enter_at_once_are_all_ranked_and_one_gets_the_nickname(room: Room) -> None:
    def enter(number: int) -> bool:
        try:
            room.enter(f"s{number}", "same", 5.0)
        except InputError:
            return not room.enter(f"s{number}", f"n{number}", float(number % 7))
        return room.enter(f"s{number}", "same", 50.0)

    with ThreadPoolExecutor(30) as pool:
        assert sum(pool.map(enter, range(30))) == 1
    ranks = [each.rank for each in room.contests.ranking(room.code)]
    assert len(ranks) == 30 and ranks == sorted(ranks) and room.table[0] == "same"


@pytest.fixture
def of_the_app() -> Contests:
    contests_of_the_app.clear()
    return contests_of_the_app()


def entered(app) -> list[tuple[str, float, float]]:
    """Nickname, multiply-adds removed and rise of each entry."""
    code = app.session_state["state"].choices.contest
    return [(each.nickname, round(each.removed_pct, 1), each.rise) for each in contests_of_the_app().ranking(code)]


@pytest.mark.usefixtures("few_images", "of_the_app")
def test_what_was_measured_is_entered_once_it_counts() -> None:
    app = opened("layer_deletion", {"network": NETWORK, "deleted": "7"})
    next(each for each in app.number_input if each.label.startswith("Most rise")).set_value(20.0)
    button(app, "Open a contest").click().run()
    contest = app.session_state["state"].choices.contest
    assert app.query_params["contest"] == contest
    assert f"Remove the most multiply-adds of {NETWORK}" in texts(app) and "at most 20 points" in texts(app)
    assert "13.9 % fewer multiply-adds, " in texts(app)
    next(each for each in app.text_input if each.label == "Nickname").input("*Ada*")
    button(app, "Enter").click().run()
    assert [row[:2] for row in entered(app)] == [("*Ada*", 13.9)]
    assert r"You are **\*Ada\***" in texts(app)
    button(app, "Enter").click().run()
    assert [each.value for each in app.info] == ["Your entry stays: this is no better."]
    app.button(key="delete_layer1").click().run()
    assert "**It does not count:**" in texts(app) and not [each for each in app.button if each.label == "Enter"]
    button(app, "Restore all").click().run()
    assert "Delete blocks on the strip" in texts(app)
    choose(app, "fashion-resnet32")
    assert not [each for each in app.button if each.label == "Enter"]
    button(app, f"Go to {NETWORK}").click().run()
    assert app.session_state["state"].choices.network == NETWORK
    assert not app.exception and not app.error


@pytest.mark.usefixtures("few_images")
def test_a_contest_that_ends_is_left(of_the_app: Contests) -> None:
    code = of_the_app.open("teacher", NETWORK, 2.0).code
    app = opened("layer_deletion", {"contest": code.lower(), "network": NETWORK, "beside": "nothing"})
    assert f"Contest {code}" in [each.value for each in app.header] and not app.warning
    assert app.query_params["contest"] == code
    of_the_app.close("teacher")
    app.run()
    assert [each.value for each in app.warning] == ["The contest has ended."]
    assert "contest" not in app.query_params and f"Contest {code}" not in texts(app)


@pytest.mark.usefixtures("few_images")
def test_a_contest_goes_on_through_the_steps_of_a_lesson(of_the_app: Contests) -> None:
    code = of_the_app.open("teacher", NETWORK, 2.0).code
    app = opened("early_stop", {"contest": code, "network": NETWORK, "lesson": "plain-nets", "step": "3"})
    links = [each.proto.query_string for each in app.get("page_link")]
    assert links and all(f"contest={code}" in each and "lesson=plain-nets&step=" in each for each in links)
    button(app, "End the lesson").click().run()
    assert app.query_params["contest"] == code and "lesson" not in app.query_params


@pytest.mark.usefixtures("of_the_app")
def test_an_address_of_no_contest_is_told() -> None:
    app = opened("about", {"network": NETWORK, "contest": "<b>" * 30})
    assert "is not open (any more); ask your teacher for the code" in app.warning[0].value
    assert "contest" not in app.query_params


def test_a_code_leads_to_the_contest_from_the_lessons(of_the_app: Contests) -> None:
    code = of_the_app.open("teacher", NETWORK, 0.5).code
    app = opened("lessons", {"class": code.lower()})
    assert "at most 0.5 points" in texts(app) and not app.error
    (link,) = (each for each in app.get("page_link") if each.proto.label == "Take part")
    assert f"contest={code}" in link.proto.query_string and f"network={NETWORK}" in link.proto.query_string


@pytest.mark.parametrize("change", [{"seed": "0"}, {"network": "imagenet-resnet18"}])
@pytest.mark.usefixtures("few_images", "of_the_app", "small_imagenet")
def test_a_contest_needs_a_trained_network_with_labelled_images(change) -> None:
    app = opened("layer_deletion", {"network": NETWORK} | change)
    assert not [each for each in app.button if each.label == "Open a contest"]
