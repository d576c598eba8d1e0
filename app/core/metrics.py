"""What operators watch, in Prometheus' terms. One object per figure; whoever knows the figure sets it.

Labels have few values, known beforehand: never an id, a name, or anything that a client chooses. Those whose first
count should raise an alarm begin at 0, because Prometheus sees no increase in a series that begins at 1.
"""

from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from app.core.errors import (
    AppError,
    BadInput,
    Draining,
    IdentityUnavailable,
    Overloaded,
    StoreError,
    Unauthenticated,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for

OTHER = "other"
"""Stands for every value that a label does not have."""

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_TURN = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 30, 60, 120)


def _codes(kind: type[AppError], *, but: type[AppError] | None = None) -> Iterator[str]:
    if kind is but:
        return
    yield kind.code
    for narrower in kind.__subclasses__():
        yield from _codes(narrower, but=but)


FAILURE_CODES = frozenset({*_codes(AppError, but=BadInput), "agent_silent", "worker_lost", OTHER})
"""Why a turn may fail."""
_REFUSALS = (BadInput, Draining, IdentityUnavailable, Overloaded, StoreError, Unauthenticated)
REFUSAL_CODES = frozenset(
    {*(code for kind in _REFUSALS for code in _codes(kind)), "invalid_audio", "invalid_json", "unknown_type", OTHER}
)
"""Why something may be refused."""

# Connections and requests: set by the transports.

CONNECTIONS = Gauge("voztaxi_connections", "Connections that are open.", ("transport",), multiprocess_mode="livesum")
CONNECTIONS_LIMIT = Gauge(
    "voztaxi_connections_limit", "WebSockets that the process takes: MAX_CONNECTIONS.", multiprocess_mode="livesum"
)
CONNECTIONS_REFUSED = Counter("voztaxi_connections_refused", "WebSockets that were not let in, by why.", ("code",))
REFUSALS = Counter(
    "voztaxi_refusals",
    "What was asked and refused before anything came of it, on any transport, by the code that the client was told.",
    ("code",),
)
SLOW_CLIENTS = Counter("voztaxi_slow_clients", "WebSockets that were closed because they took no frame.")
REPLAYS = Counter(
    "voztaxi_replays", "Replays, by whether the log still reached to where the client was.", ("recovered",)
)
REQUESTS_UNFINISHED = Counter(
    "voztaxi_requests_unfinished", "HTTP requests that were cut off before they were whole, by why.", ("reason",)
)
HTTP_REQUESTS = Counter(
    "voztaxi_http_requests",
    "HTTP requests that were answered, by the class of the status.",
    ("route", "method", "status"),
)
HTTP_REQUEST_SECONDS = Histogram(
    "voztaxi_http_request_seconds",
    "How long it took until an answer began; of a stream that is its head.",
    ("route", "method"),
    buckets=_SHORT,
)

# Turns: computed from their events by app/turns/observers.py.

TURNS = Counter("voztaxi_turns", "Turns that ended, by how, and of those that failed by why.", ("status", "code"))
TURN_SECONDS = Histogram(
    "voztaxi_turn_seconds",
    "From a rider's input to the turn's first event, first words, first sound, and end.",
    ("stage",),
    buckets=_TURN,
)
TOOL_CALLS = Counter("voztaxi_tool_calls", "Tools that agents called, by what came of it.", ("tool", "outcome"))
ANSWER_CHUNKS = Counter("voztaxi_answer_chunks", "Pieces of answers, as the chat model streamed them.", ("agent",))
ANSWER_CHARACTERS = Counter("voztaxi_answer_characters", "Characters of answers.", ("agent",))
MODEL_TOKENS = Counter(
    "voztaxi_model_tokens",
    "Tokens of the chat model, as its server counted them: what it was given, and what it answered.",
    ("agent", "direction"),
)

# Voice: set by app/services/voice.py.

MICROPHONES = Gauge(
    "voztaxi_microphones",
    "Microphones that are open, or whose last words are being understood.",
    multiprocess_mode="livesum",
)
UTTERANCES = Counter(
    "voztaxi_utterances",
    "Utterances by what came of them: a turn, an answer that went on, nothing, a refusal, a failure.",
    ("outcome",),
)
for _outcome in ("turn", "resumed", "nothing", "refused", "failed"):
    UTTERANCES.labels(_outcome)

# What is counted when somebody looks: set by app/services/figures.py.

