"""A class at the app: visitors who arrive together and press things, and how long they wait (``make load``).

``python -m benchmarks.load [--profile lesson] [--visitors 30] [--minutes 5] [--json FILE]``; Linux only.
"""

import argparse
import json
import os
import platform
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from resnet_viz.experiments import deletion
from resnet_viz.figures.deletion import seen_sentence
from resnet_viz.networks import zoo
from resnet_viz.networks.zoo import LoadedNetwork, WeightsUnavailable
from resnet_viz.web.codes import blocks_of_code
from resnet_viz.web.shell import links

from .browser import Look, first_look
from .rerun import cpu_seconds
from .visitor import ROOT, Visitor, serving

THINKING = 2.0, 4.0  # seconds between what a visitor has seen and the next press
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
VERDICT = re.compile(r"(?:This image: |It sees: )(.+?)(?:\*\*|$)")
SECONDS_A_SAMPLE = 2.0
SECONDS_UNTIL_BROWSERS = 60.0
MEGABITS = 2.0  # a second, for each real browser


@dataclass
class Answer:
    """What a visitor saw of one action: seconds to the first figure, to the first that was not on the page before (if all were,
    to the first), to the last and to the end (None: there was none)."""

    kind: str
    visitor: int
    at: float
    first: float | None = None
    new: float | None = None
    last: float | None = None
    done: float | None = None
    faults: list[str] = field(default_factory=list)
    page: str = ""
    query: str = ""
    verdict: str = ""


def watched(messages: Iterator[ForwardMsg], answer: Answer, visitor: Visitor) -> Answer:
    """Follow what the app sends after an action. A figure counts when it comes after the run that the action began."""
    begun, before = False, visitor.figures()
    for message in messages:
        now = time.monotonic() - answer.at
        begun = begun or message.WhichOneof("type") == "new_session"
        if message.WhichOneof("type") != "delta" or message.delta.WhichOneof("type") != "new_element":
            continue
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            answer.faults.append(element.exception.message or element.exception.type)
        elif kind == "plotly_chart" and begun:
            if element.plotly_chart.spec not in before:
                answer.new = answer.new or now
            answer.first, answer.last = answer.first or now, now
        elif kind == "markdown" and (said := VERDICT.search(element.markdown.body)):
            answer.verdict = said[1].rstrip(".")
    answer.new, answer.done = answer.new or answer.first, time.monotonic() - answer.at
    answer.page, answer.query = visitor.page, visitor.query
    return answer


class Student:
    """One visitor with a will: what is pressed next is drawn from a profile."""

    def __init__(self, number: int, port: int, profile: str) -> None:
        self.number, self.profile = number, profile
        self.visitor = Visitor(port)
        self.random = random.Random(number)

    def controls(self, kind: str, name: str = "") -> list[Any]:
        """The controls of a kind on the page, without those that are switched off."""
        found = [getattr(each, kind) for each in self.visitor.elements.values() if each.WhichOneof("type") == kind]
        return [
            each
            for each in found
            if name in getattr(each, "component_name", name) and not getattr(each, "disabled", False)
        ]

    def do(self, kind: str, messages: Iterator[ForwardMsg]) -> Answer:
        return watched(messages, Answer(kind, self.number, time.monotonic()), self.visitor)

    def arrive(self) -> Answer:
        page = "layer_deletion" if self.profile == "deletion" else ""
        return self.do("arrival", self.visitor.open(page))

    def block(self) -> Answer | None:
        """Press a block of the strip."""
        if not (strips := self.controls("bidi_component", "strip")):
            return None
        strip, data = strips[0], json.loads(strips[0].json)
        position, mask = self.random.randrange(len(data["blocks"])), data["mask"]
        pressed = "0" * len(mask) if data["mode"] == "select" else mask
        flipped = "1" if data["mode"] == "select" or mask[position] == "0" else "0"
        choice = {"mask": pressed[:position] + flipped + pressed[position + 1 :], "sequence": data["sequence"] + 1}
        return self.do("block", self.visitor.set_component(strip.id, "choice", choice))

    def image(self) -> Answer | None:
        """Choose another thumbnail."""
        if not (galleries := self.controls("bidi_component", "gallery")):
            return None
        positions = json.loads(galleries[0].json)["positions"]
        return self.do("image", self.visitor.set_component(galleries[0].id, "choice", self.random.choice(positions)))

    def page(self) -> Answer:
        """Follow one of the links to the pages."""
        if not (links := self.controls("page_link")):  # the page is an error
            return self.do("page", self.visitor.open(""))
        link = self.random.choice(links)
        page = next((name for name in PAGES if link.page == name), "")
        return self.do("page", self.visitor.open(page, link.query_string))

    def small_control(self) -> Answer | None:
        """Turn a switch or a slider of the page."""
        groups = [
            each
            for each in self.controls("button_group")
            if "source_box" not in each.id and "weights_box" not in each.id
        ]
        sliders = self.controls("slider")
        return self.turn(self.random.choice(groups + sliders)) if groups + sliders else None

    def turn(self, control: Any) -> Answer:
        """Set a control of Streamlit's to something at random."""
        kind = type(control).__name__
        if kind == "ButtonGroup":
            option = self.random.choice(control.options).content
            return self.do("control", self.visitor.set(control.id, "string_array_value", [option]))
        if kind == "Slider" and control.options:
            option = self.random.choice(control.options)
            return self.do("control", self.visitor.set(control.id, "string_array_value", [option]))
        if kind == "Slider":
            value = control.min + control.step * self.random.randint(
                0, round((control.max - control.min) / control.step)
            )
            return self.do("control", self.visitor.set(control.id, "double_array_value", [value]))
        if kind == "Selectbox":
            return self.do("control", self.visitor.set(control.id, "string_value", self.random.choice(control.options)))
        if kind == "NumberInput":
            return self.do(
                "control",
                self.visitor.set(control.id, "double_value", self.random.randint(int(control.min), int(control.max))),
            )
        return self.do("control", self.visitor.set(control.id, "trigger_value", True))

    def anything(self) -> Answer:
        """Any control of the page."""
        of_streamlit = [
            each
            for kind in ("button_group", "slider", "selectbox", "number_input", "button")
            for each in self.controls(kind)
        ]
        what = self.random.choice(
            [self.block, self.image, self.page, *(2 * [lambda: self.turn(self.random.choice(of_streamlit))])]
        )
        return what() or self.page()

    def act(self) -> Answer:
        """What this visitor does next."""
        if self.profile == "storm":
            return self.anything()
        shares: dict[Callable[[], Answer | None], float] = {
            self.block: 55,
            self.image: 15,
            self.page: 15,
            self.small_control: 15,
        }
        if self.profile == "deletion":
            shares = {self.block: 1}
        (what,) = self.random.choices(list(shares), list(shares.values()))
        return what() or self.page()


