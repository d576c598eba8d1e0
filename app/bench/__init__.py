"""Measurements of the voice: callers on the real wire, their tables, and a peer beside us in the same run."""
