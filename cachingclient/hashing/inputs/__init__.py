"""Files and URLs among the arguments, and what they look like."""

from cachingclient.hashing.inputs.inputs import File

__all__ = ["File"]
