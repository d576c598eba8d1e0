"""What operators watch, in Prometheus' terms. One object per figure; whoever knows the figure sets it."""

from prometheus_client import Counter, Gauge, Histogram

DISPATCH_DELIVERIES = Counter(
    "voztaxi_dispatch_deliveries",
    "Attempts to deliver what a booking entails, by what came of them.",
    ("kind", "outcome"),
)
DISPATCH_SECONDS = Histogram(
    "voztaxi_dispatch_seconds",
    "How long an attempt took, quick repetitions included.",
    ("kind",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
DISPATCH_PENDING = Gauge("voztaxi_dispatch_pending", "Deliveries that are still to be made.")
DISPATCH_PARKED = Gauge("voztaxi_dispatch_parked", "Deliveries that were given up: somebody has to look at them.")
DISPATCH_WEBHOOKS = Counter(
    "voztaxi_dispatch_webhooks", "Events of the fleet, by what was done with them.", ("outcome",)
)

# POST /stream/chat: moved by its route, and by nothing else.

_TURN = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 30, 60, 120)

STREAM_CHAT_STARTED = Counter("stream_chat_started", "Answers of /stream/chat that were begun.")
STREAM_CHAT_COMPLETED = Counter("stream_chat_completed", "Answers of /stream/chat that came to their end.")
STREAM_CHAT_ERROR = Counter("stream_chat_error", "Answers of /stream/chat that ended with an error.")
STREAM_CHAT_DURATION = Histogram(
    "stream_chat_duration_seconds", "From a request to /stream/chat to the end of its answer.", buckets=_TURN
)
STREAM_CHAT_TTFB = Histogram(
    "stream_chat_ttfb_seconds", "From a request to /stream/chat to the first byte of its answer.", buckets=_TURN
)
