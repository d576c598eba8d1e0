"""Every protocol that is spoken over Socket.IO: one file each, one line here."""

from app.api.socketio.base import Family
from app.api.socketio.chats import Chats
from app.api.socketio.explanations import Explanations

FAMILIES: tuple[type[Family], ...] = (Chats, Explanations)
"""No two of them have an event of the same name."""
