"""A queue for few places, in which nobody waits because somebody else asks for much. Pure."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Job = TypeVar("Job", bound=Hashable)


class FairQueue(Generic[Job]):
    """Jobs of users, begun in turn: one of each user who waits, then the next of each.

    So the first job of a user is never overtaken by one that came later.

    Args:
        slots: Jobs that may run at the same time.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._running: set[Job] = set()
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        """By user, in the order of their turns."""

    def __len__(self) -> int:
        """How many jobs wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._running)

    def add(self, user: str, job: Job) -> None:
        """Let a job wait behind those of its user."""
        self._waiting.setdefault(user, deque()).append(job)

    def begin(self) -> Job | None:
        """Return a job that runs from now on; None where none waits, or as many run as may."""
        if len(self._running) >= self._slots or not self._waiting:
            return None
        user, jobs = self._waiting.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._waiting[user] = jobs  # behind all others
        self._running.add(job)
        return job

    def end(self, job: Job) -> None:
        """Forget a job, whether it runs or waits."""
        self._running.discard(job)
        for user, jobs in list(self._waiting.items()):
            if job in jobs:
                jobs.remove(job)
            if not jobs:
                del self._waiting[user]

    def places(self) -> dict[Job, int]:
        """Return where each job that waits would come if nobody else came: 1 is the next."""
        jobs = list(self._waiting.values())
        rounds = range(max(map(len, jobs), default=0))
        order = [each[number] for number in rounds for each in jobs if number < len(each)]
        return {job: place for place, job in enumerate(order, 1)}
