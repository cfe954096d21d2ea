"""The columns that the analysis reads, whatever a file calls them or lacks."""

from __future__ import annotations

import awkward as ak
import uproot

# The columns read, and the value that stands in for one that a file lacks (None: there is none).
COLUMNS: dict[str, float | bool | None] = {
    "Jet_pt": None,
    "Jet_eta": None,
    "Jet_phi": None,
    "Jet_mass": None,
    "Jet_btagCSVV2": None,
    "Jet_jetId": 6,
    "Electron_pt": None,
    "Electron_eta": None,
    "Electron_phi": None,
    "Electron_mass": 0.000511,
    "Electron_charge": 0,
    "Electron_cutBased": 4,
    "Electron_sip3d": 0.0,
    "Muon_pt": None,
    "Muon_eta": None,
    "Muon_phi": None,
    "Muon_mass": 0.10566,
    "Muon_charge": 0,
    "Muon_tightId": True,
    "Muon_sip3d": 0.0,
    "Muon_pfRelIso04_all": 0.0,
}
OTHER_NAMES = {"Jet_btagCSVV2": ("Jet_btagDeepB", "Jet_btagDeepFlavB", "Jet_btagPNetB")}


def stand_ins(available: set[str]) -> dict[str, str | float | bool]:
    """For each of `COLUMNS`: the branch that holds it, or the value to be used in its place."""
    found: dict[str, str | float | bool] = {}
    for column, default in COLUMNS.items():
        names = (column, *OTHER_NAMES.get(column, ()))
        branch = next((name for name in names if name in available), None)
        if branch is None and default is None:
            raise KeyError(f"the tree has none of the branches {', '.join(names)}")
        found[column] = default if branch is None else branch  # type: ignore[assignment]
    return found


def load_columns(path: str, treename: str, start: int, stop: int) -> ak.Array:
    """Read the columns of one range of events."""
    with uproot.open(path) as file:
        tree = file[treename]
        sources = stand_ins(set(tree.keys()))
        branches = [name for name in sources.values() if isinstance(name, str)]
        return renamed(tree.arrays(branches, entry_start=start, entry_stop=stop), sources)


def columns_of(events: ak.Array) -> ak.Array:
    """Read the columns of events that coffea opened."""
    return ak.materialize(renamed(events, stand_ins(set(events.fields))))


def renamed(read: ak.Array, sources: dict[str, str | float | bool]) -> ak.Array:
    """The columns by the names that the analysis knows, those that are not there filled."""
    columns = {
        column: read[source] if isinstance(source, str) else ak.full_like(read[f"{column.split('_')[0]}_pt"], source)
        for column, source in sources.items()
    }
    return ak.zip(columns, depth_limit=1)
