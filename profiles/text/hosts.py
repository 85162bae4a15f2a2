"""Hosts as ssh takes them, and addresses of schedulers."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

# No leading dash: ssh would take it for an option.
_HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(.+):([0-9]{1,5})")


def host(text: str) -> str:
    """A name or an address as ssh takes it: IPv6 without the brackets that it has in URLs.

    Raises:
        ValueError: it is something else, or more.
    """
    bare = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    if _HOST_NAME.fullmatch(text) or _is_ipv6(bare):
        return bare
    raise ValueError(
        "not one host alone: a name or an address, such as board.local, 192.168.1.7 or fe80::1%eth0; user "
        "and port have fields of their own (user: pi, port: 2222)"
    )


def scheduler_address(text: str) -> str:
    """Where a scheduler answers: a host and a port, after a scheme if it has one.

    Raises:
        ValueError: it is something else, or more.
    """
    found = _ADDRESS.fullmatch(text)
    if found and int(found[2]) < 1 << 16 and (_HOST_NAME.fullmatch(found[1]) or found[1][:1] == "["):
        host(found[1])
        return text
    raise ValueError("is no scheduler's address; accepted: what `dask scheduler` prints, tcp://head:8786 say")


def _is_ipv6(text: str) -> bool:
    address, percent, zone = text.partition("%")
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return _ZONE.fullmatch(zone) is not None if percent else True