TURNS_ACTIVE = Gauge("voztaxi_turns_active", "Turns that run.", multiprocess_mode="livesum")
TURNS_WAITING = Gauge("voztaxi_turns_waiting", "Inputs that wait behind a turn.", multiprocess_mode="livesum")
EVENT_LOG_BACKLOG = Gauge("voztaxi_event_log_backlog", "Events that are not yet stored.", multiprocess_mode="livesum")
READY = Gauge(
    "voztaxi_ready", "1 where every store answers and input is taken, as on /ready.", multiprocess_mode="livemin"
)

# Dispatch: set by app/services/dispatch.py.

DISPATCH_DELIVERIES = Counter(
    "voztaxi_dispatch_deliveries",
    "Attempts to deliver what a booking entails, by what came of them.",
    ("kind", "outcome"),
)
DISPATCH_SECONDS = Histogram(
    "voztaxi_dispatch_seconds",
    "How long an attempt took, quick repetitions included.",
    ("kind",),
    buckets=_SHORT,
)
DISPATCH_PENDING = Gauge(
    "voztaxi_dispatch_pending", "Deliveries that are still to be made.", multiprocess_mode="livemostrecent"
)
DISPATCH_PARKED = Gauge(
    "voztaxi_dispatch_parked",
    "Deliveries that were given up: somebody has to look at them.",
    multiprocess_mode="livemostrecent",
)
DISPATCH_WEBHOOKS = Counter(
    "voztaxi_dispatch_webhooks", "Events of the fleet, by what was done with them.", ("outcome",)
)

# Explanations: set by app/services/answers.py and app/services/explanations.py.

EXPLANATION_ANSWERS = Counter(
    "voztaxi_explanation_answers",
    "Questions, by whether their answer was saved (hit) or had to be generated (miss).",
    ("outcome",),
)
EXPLANATION_GENERATION_SECONDS = Histogram(
    "voztaxi_explanation_generation_seconds",
    "How long it took to generate an answer, its repetitions included, the wait for its turn not.",
    buckets=_TURN,
)
EXPLANATION_GENERATION_ERRORS = Counter(
    "voztaxi_explanation_generation_errors", "Answers that could not be generated, by why.", ("code",)
)
EXPLANATIONS_ACTIVE = Gauge("voztaxi_explanations_active", "Explanations that are sent.", multiprocess_mode="livesum")
EXPLANATIONS_GENERATING = Gauge(
    "voztaxi_explanations_generating", "Answers that are generated.", multiprocess_mode="livesum"
)
QUESTIONS_WAITING = Gauge(
    "voztaxi_questions_waiting", "Questions that wait until an answer can be generated.", multiprocess_mode="livesum"
)
EXPLANATION_STREAMING_SECONDS = Histogram(
    "voztaxi_explanation_streaming_seconds",
    "How long an explanation was sent without a pause, by how that ended.",
    ("outcome",),
    buckets=_TURN,
)
EXPLANATION_LATENESS_SECONDS = Histogram(
    "voztaxi_explanation_lateness_seconds",
    "How much later than it was due a chunk was begun to be sent.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)

# POST /stream/chat: moved by its route, and by nothing else.

STREAM_CHAT_STARTED = Counter("stream_chat_started", "Answers of /stream/chat that were begun.")
STREAM_CHAT_COMPLETED = Counter("stream_chat_completed", "Answers of /stream/chat that came to their end.")
STREAM_CHAT_ERROR = Counter("stream_chat_error", "Answers of /stream/chat that ended with an error.")
STREAM_CHAT_DURATION = Histogram(
    "stream_chat_duration_seconds", "From a request to /stream/chat to the end of its answer.", buckets=_TURN
)
STREAM_CHAT_TTFB = Histogram(
    "stream_chat_ttfb_seconds", "From a request to /stream/chat to the first byte of its answer.", buckets=_TURN
)

for _transport in ("websocket", "socketio", "sse"):
    CONNECTIONS.labels(_transport)
for _code in (Draining.code, Overloaded.code, "forbidden_origin"):
    CONNECTIONS_REFUSED.labels(_code)
for _code in REFUSAL_CODES:
    REFUSALS.labels(_code)
for _reason in ("slow", "crowded", "too_large", "malformed"):
    REQUESTS_UNFINISHED.labels(_reason)
for _outcome in ("hit", "miss"):
    EXPLANATION_ANSWERS.labels(_outcome)
for _outcome in ("completed", "paused", "left", "replaced"):
    EXPLANATION_STREAMING_SECONDS.labels(_outcome)
for _recovered in ("true", "false"):
    REPLAYS.labels(_recovered)
for _stage in ("first_event", "first_token", "first_audio", "end"):
    TURN_SECONDS.labels(_stage)
for _status in ("completed", "interrupted"):
    TURNS.labels(_status, "")
for _code in FAILURE_CODES:
    TURNS.labels("failed", _code)