def visit(student: Student, until: float, answers: list[Answer]) -> None:
    """Arrive, then press, look and think until the time is up."""
    with student.visitor:
        what: Callable[[], Answer] = student.arrive
        while time.monotonic() < until:
            try:
                answers.append(what())
            except Exception as error:
                answers.append(
                    Answer(
                        "lost",
                        student.number,
                        time.monotonic(),
                        faults=[f"{type(error).__name__}: {error}"],
                        page=student.visitor.page,
                        query=student.visitor.query,
                    )
                )
                return
            what = student.act
            time.sleep(student.random.uniform(*THINKING))


def look_in(port: int, browsers: int, looks: list[Look]) -> None:
    """Browsers that have never been here come to a class in the midst of its lesson, over a line of MEGABITS."""
    if browsers:
        time.sleep(SECONDS_UNTIL_BROWSERS)
    for _ in range(browsers):
        looks.append(first_look(port, MEGABITS))


def processes_of(process: int) -> list[int]:
    """A process and all that it has started."""
    children: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*"):
        with suppress(OSError):  # the thread has just ended
            children += map(int, (task / "children").read_text().split())
    return [process, *(each for child in children for each in processes_of(child))]


def memory_mib(process: int) -> float:
    """The proportional set size of a process and all that it has started."""
    total = 0
    for each in processes_of(process):
        try:
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:  # it has just ended
            continue
        total += int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
    return total / 1024


def wrong_answers(answers: Sequence[Answer]) -> list[str]:
    """The verdicts that are not what the library says of the same image and lesion, computed alone."""
    networks: dict[str, LoadedNetwork] = {}
    right: dict[str, str] = {}
    wrong = []
    for answer in answers:
        if answer.kind != "block" or not answer.verdict or ":" in answer.query or "seed" in answer.query:
            continue
        if answer.query not in right:
            with suppress(WeightsUnavailable):  # shown untrained, and said to be
                right[answer.query] = verdict_alone(answer.query, networks)
        if answer.verdict != right.get(answer.query, answer.verdict):
            wrong.append(f"{answer.page}?{answer.query}: {answer.verdict!r}, not {right[answer.query]!r}")
    return wrong


