"""What the server tells those who start it, and what it takes from visitors who are quicker than a browser would let a test be."""

import re
from urllib.parse import urlsplit

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from benchmarks.visitor import Visitor
from tests.browser.conftest import Server


def test_the_first_page_is_ready_before_the_server_answers(server: Server) -> None:
    assert re.search(r"Ready after \d+\.\d s\.", server.said)


def test_a_thumbnail_clicked_together_with_another_network_does_no_harm(server: Server) -> None:
    with Visitor(urlsplit(server.address).port or 0) as visitor:
        list(visitor.open(""))
        elements = list(visitor.elements.values())
        thumbnails = next(
            each.bidi_component for each in elements if each.bidi_component.component_name.endswith("gallery")
        )
        networks = next(each.selectbox for each in elements if each.selectbox.label == "Network")
        visitor.values[networks.id] = WidgetState(
            id=networks.id, string_value="fashion-resnet20"
        )  # sent with the click
        messages = list(visitor.set_component(thumbnails.id, "choice", 47))
        assert visitor.query.startswith("network=fashion-resnet20") and not exceptions(messages)


def test_a_block_pressed_after_the_next_page_has_come_does_no_harm(server: Server) -> None:
    with Visitor(urlsplit(server.address).port or 0) as visitor:
        list(visitor.open("path_unrolling", "network=fashion-resnet20"))
        strip = next(
            each.bidi_component
            for each in visitor.elements.values()
            if each.bidi_component.component_name.endswith("strip")
        )
        assert not exceptions(list(visitor.open("early_stop", "network=fashion-resnet20")))  # it has such a strip, too
        assert not exceptions(list(visitor.set_component(strip.id, "choice", {"mask": "010000000", "sequence": 1})))


def exceptions(messages: list[ForwardMsg]) -> list[str]:
    """What a page shows instead of its content."""
    new = [message.delta.new_element for message in messages if message.WhichOneof("type") == "delta"]
    return [element.exception.message for element in new if element.WhichOneof("type") == "exception"]
