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
