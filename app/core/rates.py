"""Rates and networks as an operator writes them."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from limits import parse_many

from app.models.rate import Rate

LOCAL = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
"""This machine."""
_LARGEST_AMOUNT = 1_000_000
_LONGEST_SECONDS = 24 * 3600


def read_rate(text: str) -> Rate | None:
    """Return what ``10/minute`` or ``100 per 2 hours`` says; None for ``0``, which is no limit.

    Raises:
        ValueError: It is neither.
    """
    if text.strip() == "0":
        return None
    try:
        [item] = parse_many(text)
    except ValueError as error:
        raise ValueError("must be like 10/minute or 100/2hours, or 0 for no limit") from error
    rate = Rate(item.amount, item.get_expiry())
    if not (0 < rate.amount <= _LARGEST_AMOUNT and rate.seconds <= _LONGEST_SECONDS):
        raise ValueError(f"must be 1 to {_LARGEST_AMOUNT} in a day at most, or 0 for no limit")
    return rate


def read_proxies(text: str) -> str:
    """Return the proxies that are believed, as the web server takes them: ``*``, or addresses and networks.

    Raises:
        ValueError: One of them is something else, of which the web server would make nothing and say nothing.
    """
    for name in text.split(","):
        if name.strip() != "*":
            try:
                ip_network(name.strip())
            except ValueError as error:
                raise ValueError(f"{name.strip()!r} is neither *, an address nor a network") from error
    return text


def read_networks(names: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that are named: ``local``, addresses, networks in CIDR notation; ``none`` alone is none.

    Raises:
        ValueError: One of them is something else.
    """
    if names == ("none",):
        return ()
    found: list[IPv4Network | IPv6Network] = []
    for name in names:
        if name == "local":
            found += LOCAL
            continue
        try:
            found.append(ip_network(name, strict=False))
        except ValueError as error:
            raise ValueError(f"{name!r} is neither local, none, an address nor a network") from error
    return tuple(found)
