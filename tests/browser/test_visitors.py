"""What the server tells those who start it, and what it takes from visitors who are quicker than a browser would let a test be."""

import re
from urllib.parse import urlsplit

from streamlit.proto.WidgetStates_pb2 import WidgetState

from benchmarks.visitor import Visitor
from tests.browser.conftest import Server


def test_the_first_page_is_ready_before_the_server_answers(server: Server) -> None:
    assert re.search(r"Ready after \d+\.\d s\.", server.said)


def test_a_thumbnail_clicked_together_with_another_network_does_no_harm(server: Server) -> None:
    with Visitor(urlsplit(server.address).port or 0) as visitor:
        list(visitor.open(""))
        elements = list(visitor.elements.values())
        thumbnails = next(each.bidi_component for each in elements if each.bidi_component.component_name.endswith("gallery"))
        networks = next(each.selectbox for each in elements if each.selectbox.label == "Network")
        visitor.values[networks.id] = WidgetState(id=networks.id, string_value="fashion-resnet20")  # sent with the click
        messages = list(visitor.set_component(thumbnails.id, "choice", 47))
        assert visitor.query.startswith("network=fashion-resnet20")
        assert not any(message.delta.new_element.WhichOneof("type") == "exception" for message in messages)
