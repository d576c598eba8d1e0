"""What counts against which limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.rates import read_networks
from app.models.account import ANYONE, Caller
from app.models.rate import Rate
from app.services.rate_rules import Charge, RateRules, network_of

pytestmark = pytest.mark.unit

REQUESTS, TURNS, LOGINS = Rate(600, 60), Rate(60, 60), Rate(10, 60)
RULES = RateRules(REQUESTS, TURNS, LOGINS, exempt=read_networks(("local", "10.0.0.0/8")))
OFF = RateRules()
ABROAD = "203.0.113.7"


def kinds(charges: list[Charge]) -> list[tuple[str, Rate]]:
    return [(charge.key.partition(":")[0], charge.rate) for charge in charges]


def test_a_request_counts_by_address_and_by_account() -> None:
    assert kinds(RULES.of_request(ABROAD)) == [("request-address", REQUESTS)]
    assert kinds(RULES.of_account(Caller("a", address=ABROAD))) == [("request-account", REQUESTS)]
    assert RULES.of_account(Caller(address=ABROAD)) == []


def test_a_turn_counts_by_account_and_without_one_by_address() -> None:
    assert kinds(RULES.of_turn(Caller("a", address=ABROAD))) == [("turn-account", TURNS)]
    assert kinds(RULES.of_turn(Caller(address=ABROAD))) == [("turn-address", TURNS)]
    assert kinds(RULES.of_turn(Caller("a"))) == [("turn-account", TURNS)]
    assert RULES.of_turn(ANYONE) == []


def test_the_name_that_somebody_gives_themselves_changes_nothing() -> None:
    ours = Caller(address=ABROAD)

    assert RULES.of_turn(ours) == RULES.of_turn(ours.saying("somebody else"))


def test_a_login_counts_by_address_first_and_by_name() -> None:
    assert kinds(RULES.of_login("ana", ABROAD)) == [("login-address", LOGINS), ("login-name", LOGINS)]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3"])
def test_an_exempt_network_is_limited_in_the_names_it_tries_and_in_nothing_else(address: str) -> None:
    assert RULES.of_request(address) == []
    assert RULES.of_account(Caller("a", address=address)) == []
    assert RULES.of_turn(Caller("a", address=address)) == []
    assert RULES.of_turn(Caller(address=address)) == []
    assert kinds(RULES.of_login("ana", address)) == [("login-name", LOGINS)]


def test_what_is_off_is_not_counted() -> None:
    assert OFF.of_request(ABROAD) == []
    assert OFF.of_account(Caller("a", address=ABROAD)) == []
    assert OFF.of_turn(Caller("a", address=ABROAD)) == []
    assert OFF.of_login("ana", ABROAD) == []


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unreadable"),
        ("", "unreadable"),
        ("203.0.113.7, 10.0.0.1", "unreadable"),
    ],
)
def test_an_address_is_counted_as_its_subscriber(address: str, network: str) -> None:
    assert network_of(address) == network


@given(address=st.ip_addresses(v=6), tail=st.integers(0, 2**64 - 1))
def test_all_addresses_of_a_subscriber_are_one(address: int, tail: int) -> None:
    from ipaddress import IPv6Address

    other = IPv6Address(int(address) >> 64 << 64 | tail)

    assert other.ipv4_mapped or network_of(str(address)) == network_of(str(other)) or IPv6Address(address).ipv4_mapped


@given(subject=st.text(max_size=2000), address=st.text(max_size=200))
def test_a_key_has_one_form_whatever_is_sent(subject: str, address: str) -> None:
    charges = [*RULES.of_login(subject, address), *RULES.of_turn(Caller(subject, address=address))]

    assert charges
    for charge in charges:
        assert charge.key.isascii()
        assert len(charge.key) < 60
        kind, _, rest = charge.key.partition(":")
        assert len(subject) < 8 or subject not in rest, kind
