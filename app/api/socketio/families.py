"""Every protocol that is spoken over Socket.IO: one file each, one line here."""

from app.api.socketio.base import Family

FAMILIES: tuple[type[Family], ...] = ()
"""No two of them have an event of the same name."""
