"""The errors of a DIRAC server, sorted by the action that a caller can take."""

from __future__ import annotations


class DiracError(Exception):
    """Something went wrong between us and a DIRAC server; all that the clients raise are of this kind.

    Examples
    --------
    >>> issubclass(Refused, DiracError) and issubclass(ServerUnavailable, DiracError)
    True
    """


class CredentialsError(DiracError):
    """There is no proxy or token, or it is unreadable, expired or about to expire: get a new one."""


class Refused(DiracError):
    """The server understood and said no, or knows no such thing: asking again gives the same answer."""


class NotOffered(DiracError):
    """This kind of server has no such service."""


class ServerUnavailable(DiracError):
    """The server can't be reached or is out of order: asking again later may help.

    A request that changes something may have been carried out although its answer was lost.
    """


class MalformedReply(DiracError):
    """The reply is not of the form that the server's interface promises; the text quotes it."""
