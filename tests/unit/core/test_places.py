"""Who waits for a place fails only where nobody is served any more."""

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup
from hypothesis import given
from hypothesis import strategies as st

from app.core.places import Places

pytestmark = pytest.mark.unit


class Store:
    """Serves two at once, each when the test says so."""

    def __init__(self) -> None:
        self.places = Places(2)
        self.inside: dict[str, anyio.Event] = {}
        self.failing: set[str] = set()
        self.outcome: dict[str, str] = {}

    async def ask(self, name: str) -> None:
        try:
            async with self.places.taken():
                self.inside[name] = anyio.Event()
                await self.inside[name].wait()
                if name in self.failing:
                    raise TimeoutError("the store said nothing")
        except TimeoutError as error:
            self.outcome[name] = str(error) or "not waited for"
        else:
            self.outcome[name] = "served"

    async def let_go(self, name: str, *, fails: bool = False) -> None:
        if fails:
            self.failing.add(name)
        self.inside.pop(name).set()
        await anyio.wait_all_tasks_blocked()


async def come(store: Store, tasks: TaskGroup, names: str) -> None:
    """Have some ask, one after the other."""
    for name in names:
        tasks.start_soon(store.ask, name)
        await anyio.wait_all_tasks_blocked()


async def test_who_comes_first_is_served_first_and_a_queue_is_no_failure() -> None:
    store = Store()
    async with anyio.create_task_group() as tasks:
        await come(store, tasks, "abcd")
        assert list(store.inside) == ["a", "b"]
        await store.let_go("b")
        assert list(store.inside) == ["a", "c"]
        for name in "acd":
            await store.let_go(name)

    assert store.outcome == dict.fromkeys("abcd", "served")


async def test_where_nobody_is_served_all_who_wait_are_told_at_once() -> None:
    store = Store()
    async with anyio.create_task_group() as tasks:
        await come(store, tasks, "abcd")
        await store.let_go("a", fails=True)
        assert store.outcome == {"a": "the store said nothing", "c": "not waited for", "d": "not waited for"}
        await store.let_go("b")
        await come(store, tasks, "e")
        await store.let_go("e")

    assert store.outcome["b"] == store.outcome["e"] == "served"


async def test_where_others_are_served_one_that_is_late_fails_alone() -> None:
    store = Store()
    async with anyio.create_task_group() as tasks:
        await come(store, tasks, "abcd")
        await store.let_go("b")
        await store.let_go("a", fails=True)
        assert list(store.inside) == ["c", "d"]
        for name in "cd":
            await store.let_go(name)

    assert store.outcome == {"a": "the store said nothing", **dict.fromkeys("bcd", "served")}


@given(st.lists(st.sampled_from(["served", "late", "broken", "gives up", "leaves"]), max_size=12), st.integers(1, 3))
def test_whatever_happens_no_place_is_lost(fates: list[str], count: int) -> None:
    async def run() -> None:
        places = Places(count)

        async def ask(fate: str, scope: anyio.CancelScope) -> None:
            with scope:
                try:
                    async with places.taken():
                        await anyio.lowlevel.checkpoint()
                        if fate == "gives up":
                            scope.cancel()
                            await anyio.sleep_forever()
                        if fate == "late":
                            raise TimeoutError
                        if fate == "broken":
                            raise OSError
                except (TimeoutError, OSError):
                    pass

        for fate in fates:
            await ask(fate, anyio.CancelScope())
        async with anyio.create_task_group() as tasks:
            scopes = [anyio.CancelScope() for _ in fates]
            for fate, scope in zip(fates, scopes, strict=True):
                tasks.start_soon(ask, fate, scope)
            await anyio.lowlevel.checkpoint()
            for fate, scope in zip(fates, scopes, strict=True):
                if fate == "leaves":  # served or waiting
                    scope.cancel()
        inside, everybody = [], anyio.Event()
        async with anyio.create_task_group() as tasks:

            async def stay() -> None:
                async with places.taken():
                    inside.append(1)
                    await everybody.wait()

            for _ in range(count):
                tasks.start_soon(stay)
            for _ in range(5 * count):
                await anyio.lowlevel.checkpoint()
            everybody.set()
            assert len(inside) == count

    anyio.run(run)
