"""Who is connected hears that the server stops."""

from functools import partial

import pytest

from app.api.deps import Connections

pytestmark = pytest.mark.unit


def test_who_is_here_leaves_once_when_the_server_stops() -> None:
    connections, left = Connections(), list[str]()
    with connections.leaving(partial(left.append, "gone")):
        pass
    with connections.leaving(partial(left.append, "here")):
        connections.stop()
        connections.stop()

    assert left == ["here"]


def test_who_comes_while_the_server_stops_leaves_at_once() -> None:
    connections, left = Connections(), list[str]()
    connections.stop()
    with connections.leaving(partial(left.append, "late")):
        assert left == ["late"]
