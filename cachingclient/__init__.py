"""A step cache for Dask: what was computed before is read back instead of run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachingclient.lazy_names import lazy_names
from cachingclient.step import step  # at once: its module has the same name, and would take the name's place

if TYPE_CHECKING:
    from cachingclient.client.client import DiracClient
    from cachingclient.client.client import DiracClient as CachingClient
    from cachingclient.hashing.inputs.inputs import File
    from cachingclient.hashing.registry import register_hasher
    from cachingclient.plan.plan import Plan
    from cachingclient.plan.policy import CachePolicy, Cost
    from cachingclient.plan.record import StepRecord
    from cachingclient.plan.report import RunReport
    from cachingclient.plan.steps import Action, PlannedStep
    from cachingclient.storage import Store, open_store
    from cachingclient.versions import __version__
    from cachingclient.warn_once import CacheWarning

__all__ = [
    "Action",
    "CachePolicy",
    "CacheWarning",
    "CachingClient",
    "Cost",
    "DiracClient",
    "File",
    "Plan",
    "PlannedStep",
    "RunReport",
    "StepRecord",
    "Store",
    "__version__",
    "open_store",
    "register_hasher",
    "step",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "CachingClient": "client.fitting",
            "DiracClient": "client.fitting",
            "File": "hashing.inputs.inputs",
            "register_hasher": "hashing.registry",
            "Action": "plan.steps",
            "Plan": "plan.plan",
            "PlannedStep": "plan.steps",
            "CachePolicy": "plan.policy",
            "Cost": "plan.policy",
            "RunReport": "plan.report",
            "StepRecord": "plan.record",
            "Store": "storage",
            "open_store": "storage",
            "CacheWarning": "warn_once",
            "__version__": "versions",
        },
        rooms=("coffea", "config", "dirac", "environments", "storage", "vine"),
    )
