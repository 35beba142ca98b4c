"""A lesson on paper: a blank sheet for the class, and the teacher's with answers and notes."""

import html

from ..figures.document import html_page
from ..figures.palette import LIGHT
from ..figures.predictions import with_unit
from ..recipes.document import markdown_html
from .lesson import CHOICE, NUMBER, Lesson, Step

STYLE = """<style>
@page { margin: 18mm; }
body { max-width: 180mm; }
section { break-inside: avoid; } section.notes { break-inside: auto; }  /* they are longer than a page */
.line { border-bottom: 1px solid; height: 1.9rem; } .short { display: inline-block; width: 9rem; }
.box { display: inline-block; width: 0.9rem; height: 0.9rem; border: 1.5px solid; margin-right: 0.6rem; vertical-align: -0.1rem; }
.who { display: flex; gap: 1rem; align-items: end; } .who .line { flex: 1; } .options { list-style: none; padding: 0; } .options li { margin: 0.4rem 0; }
@media print { body { margin: 0; padding: 0; font-size: 11.5pt; } }
</style>"""
LINES = 3  # to write a text on


def worksheet(lesson: Lesson, *, for_teacher: bool = False) -> str:
    """One HTML page to print: the steps with their questions and room to write; for the teacher with answers and notes."""
    parts = [
        "" if for_teacher else "<p class='who'>Name <span class='line'></span> Date <span class='line'></span></p>"
    ]
    if for_teacher and lesson.teacher:
        parts.append(f"<section class='notes'><h2>Teacher's notes</h2>{markdown_html(lesson.teacher)}</section>")
    parts += [part(number, step, for_teacher) for number, step in enumerate(lesson.steps, start=1)]
    title = f"{lesson.title}: for the teacher" if for_teacher else lesson.title
    return html_page(title, parts, LIGHT, STYLE)


def part(number: int, step: Step, for_teacher: bool) -> str:
    """A step on paper."""
    asked = ""
    if step.question:
        asked = f"<p><b>{markdown_html(step.question).strip()[3:-4]}</b></p>" + (
            solution(step) if for_teacher else room(step)
        )
    heading = f"{number}. {html.escape(step.heading)}{step.minutes_text if for_teacher else ''}"
    return f"<section><h2>{heading}</h2>{markdown_html(step.note)}{asked}</section>"


def room(step: Step) -> str:
    """Where a prediction is written."""
    if step.kind == CHOICE:
        options = (f"<li><span class='box'></span>{html.escape(option)}</li>" for option in step.options)
        return f"<ul class='options'>{''.join(options)}</ul>"
    if step.kind == NUMBER:
        line = with_unit("<span class='line short'></span>", html.escape(step.unit))
        return f"<p>My prediction: {line}</p>"
    return "<div class='line'></div>" * LINES


def solution(step: Step) -> str:
    """The answer, with the options that there were."""
    options = " / ".join(step.options) if step.kind == CHOICE else ""
    given = f"<p>Options: {html.escape(options)}</p>" if options else ""
    right = f"<p>Right: <b>{html.escape(step.with_unit(step.right))}</b></p>" if step.right else ""
    return given + right + markdown_html(step.answer)
