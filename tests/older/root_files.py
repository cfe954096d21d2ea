"""ROOT files for distributed RDataFrames."""

from __future__ import annotations

EVENTS = """
import sys, ROOT
for name in sys.argv[1:]:
    events = ROOT.RDataFrame(2000).Define("pt", "10 + double((rdfentry_ * 7919) % 1000) / 4")
    events.Define("eta", "double(rdfentry_ % 41) / 8 - 2").Snapshot("Events", name, ["pt", "eta"])
"""
