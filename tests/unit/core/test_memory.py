import ctypes
import gc
import subprocess
import sys

import pytest

from app.core.memory import collect_later, settled_memory

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


def test_a_start_collects_nothing_until_its_memory_is_settled() -> None:
    try:
        collect_later()
        assert not gc.isenabled()
        with settled_memory():
            assert gc.isenabled()
        assert gc.isenabled()
    finally:
        gc.enable()


_MADE_AND_FREED = """
import ctypes, sys, threading
from app.core.memory import bound_allocator
if sys.argv[1] == "bounded":
    bound_allocator()
kept = []
def work():  # large buffers between small ones that stay
    for _ in range(20):
        large = [bytearray(200_000) for _ in range(20)]
        kept.append([bytes(600) for _ in range(100)])
threads = [threading.Thread(target=work) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
print(int(open("/proc/self/statm").read().split()[1]) * 4096)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another allocator than glibc's")
def test_a_bounded_allocator_gives_back_what_threads_freed() -> None:
    held = {
        name: int(subprocess.check_output([sys.executable, "-c", _MADE_AND_FREED, name], text=True))
        for name in ("bounded", "as it comes")
    }
    assert held["bounded"] < held["as it comes"]
