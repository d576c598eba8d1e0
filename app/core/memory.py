"""How often the garbage collector looks at what lives as long as the process: not again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 10_000
"""Objects between two collections of the youngest. A turn leaves some thousand that do not die by count; clearing
them away takes some µs each, during which everybody waits: 50,000 at once are 20 to 50 ms."""


@contextmanager
def settled_memory() -> Iterator[None]:
    """Take everything there is now for permanent, and collect less often, as long as the block lasts.

    A full collection walks every object there is. What was loaded at the start (modules, schemas, the
    map) is most of it, never goes, and would hold up a turn each time.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
