"""How things are named in Redis. The braces keep what belongs to a thread on one node of a cluster."""

_PREFIX = "voztaxi"


def thread_key(thread_id: str, part: str) -> str:
    """Return the key, or channel, of one part of a thread."""
    return f"{_PREFIX}:{{{thread_id}}}:{part}"


def process_channel(process_id: str) -> str:
    """Return the channel on which a process takes commands."""
    return f"{_PREFIX}:process:{process_id}"


def session_key(user_id: str) -> str:
    """Return the key of where a user is in an explanation."""
    return f"{_PREFIX}:explanation:{user_id}"
