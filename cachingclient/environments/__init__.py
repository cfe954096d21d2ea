"""Packed environments: the user's Python environment as an archive, which is unpacked once at each host of a site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachingclient.lazy_names import lazy_names

if TYPE_CHECKING:
    from cachingclient.environments.environment import Environment

__all__ = ["Environment"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, {"Environment": "environment"})
