"""What lives as long as the process is not looked at again and again, and what was freed is given back."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 50_000
"""Objects between two collections of the youngest. Each looks at all that was made since the last one and still lives:
with a hundred turns under way 5 to 25 ms, during which everybody waits, whether after 10,000 objects or 50,000. A turn
of text leaves none in cycles for it to find."""
# glibc's names and numbers, of malloc.h.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 32 * 1024
"""Pieces of sound are 1 to 150 KB. With 128 KiB those below lay in the heap, which grew to the end of half an hour."""
_ARENAS = 2


def collect_later() -> None:
    """Collect no garbage until the memory is settled (``settled_memory``).

    What a start loads stays. To look through it again and again for garbage takes a quarter of the start.
    """
    gc.disable()


@contextmanager
def settled_memory() -> Iterator[None]:
    """Take everything there is now for permanent, and collect less often, as long as the block lasts.

    A full collection walks every object there is. What was loaded at the start (modules, schemas, the
    map) is most of it, never goes, and would hold up a turn each time. Nor is there one before: what a start leaves
    lying is half a megabyte, and to find it takes a fifth of a second.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    gc.enable()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def bound_allocator() -> None:
    """Have the allocator keep little of what was freed, where it is glibc's.

    glibc gives threads arenas of their own, up to eight for each core, and each keeps the most that was ever in it.
    And once a large buffer was freed, it takes the next ones of that size from an arena too, between small ones
    that stay: an hour of sound leaves an arena full of holes. Here threads share two, and what is large, such as an
    utterance, comes from the system and goes back to it. To be called before there are threads.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
