"""Bounds of the event log that matter for memory and speed only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much is held in memory and for how long. Times are in seconds."""

    tail_events: int = 1_000
    """Written records that a thread keeps in memory."""
    idle_threads: int = 1_000
    """Threads in memory beyond which idle ones go."""
    idle_after: float = 60.0
    """A thread that nobody used for this long leaves memory."""
    backlog: int = 50_000
    """Unwritten rows beyond which appending fails."""
    batch: int = 1_000
    """Rows per transaction."""
    write_every: float = 0.1
    """How long rows gather before they are written: with a token each 20 ms, five in a transaction."""
    longest_backoff: float = 2.0
    """Longest pause between attempts while the database fails."""
    look_every: float = 0.25
    """Pause between looks for idle threads."""
    prune_every: float = 60.0
    """Pause between deletions of what is no longer kept."""
    close: float = 5.0
    """Longest wait for the last rows when the log is closed."""
