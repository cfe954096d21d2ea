"""A step cache for Dask: what was computed before is read back instead of run again."""

from cachingclient.client import DiracClient
from cachingclient.hashing.inputs import File
from cachingclient.hashing.plugins import register_hasher
from cachingclient.notes import CacheWarning
from cachingclient.plan import Action, Plan, PlannedStep
from cachingclient.policy import CachePolicy, Cost
from cachingclient.report import RunReport, StepRecord
from cachingclient.step import step
from cachingclient.storage import Store, open_store

__all__ = [
    "Action",
    "CachePolicy",
    "CacheWarning",
    "Cost",
    "DiracClient",
    "File",
    "Plan",
    "PlannedStep",
    "RunReport",
    "StepRecord",
    "Store",
    "open_store",
    "register_hasher",
    "step",
]
