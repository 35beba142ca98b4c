"""The step of a race that is looked at: it follows the training until the visitor draws the slider back."""

import pytest
from streamlit.testing.v1 import AppTest

from resnet_viz.web.kit import races


def page() -> None:
    import streamlit as st

    from resnet_viz.experiments.race import Race
    from resnet_viz.web.kit.races import step_looked_at

    steps = list(range(0, st.session_state["recorded"] + 1, 10))
    st.markdown(f"at {step_looked_at(Race('plain8', 'resnet8'), steps)}")


@pytest.fixture
def app() -> AppTest:
    app = AppTest.from_function(page)
    app.session_state["recorded"] = 20
    return app.run()


def drawn(app: AppTest, recorded: int) -> str:
    app.session_state["recorded"] = recorded
    return app.run().markdown[0].value


def test_it_follows_until_it_is_drawn_back_and_again_from_the_right_end(app) -> None:
    assert [drawn(app, recorded) for recorded in (20, 30, 40)] == ["at 20", "at 30", "at 40"]
    app.select_slider(key="race_step").set_value(0).run()
    assert [drawn(app, recorded) for recorded in (40, 50)] == ["at 0", "at 0"]
    app.select_slider(key="race_step").set_value(50).run()
    assert drawn(app, 60) == "at 60"


def test_an_old_drawing_does_not_hold_it(app, monkeypatch) -> None:
    drawn(app, 30)
    app.select_slider(key="race_step").set_value(20).run()  # as the browser had it before step 30 came
    assert drawn(app, 40) == "at 40"
    monkeypatch.setattr(races, "OLD", 0.0)  # some seconds later it is a choice
    app.select_slider(key="race_step").set_value(20).run()
    assert drawn(app, 50) == "at 20"
