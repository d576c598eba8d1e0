"""The table and the report: failures are seen first, and everything that was said is only text."""

import pytest

from app.evals.conversation import Outcome, Turn
from app.evals.evaluation import figures, http_base
from app.evals.grading import Verdict, WrongSlot
from app.evals.report import render_report
from app.evals.scenario import Scenario
from app.evals.simulated_rider import Utterance
from app.evals.table import render_table

pytestmark = pytest.mark.unit

NASTY = "<script>alert('x')</script>"


def outcome(name: str, verdict: Verdict, said: str = "Hola") -> Outcome:
    scenario = Scenario.model_validate({"id": name, "kind": "step", "rider": {"opening": said}, "expect": []})
    turn = Turn(
        Utterance(said), answer=said, steps=[{"call": "X", "args": {"a": said}}, {"result": "X", "value": said}]
    )
    turn.status, turn.milliseconds = "completed", 3.0
    return Outcome(scenario, 0, "thread", [turn], [], verdict)


GOOD = outcome("good", Verdict(), NASTY)
WRONG = outcome("wrong", Verdict(wrong_slots=[WrongSlot(0, "address", "Calle 1", NASTY)]))
SENT = outcome("sent", Verdict(wrong_dispatches=["no taxi was wanted"]))


def test_the_goal_is_missed_by_one_wrong_dispatch_however_many_are_right() -> None:
    assert figures("total", [GOOD] * 100).is_good
    assert figures("total", [GOOD] * 98 + [WRONG] * 2).is_good
    assert not figures("total", [GOOD] * 97 + [WRONG] * 3).is_good
    assert not figures("total", [GOOD] * 1000 + [SENT]).is_good
    assert not figures("total", []).is_good


def test_the_table_ends_with_the_problems_wrong_dispatches_first() -> None:
    lines = render_table([GOOD, WRONG, SENT]).splitlines()
    assert lines[-3].split()[:3] == ["total", "3", "33.3%"]
    assert lines[-2].startswith("WRONG DISPATCH  sent")
    assert lines[-1].startswith("failed          wrong: address: expected Calle 1")


def test_the_report_shows_failures_first_and_escapes_everything() -> None:
    page = render_report([GOOD, WRONG, SENT], NASTY)
    assert page.index("</span> sent ") < page.index("</span> wrong ") < page.index("</span> good ")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page


def test_the_routes_lie_beside_the_socket() -> None:
    assert http_base("ws://127.0.0.1:8000/api/v1/ws/chat") == "http://127.0.0.1:8000"
    assert http_base("wss://taxi.example/api/v1/ws/chat") == "https://taxi.example"
