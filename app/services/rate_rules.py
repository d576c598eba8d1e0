"""What counts against which limit. Pure: who counts is ``rate_limits``."""

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from app.models.account import Caller
from app.models.rate import Rate

Network = IPv4Network | IPv6Network

_SUBSCRIBER_BITS = 64
"""What one subscriber has of IPv6: whoever has one address has all of these."""
_UNREADABLE = "unreadable"
"""All that a proxy tells and that is no address is one caller."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A hit: how often it may be made, and what it is counted under."""

    rate: Rate
    key: str


@dataclass(frozen=True, slots=True)
class RateRules:
    """Who is limited in what.

    Requests count by address, and by account as well where somebody is logged in. Turns count by account, and by
    address where nobody is. Logins count by address and by the name that is tried, whether or not anybody has it.

    Attributes:
        requests: HTTP requests and WebSockets that are opened; None is no limit.
        turns: Turns.
        logins: Attempts to log in.
        questions: Questions that are to be explained.
        credits: Answers that are generated. Nobody is exempt: each costs money.
        exempt: Networks whose callers are not limited, but in the names that they try.
    """

    requests: Rate | None = None
    turns: Rate | None = None
    logins: Rate | None = None
    questions: Rate | None = None
    credits: Rate | None = None
    exempt: tuple[Network, ...] = ()

    def of_request(self, address: str) -> list[Charge]:
        """Return what a request costs its address."""
        return _charges(self.requests, "request-address", None if self._is_exempt(address) else network_of(address))

    def of_account(self, caller: Caller) -> list[Charge]:
        """Return what a request costs the account that makes it."""
        return _charges(self.requests, "request-account", None if self._lets_pass(caller) else caller.account_id)

    def of_turn(self, caller: Caller) -> list[Charge]:
        """Return what a turn costs."""
        if self._lets_pass(caller):
            return []
        if caller.account_id is not None:
            return _charges(self.turns, "turn-account", caller.account_id)
        return _charges(self.turns, "turn-address", None if caller.address is None else network_of(caller.address))

    def of_question(self, caller: Caller) -> list[Charge]:
        """Return what a question costs the account that asks it."""
        return _charges(self.questions, "question-account", None if self._lets_pass(caller) else caller.account_id)

    def of_answer(self, caller: Caller) -> list[Charge]:
        """Return what an answer that is generated costs the account that asked for it."""
        return _charges(self.credits, "answer-account", caller.account_id)

    def of_login(self, name_key: str, address: str) -> list[Charge]:
        """Return what an attempt to log in costs. The address comes first: one that is refused costs no name."""
        network = None if self._is_exempt(address) else network_of(address)
        return [*_charges(self.logins, "login-address", network), *_charges(self.logins, "login-name", name_key)]

    def _lets_pass(self, caller: Caller) -> bool:
        return caller.address is not None and self._is_exempt(caller.address)

    def _is_exempt(self, address: str) -> bool:
        read = _read(address)
        return read is not None and any(read in network for network in self.exempt)


def network_of(address: str) -> str:
    """Return what an address is counted as: of IPv6 the network that a subscriber is given."""
    match _read(address):
        case IPv4Address() as read:
            return str(read)
        case IPv6Address() as read:
            return str(ip_network((int(read), _SUBSCRIBER_BITS), strict=False))
        case _:
            return _UNREADABLE


def _read(address: str) -> IPv4Address | IPv6Address | None:
    try:
        read = ip_address(address)
    except ValueError:
        return None
    # A socket that takes both kinds names an IPv4 address in IPv6.
    return read.ipv4_mapped or read if isinstance(read, IPv6Address) else read


def _charges(rate: Rate | None, what: str, subject: str | None) -> list[Charge]:
    if rate is None or subject is None:
        return []
    # A key has one length whatever a client sends, and whoever reads the keys learns no name from them.
    digest = sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return [Charge(rate, f"{what}:{digest}")]
