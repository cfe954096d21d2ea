"""The hashers of that awkward which is installed: awkward 1, which coffea 0.7 takes, has layouts of its own."""

from __future__ import annotations

import importlib

import awkward as ak

importlib.import_module(f"cachingclient.hashing.libraries.awkward.{'hasher' if hasattr(ak, 'contents') else 'first'}")
