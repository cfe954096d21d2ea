"""Identity: what a function or a value is, as bytes that are the same wherever it is the same."""

from __future__ import annotations

# Teaches walks to encode what is no plain value: whichever module of this room is imported first, it comes along.
from cachingclient.hashing import dispatch as dispatch
