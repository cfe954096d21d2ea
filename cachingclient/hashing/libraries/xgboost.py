"""XGBoost: boosters by their model and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachingclient.hashing.digest import digest, frame
from cachingclient.hashing.registry import register_hasher

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk


@register_hasher("xgboost.core.Booster", subclasses=True)
def encode_booster(booster: Any, walk: Walk) -> bytes:
    """Return the encoding of a booster: its trees, and the settings further training would go by."""
    model = digest(booster.save_raw(raw_format="ubj"))
    settings = digest(booster.save_config().encode())
    attached = {name: value for name, value in vars(booster).items() if name != "handle"}
    return frame(b"(", [model, settings, walk.encode(attached)])
