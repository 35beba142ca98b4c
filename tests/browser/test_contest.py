"""A contest: a teacher opens it, two students enter, all see its table grow by itself, and its end."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SOON, Server

pytestmark = pytest.mark.browser


def test_a_class_holds_a_contest(server: Server, page: Page, second: Page, third: Page) -> None:
    page.goto(f"{server.address}/layer_deletion?network=fashion-resnet20&beside=nothing")
    page.get_by_role("button", name="Open a contest").click(timeout=SOON)
    expect(page.get_by_role("heading", name="Contest")).to_be_in_viewport(timeout=SOON)
    expect(page.get_by_text("Nobody has entered yet.")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Code and link").click()
    shared = page.get_by_role("dialog").get_by_label("Link to this view")
    expect(shared).to_have_value(re.compile(r"contest=[2-9A-HJ-NP-Z]{6}&network=fashion-resnet20"), timeout=SOON)
    address = shared.input_value()
    page.keyboard.press("Escape")
    for student, deleted, nickname in ((second, 7, "<b>Ada</b>"), (third, 8, "Bob")):
        student.goto(f"{address}&deleted={deleted}")
        student.get_by_role("textbox", name="Nickname").fill(nickname, timeout=SOON)
        student.get_by_role("button", name="Enter", exact=True).click()
        expect(student.get_by_role("cell", name=f"{nickname} (you)")).to_be_visible(timeout=SOON)
        expect(student.get_by_role("button", name=re.compile("^Remove ")).or_(ending(student))).to_have_count(0)
    for each in (page, second):  # by itself
        expect(each.get_by_role("cell", name="Bob", exact=True)).to_be_visible(timeout=SOON)
    third.get_by_role("button", name="Open the deletions of <b>Ada</b>").click()
    expect(third.get_by_text("deleted: layer3.1")).to_be_visible(timeout=SOON)
    expect(third).to_have_url(f"{address}&deleted=7", timeout=SOON)
    page.get_by_role("button", name="Remove <b>Ada</b>").click()
    expect(second.get_by_role("cell", name=re.compile("Ada"))).to_have_count(0, timeout=SOON)
    ending(page).click()
    expect(second.get_by_text("The contest has ended.")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("button", name="Open a contest")).to_be_visible(timeout=SOON)
    expect(second).not_to_have_url(re.compile("contest="), timeout=SOON)


def ending(page: Page) -> Locator:
    return page.get_by_role("button", name="End the contest")
