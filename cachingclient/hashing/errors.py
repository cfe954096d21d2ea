"""The error for what has no identity."""

from __future__ import annotations

from cachingclient.units import without_password


class Unidentifiable(TypeError):
    """Something has no identity that a later process could find again.

    Parameters
    ----------
    reason
        The thing and the place where it was found, in words for the user.
    refused
        Whether a server may not show it to this user, which says nothing of what else the server has.

    Examples
    --------
    >>> raise Unidentifiable("an open file, 'data.root'")
    Traceback (most recent call last):
    cachingclient.hashing.errors.Unidentifiable: an open file, 'data.root'
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        reason = without_password(reason)  # it stands in reports, logs and warnings
        super().__init__(reason)
        self.reason = reason
        self.refused = refused
