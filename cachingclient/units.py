"""Sizes, durations, ages and texts as people write them, and back.

>>> size(1_234_567), duration(75), parse_size("10MB"), parse_age("30d")
('1.2 MB', '1 min 15 s', 10000000, 2592000.0)
"""

from __future__ import annotations

import re

from dask.utils import parse_bytes, parse_timedelta

_password_in_url = re.compile(r"(://[^/@\s:]*:)[^/@\s]+@").sub


def size(nbytes: float) -> str:
    """Bytes with a decimal unit, as ``parse_size`` reads them.

    Examples
    --------
    >>> size(999), size(12_345), size(5_000_000_000)
    ('999 B', '12 kB', '5.0 GB')
    """
    if nbytes < 999.5:
        return f"{nbytes:.0f} B"
    units = iter(("kB", "MB", "GB", "TB", "PB"))
    unit = "B"
    while nbytes >= 999.5 and unit != "PB":
        nbytes, unit = nbytes / 1000, next(units)
    return f"{nbytes:.1f} {unit}" if nbytes < 9.95 else f"{nbytes:.0f} {unit}"


def duration(seconds: float) -> str:
    """Seconds with a unit: two figures below a minute, two units above.

    Examples
    --------
    >>> duration(0.00042), duration(3.14), duration(42), duration(4000)
    ('0.42 ms', '3.1 s', '42 s', '1 h 6 min')
    """
    if seconds <= 0:
        return "0 s"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.2g} ms" if seconds < 0.0995 else f"{seconds * 1e3:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def age(seconds: float) -> str:
    """How long ago, in one unit; a time to come (another machine's clock) is ``now``.

    Examples
    --------
    >>> age(12), age(3600 * 5), age(86400 * 12.7), age(-3)
    ('12 s', '5 h', '12 d', 'now')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"


def parse_size(text: str) -> int:
    """Bytes from ``10MB``, ``1.5 GiB`` or ``2000``.

    Examples
    --------
    >>> parse_size("1.5 GiB")
    1610612736
    """
    try:
        nbytes = int(parse_bytes(text))
    except ValueError:
        nbytes = -1
    if nbytes < 0:
        raise ValueError(f"{text!r} is not a size; write for example 500kB, 10MB or 1.5GiB")
    return nbytes


def parse_age(text: str) -> float:
    """Seconds from ``30d``, ``2 weeks``, ``12h``, ``0s``; a number alone is seconds.

    Examples
    --------
    >>> parse_age("2 weeks"), parse_age("1h")
    (1209600.0, 3600.0)
    """
    try:
        seconds = float(parse_timedelta(text))
    except (IndexError, KeyError, ValueError):
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"{text!r} is not an age; write for example 90s, 12h, 30d or 2w")
    return seconds


def without_password(text: str) -> str:
    """Return a text whose URLs show no password.

    Examples
    --------
    >>> without_password("https://ada:secret@host/a.root did not answer")
    'https://ada:...@host/a.root did not answer'
    """
    return _password_in_url(r"\1...@", text)


def plain(text: str) -> str:
    """Return a text that does nothing to a terminal, whoever wrote it.

    Examples
    --------
    >>> plain("select \\x1b[2J")
    'select \\\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
