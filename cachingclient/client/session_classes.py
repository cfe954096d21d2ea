"""The session's classes that kept results refer to: looked at as a graph is planned, and sent to who loads."""

from __future__ import annotations

from collections.abc import Mapping

from cachingclient.graph import GraphNode
from cachingclient.hashing.environment.environment import Environment
from cachingclient.plan.user_classes import Scope, UserClasses, from_modules, packed
from cachingclient.storage import ClassChangedError, EntryInfo


class SessionClasses:
    """The classes of the session, as one plan finds them; each is looked at once.

    Parameters
    ----------
    environment
        How libraries count in their identities.

    Attributes
    ----------
    packed
        What the worker needs that loads an entry, by the key of the entry, as `user_classes.packed` has it.
    """

    def __init__(self, environment: Environment) -> None:
        self.packed: dict[str, bytes | None] = {}
        self._classes = UserClasses(environment, from_modules)

    def changed(self, names: Mapping[str, str]) -> str:
        """Return which of some classes has another digest in this session, else nothing."""
        return self._classes.changed(names)

    def objection(self, info: EntryInfo, node: GraphNode) -> str:
        """Return why an entry must not be loaded for a node, else nothing; then what it takes is packed."""
        if not info.details.get("classes"):
            return ""
        call = (getattr(node, name, None) for name in ("func", "args", "kwargs"))
        classes = self._classes.beside(Scope(*call))
        if why := classes.objection(info):
            return why
        try:
            self.packed[info.key] = packed(info, classes)
        except ClassChangedError as error:
            return str(error)
        return ""
