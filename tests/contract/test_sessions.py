"""What every conversation store promises of sessions: titles, lists, links, and what a turn replaces."""

import asyncio

import pytest

from app.models.conversation import Conversation, Message, TurnRecord
from app.stores.base import ConversationStore

pytestmark = pytest.mark.contract


def session(number: int = 1, *, owner: str | None = "ana", at: int = 1) -> Conversation:
    return Conversation(thread_id=f"session-{number}", owner=owner, title="Al aeropuerto", created_at=at, updated_at=at)


def turn(name: str, *, replaced: tuple[str, str] | None = None) -> TurnRecord:
    message_id, turn_id = replaced or (None, None)
    return TurnRecord(
        turn_id=name,
        thread_id="session-1",
        text=f"says {name}",
        status="running",
        started_at=1,
        replaced_message=message_id,
        replaced_turn=turn_id,
    )


def line(message_id: str, turn_id: str, *, role: str = "user") -> Message:
    return Message(
        id=message_id,
        thread_id="session-1",
        turn_id=turn_id,
        role="user" if role == "user" else "assistant",
        content=f"{message_id} of {turn_id}",
        created_at=1,
    )


async def talk(store: ConversationStore, name: str, *, replaced: tuple[str, str] | None = None) -> None:
    """Run a turn with one answer."""
    rider = line(replaced[0] if replaced else name, name)
    await store.begin_turn(turn(name, replaced=replaced), rider, session())
    await store.end_turn(name, "completed", 2, [line(f"{name}:1", name, role="assistant")])
    await store.close_turns([name])


async def lines(store: ConversationStore) -> list[tuple[str, str]]:
    return [(each.id, each.turn_id) for each in await store.messages("session-1")]


class TestTitles:
    async def test_a_session_is_there_before_anybody_spoke(self, conversations: ConversationStore) -> None:
        await conversations.open(session())

        assert await conversations.get("session-1") == session()
        assert list(await conversations.messages("session-1")) == []

    async def test_opening_it_again_changes_nothing(self, conversations: ConversationStore) -> None:
        await conversations.open(session())
        await conversations.open(session(owner="eva", at=9))

        assert await conversations.get("session-1") == session()

    async def test_a_turn_keeps_title_and_owner(self, conversations: ConversationStore) -> None:
        await conversations.open(session())
        said = Conversation(thread_id="session-1", owner="ana", created_at=7, updated_at=7)
        await conversations.begin_turn(turn("a"), line("a", "a"), said)

        assert await conversations.get("session-1") == session().model_copy(update={"updated_at": 7})

    async def test_a_renamed_session_has_its_new_title_and_time(self, conversations: ConversationStore) -> None:
        await conversations.open(session())
        renamed = await conversations.rename("session-1", "A casa «ya» 🏠\0", at=9)

        assert renamed is not None
        assert (renamed.title, renamed.updated_at, renamed.created_at) in {
            ("A casa «ya» 🏠\0", 9, 1),
            ("A casa «ya» 🏠�", 9, 1),
        }
        assert await conversations.get("session-1") == renamed

    async def test_what_is_not_there_cannot_be_renamed(self, conversations: ConversationStore) -> None:
        assert await conversations.rename("session-1", "x", at=9) is None


