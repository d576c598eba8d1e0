"""How often the garbage collector looks at what lives as long as the process: not again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 50_000
"""Objects between two collections of the youngest: a turn makes some thousands, nearly all of which die by count."""


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
