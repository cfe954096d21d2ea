"""Names that are made at run time: without addresses, which differ in each process."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[1-9][0-9]*")
_FIRST_ADDRESS, _LAST_ADDRESS = 1 << 32, 1 << 48
"""Where objects lie in memory on 64-bit machines: numbers in names are seldom as large."""


def without_addresses(name: str) -> str:
    """Return a name without the numbers in it that may be addresses.

    Libraries name classes by ``id(self)`` to have one for each object.

    Examples
    --------
    >>> without_addresses("SparseTuple140421837221968.__new__"), without_addresses("Run2016H_106")
    ('SparseTuple.__new__', 'Run2016H_106')
    """
    return _NUMBER.sub(lambda found: "" if _FIRST_ADDRESS <= int(found[0], 0) < _LAST_ADDRESS else found[0], name)
