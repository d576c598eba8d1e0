"""The composition root: settings to services. The only place that names a vendor, a backend or the taxi domain."""

from app.bootstrap.models import offline_model, open_model
from app.bootstrap.services import TOOLS, open_services, open_users, read_addresses
from app.bootstrap.stores import Stores, migrate, open_checkpointer, open_outbox, open_stores

__all__ = [
    "TOOLS",
    "Stores",
    "migrate",
    "offline_model",
    "open_checkpointer",
    "open_model",
    "open_outbox",
    "open_services",
    "open_stores",
    "open_users",
    "read_addresses",
]
