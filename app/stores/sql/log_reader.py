"""A reading position that begins in the journal and goes on in memory."""

from collections.abc import Sequence

from app.core.errors import LogTruncated
from app.models.events import Record
from app.stores.memory import reaches_back
from app.stores.sql.journal import Journal
from app.stores.sql.tail import Tail

_PAGE = 500


class SqlLogReader:
    """A ``LogReader`` over a ``Tail``, and over the journal for what the tail no longer has.

    There is no seam to lose a record in: a record leaves the tail only after it was written, and
    each call decides anew where the next number is.
    """

    def __init__(self, tail: Tail, journal: Journal, *, after_seq: int | None, epoch: str | None) -> None:
        self._tail = tail
        self._journal = journal
        self.position = tail.position
        known = tail.epoch if tail.agrees(epoch, after_seq) else epoch
        self.recovered = reaches_back(self.position, tail.kept_from, after_seq=after_seq, epoch=known)
        self._seq = tail.last_seq if after_seq is None or not self.recovered else after_seq

    async def read(self) -> Sequence[Record]:
        """See ``LogReader``."""
        tail = self._tail
        while tail.last_seq <= self._seq and not tail.closed:
            await tail.wait()
        records: Sequence[Record] = []
        if tail.first_seq <= self._seq + 1 and not tail.closed:
            records = tail.following(self._seq)
        elif not tail.closed:
            records = await self._journal.read(
                tail.thread_id, after_seq=self._seq, until_seq=tail.written_seq, limit=_PAGE
            )
        if tail.closed or not records or records[0].seq != self._seq + 1:
            raise LogTruncated
        self._seq = records[-1].seq
        return records
