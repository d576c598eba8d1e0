"""Every protocol that is spoken over Socket.IO: one file each, one line here."""

from app.api.socketio.base import Family
from app.api.socketio.chats import Chats

FAMILIES: tuple[type[Family], ...] = (Chats,)
"""No two of them have an event of the same name."""
