import gc

import pytest

from app.core.memory import settled_memory

pytestmark = pytest.mark.unit


def test_while_the_server_runs_what_it_loaded_is_not_collected_again_and_afterwards_all_is_as_before() -> None:
    before = gc.get_threshold()
    with settled_memory():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


def test_what_is_made_meanwhile_is_still_collected() -> None:
    class Ring:
        def __init__(self) -> None:
            self.itself = self

    with settled_memory():
        Ring()
        assert any(isinstance(each, Ring) for each in gc.get_objects())
        gc.collect()
        assert not any(isinstance(each, Ring) for each in gc.get_objects())