def verdict_alone(query: str, networks: dict[str, LoadedNetwork]) -> str:
    """What a view's network sees in its image, by the library alone."""
    given = dict(parse_qsl(query)) or links.OPENING
    name = given.get("network", links.UNNAMED_NETWORK)
    if name not in networks:
        networks[name] = zoo.load(zoo.NETWORKS[name])
    loaded = networks[name]
    image = zoo.images_of(loaded.entry).subset([int(given.get("image", links.UNNAMED_IMAGE))])
    blocks = list(loaded.network.blocks)
    deleted = blocks_of_code(given["deleted"], len(blocks)) if "deleted" in given else []
    gates = loaded.network.gates_without([blocks[each] for each in deleted], float(given.get("gate", 0)))
    streams = deletion.intact_streams(loaded.network, loaded.inputs(image))
    before, after = (deletion.probabilities(loaded.network, streams, each)[0] for each in (loaded.intact, gates))
    return seen_sentence(loaded.entry.classes, before, after)


def two(values: Sequence[float | None]) -> str:
    """Median and 95th percentile, in seconds."""
    given = [value for value in values if value is not None]
    return " / ".join(f"{each:.2f}" for each in np.percentile(given, [50, 95])) if given else "-"


def table(answers: Sequence[Answer], presser: int) -> Iterator[str]:
    """By kind of action: how many, and the seconds to the first figure, to the first new one, to the last, and to the end; those of
    the visitor ``presser`` by themselves."""
    yield "| action | number | first figure, s: p50 / p95 | first new figure | last figure | all is there |"
    yield "|---|---|---|---|---|---|"
    of_one = [answer for answer in answers if answer.visitor == presser and answer.kind == "block"]
    others = [answer for answer in answers if answer.visitor != presser]
    kinds = dict.fromkeys(answer.kind for answer in others)
    groups = {kind: [answer for answer in others if answer.kind == kind] for kind in kinds}
    groups["all but arrival"] = [answer for answer in others if answer.kind not in ("arrival", "lost")]
    groups |= {"block, by one who does nothing else": of_one} if of_one else {}
    for kind, group in groups.items():
        columns = [two([getattr(answer, each) for answer in group]) for each in ("first", "new", "last", "done")]
        yield f"| {kind} | {len(group)} | {' | '.join(columns)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=["lesson", "deletion", "storm"], default="lesson")
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument(
        "--browsers", type=int, default=2, help="real ones, that come one after the other after a minute"
    )
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    answers: list[Answer] = []
    memory: list[tuple[float, float]] = []
    looks: list[Look] = []
    with serving() as (port, server):
        started = time.monotonic()
        until = started + 60 * chosen.minutes
        students = [Student(number, port, chosen.profile) for number in range(chosen.visitors)]
        if chosen.profile == "storm":
            students.append(Student(chosen.visitors, port, "deletion"))
        threads = [threading.Thread(target=visit, args=(student, until, answers)) for student in students]
        threads.append(threading.Thread(target=look_in, args=(port, chosen.browsers, looks)))
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            memory.append((time.monotonic() - started, memory_mib(server)))
            time.sleep(SECONDS_A_SAMPLE)
        spent = sum(map(cpu_seconds, processes_of(server)))
    own = time.process_time()
    wrong = wrong_answers(answers)
    faults = [f"{answer.page}?{answer.query}: {fault}" for answer in answers for fault in answer.faults]
    early = [mib for seconds, mib in memory if 60 <= seconds < 75]
    print(
        f"{chosen.profile}, {chosen.visitors} visitors, {chosen.minutes:g} minutes, {platform.machine()}, {os.cpu_count()} cores\n"
    )
    print("\n".join(table(answers, chosen.visitors)))
    print(
        f"\nexceptions: {len(faults)}; wrong answers: {len(wrong)} of {sum(bool(answer.verdict) for answer in answers if answer.kind == 'block')}"
    )
    print(
        f"memory (PSS of all processes), MiB: {memory[-1][1]:.0f} at the end, {max(mib for _, mib in memory):.0f} at most"
        + (f", {memory[-1][1] - early[0]:+.0f} since the first minute" if early else "")
    )
    print(
        f"CPU, s: {spent:.0f} the server, {own:.0f} the visitors; {sum(student.visitor.received for student in students) / 2**20:.0f} MiB sent"
    )
    for look in looks:
        print(
            f"a fresh browser at {MEGABITS:g} Mbit/s: first figure after {look.seconds:.1f} s, {look.files / 1e6:.2f} MB of files and {look.messages / 1e6:.2f} MB of messages"
        )
    for told in dict.fromkeys([*faults, *wrong][:10]):
        print(told)
    if chosen.json:
        chosen.json.write_text(
            json.dumps(
                {
                    "arguments": {name: str(value) for name, value in vars(chosen).items()},
                    "answers": [asdict(answer) for answer in answers],
                    "memory": memory,
                    "browsers": [asdict(look) for look in looks],
                    "faults": faults,
                    "wrong": wrong,
                }
            )
        )


if __name__ == "__main__":
    main()
