"""structlog: static messages, structured fields, ids bound once per turn.

What people said goes only into fields whose name begins with ``pii_``; unless ``LOG_PERSONAL`` is
set they are masked before anything is written.
"""

import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

PERSONAL_PREFIX = "pii_"
_MASK = "[…]"


def _mask_personal(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace personal fields by their length: enough to see that something was said."""
    for key, value in entry.items():
        if key.startswith(PERSONAL_PREFIX):
            entry[key] = f"{_MASK} {len(str(value))} characters"
    return entry


def bound_ids() -> dict[str, str]:
    """Return the ids that are bound to this turn or request, for work that goes on without it."""
    bound = structlog.contextvars.get_contextvars()
    return {name: str(bound[name]) for name in ("request_id", "thread_id", "turn_id") if name in bound}


def configure_logging(*, level: str, style: str, file: Path | None, personal: bool) -> None:
    """Set up logging for the process; the standard library's loggers go the same way.

    Args:
        level: Least level to write.
        style: ``console``, ``json``, or ``auto`` for console on a terminal.
        file: Also write JSON lines here.
        personal: Write what people said instead of masking it.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if not personal:
        shared.append(_mask_personal)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "_voztaxi", False):
            root.removeHandler(handler)
            handler.close()
    root.addHandler(_handler(logging.StreamHandler(sys.stderr), shared, as_json=as_json))
    if file is not None:
        root.addHandler(_handler(logging.FileHandler(file, encoding="utf-8"), shared, as_json=True))
    root.setLevel(level)
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "aiosqlite", "asyncio", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _handler(handler: logging.Handler, shared: list[structlog.typing.Processor], *, as_json: bool) -> logging.Handler:
    renderer: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if as_json
        else [
            # Plain tracebacks: the pretty ones print local variables, which hold secrets and what people said.
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    handler._voztaxi = True  # type: ignore[attr-defined]
    return handler
