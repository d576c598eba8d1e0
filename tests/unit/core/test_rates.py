"""Rates and networks as an operator writes them."""

from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.rates import read_networks, read_rate
from app.models.rate import Rate
from tests.desk import make_settings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("600/minute", Rate(600, 60)),
        ("10 per minute", Rate(10, 60)),
        ("100/2hours", Rate(100, 7200)),
        ("5/second", Rate(5, 1)),
        ("1000/day", Rate(1000, 86400)),
        ("0", None),
    ],
)
def test_a_rate_is_read(text: str, rate: Rate | None) -> None:
    assert read_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["ten", "10", "0/minute", "10/fortnight", "10/minute;100/day", "-1/minute", "9999999/day", "10/2days", ""]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        read_rate(text)


def test_networks_are_read() -> None:
    found = read_networks(("local", "10.0.0.5", "10.1.2.3/16", "2001:db8::/32"))

    assert found == tuple(map(ip_network, ("127.0.0.0/8", "::1/128", "10.0.0.5/32", "10.1.0.0/16", "2001:db8::/32")))
    assert read_networks(("none",)) == ()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rate_limit_requests", "many"),
        ("rate_limit_turns", "0/minute"),
        ("rate_limit_logins", "10/minute;100/day"),
        ("rate_limit_exempt", "local,home"),
        ("rate_limit_exempt", "none,local"),
        ("forwarded_allow_ips", "10.0.0.1/8"),
        ("forwarded_allow_ips", "proxy"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_at_the_start(setting: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=setting.upper()):
        make_settings(**{setting: value})