class TestLists:
    async def test_an_account_has_its_own_sessions_newest_first(self, conversations: ConversationStore) -> None:
        for number, at in ((1, 5), (2, 9), (3, 7)):
            await conversations.open(session(number, at=at))
        await conversations.open(session(4, owner="eva"))
        await conversations.open(session(5, owner=None))
        found = await conversations.of_owner("ana", limit=10)

        assert [each.thread_id for each in found] == ["session-2", "session-3", "session-1"]
        assert list(await conversations.of_owner("nobody", limit=10)) == []

    async def test_a_page_begins_where_the_one_before_ended_also_among_equal_times(
        self, conversations: ConversationStore
    ) -> None:
        for number in range(7):
            await conversations.open(session(number, at=1 + number // 3))
        seen: list[str] = []
        place = None
        while page := await conversations.of_owner("ana", limit=2, before=place):
            assert len(page) <= 2
            seen += [each.thread_id for each in page]
            place = (page[-1].updated_at, page[-1].thread_id)

        assert seen == [f"session-{number}" for number in (6, 5, 4, 3, 2, 1, 0)]

    async def test_a_forgotten_session_is_in_no_list(self, conversations: ConversationStore) -> None:
        await conversations.open(session())
        await conversations.forget("session-1")

        assert list(await conversations.of_owner("ana", limit=10)) == []


class TestLinks:
    async def test_a_link_leads_to_its_session_until_it_ends(self, conversations: ConversationStore) -> None:
        await conversations.open(session())
        await conversations.share("session-1", "hash")
        assert await conversations.shared("hash") == session()

        await conversations.share("session-1", None)
        assert await conversations.shared("hash") is None

    async def test_a_newer_link_ends_the_older_one(self, conversations: ConversationStore) -> None:
        await conversations.open(session())
        await conversations.share("session-1", "old")
        await conversations.share("session-1", "new")

        assert await conversations.shared("old") is None
        assert await conversations.shared("new") == session()

    async def test_a_link_of_what_is_forgotten_or_was_never_there_leads_nowhere(
        self, conversations: ConversationStore
    ) -> None:
        await conversations.open(session())
        await conversations.share("session-1", "hash")
        await conversations.forget("session-1")
        await conversations.share("session-2", "other")

        assert await conversations.shared("hash") is None
        assert await conversations.shared("other") is None
        assert await conversations.shared("") is None


class TestReplacing:
    async def test_a_turn_takes_the_place_of_a_message_and_all_that_came_after_it(
        self, conversations: ConversationStore
    ) -> None:
        for name in ("a", "b", "c"):
            await talk(conversations, name)
        await talk(conversations, "new", replaced=("b", "b"))

        assert await lines(conversations) == [("a", "a"), ("a:1", "a"), ("b", "new"), ("new:1", "new")]

    async def test_what_was_replaced_can_be_replaced_again(self, conversations: ConversationStore) -> None:
        await talk(conversations, "a")
        await talk(conversations, "second", replaced=("a", "a"))
        await talk(conversations, "third", replaced=("a", "second"))

        assert await lines(conversations) == [("a", "third"), ("third:1", "third")]

    async def test_beginning_it_again_cuts_nothing_more(self, conversations: ConversationStore) -> None:
        await talk(conversations, "a")
        await talk(conversations, "new", replaced=("a", "a"))
        await talk(conversations, "later")
        before = await lines(conversations)
        await conversations.begin_turn(turn("new", replaced=("a", "a")), line("a", "new"), session())

        assert await lines(conversations) == before

    async def test_a_message_that_is_not_there_cuts_nothing(self, conversations: ConversationStore) -> None:
        await talk(conversations, "a")
        await talk(conversations, "new", replaced=("gone", "gone"))

        assert await lines(conversations) == [("a", "a"), ("a:1", "a"), ("gone", "new"), ("new:1", "new")]

    async def test_another_conversation_keeps_its_messages(self, conversations: ConversationStore) -> None:
        await talk(conversations, "a")
        other = Message(id="a", thread_id="other", turn_id="z", role="user", content="z", created_at=1)
        record = TurnRecord(turn_id="z", thread_id="other", text="z", status="running", started_at=1)
        await conversations.begin_turn(record, other, Conversation(thread_id="other", created_at=1, updated_at=1))
        await talk(conversations, "new", replaced=("a", "a"))

        assert list(await conversations.messages("other")) == [other]

    async def test_a_turn_is_read_with_what_it_replaced(self, conversations: ConversationStore) -> None:
        await talk(conversations, "a")
        await conversations.begin_turn(turn("new", replaced=("a", "a")), line("a", "new"), session())
        (unclosed,) = await conversations.unclosed_turns()

        assert unclosed == turn("new", replaced=("a", "a"))
        assert unclosed.replaces is not None

    async def test_two_that_take_the_same_place_at_once_leave_one_message_of_that_name(
        self, conversations: ConversationStore
    ) -> None:
        await talk(conversations, "a")
        await asyncio.gather(
            *(
                conversations.begin_turn(turn(name, replaced=("a", "a")), line("a", name), session())
                for name in ("x", "y")
            )
        )

        assert len(await lines(conversations)) == 1
