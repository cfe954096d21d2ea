"""The ports that a manager, or a scheduler, may listen on: any, one, or a range that a firewall lets through."""

from __future__ import annotations

import errno
import socket
from typing import Any

MOST = 65535


def parse_ports(port: Any) -> tuple[int, int]:
    """Return the lowest and the highest port of what a user gave; zeros for any port.

    Raises
    ------
    ValueError
        If it is neither a port nor a range of ports.

    Examples
    --------
    >>> parse_ports(0), parse_ports(9123), parse_ports((9123, 9130))
    ((0, 0), (9123, 9123), (9123, 9130))
    >>> parse_ports((9130, 9123))
    Traceback (most recent call last):
    ...
    ValueError: port is (9130, 9123); it takes a number up to 65535, a range such as (9123, 9130), or 0 for any
    """
    low, high = port if isinstance(port, (tuple, list)) and len(port) == 2 else (port, port)
    numbers = all(isinstance(each, int) and not isinstance(each, bool) for each in (low, high))
    if not numbers or not (low == high == 0 or 0 < low <= high <= MOST):
        raise ValueError(
            f"port is {port!r}; it takes a number up to {MOST}, a range such as (9123, 9130), or 0 for any"
        )
    return low, high


def for_library(ports: tuple[int, int]) -> int | tuple[int, int]:
    """Return the ports in the words of Work Queue and TaskVine, which take no range of one.

    Raises
    ------
    OSError
        If none of them is free.
    """
    low, high = ports
    if low and not any(_is_free(port) for port in range(low, high + 1)):
        which = f"port {low} is taken" if low == high else f"all ports from {low} to {high} are taken"
        raise OSError(f"{which} on this machine; give another port, a range such as ({low}, {low + 10}), or 0 for any")
    return low if low == high else (low, high)


def checked_free(port: int, host: str | None) -> int:
    """Return a port at which a scheduler is to listen: its own error would not say which one is taken.

    Raises
    ------
    OSError
        If something else listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host or "", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise OSError(f"port {port} is taken on this machine; give another, or 0 for any") from error
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
