"""Servers on this machine that speak the wires of cloud vendors as they are documented, and fail on order."""

import prometheus_client  # noqa: F401  stamina wants it at the first retry; the server has it from its start
