"""Which jet came from which parton: features of every way to assign four jets, and a model that ranks them.

An assignment names the b jet of the hadronic top, the two jets of its W, and the b jet of the
other top. The model was trained on generated events, where the truth is known (`generator/train.py`).
"""

from __future__ import annotations

import functools
from itertools import combinations, permutations
from pathlib import Path

import awkward as ak
import numpy as np
import xgboost
from vectors import Floats, Ints, four_vectors, masses

JETS_MAX = 6  # the softest jets are left out: the number of assignments grows fast
FEATURES = (
    "mass of W",
    "mass of hadronic top",
    "mass of b and lepton",
    "pt of hadronic top",
    "pt of leptonic b",
    "distance of W jets",
    "distance of lepton and b",
    "tag of hadronic b",
    "tag of leptonic b",
    "larger tag of W jets",
)


@functools.cache
def assignments(jets: int) -> Ints:
    """All assignments of so many jets, one a row: hadronic b, leptonic b, and the two of the W."""
    rows = [
        (*bottoms, *pair)
        for bottoms in permutations(range(jets), 2)
        for pair in combinations([jet for jet in range(jets) if jet not in bottoms], 2)
    ]
    return np.array(rows)


def features(jets: ak.Array, lepton: ak.Array) -> tuple[Floats, Ints]:
    """The features of every assignment, and how many assignments each event has."""
    counts = np.minimum(ak.to_numpy(ak.num(jets)), JETS_MAX)
    sizes = np.array([0] * 4 + [len(assignments(count)) for count in range(4, JETS_MAX + 1)])
    of_event = sizes[counts]
    found = np.empty((int(of_event.sum()), len(FEATURES)), dtype=np.float32)
    starts = np.cumsum(of_event) - of_event
    for count in np.unique(counts):
        chosen = np.flatnonzero(counts == count)
        rows = starts[chosen][:, None] + np.arange(sizes[count])
        found[rows] = features_of(jets[chosen][:, :count], lepton[chosen], assignments(int(count)))
    return found, of_event


def features_of(jets: ak.Array, lepton: ak.Array, roles: Ints) -> Floats:
    """Features by event and assignment, for events that have the same number of jets."""
    bottom, other, first, second = roles.T
    p4, muon, tags = vectors(jets), vectors(lepton)[:, None], ak.to_numpy(jets.btagCSVV2)
    w_boson = p4[:, first] + p4[:, second]
    top = w_boson + p4[:, bottom]
    apart = distances(jets[:, :, np.newaxis], jets[:, np.newaxis, :])
    columns = [
        mass(w_boson),
        mass(top),
        mass(p4 + muon)[:, other],
        np.hypot(top[..., 0], top[..., 1]),
        ak.to_numpy(jets.pt)[:, other],
        apart[:, first, second],
        distances(jets, lepton)[:, other],
        tags[:, bottom],
        tags[:, other],
        np.maximum(tags[:, first], tags[:, second]),
    ]
    return np.stack(columns, axis=-1)


def vectors(objects: ak.Array) -> Floats:
    """Rectangular four-vectors (px, py, pz, E), the last axis their components."""
    pt, eta, phi, heavy = (ak.to_numpy(objects[name]).astype(float) for name in ("pt", "eta", "phi", "mass"))
    return four_vectors(pt.ravel(), eta.ravel(), phi.ravel(), heavy.ravel()).reshape(*pt.shape, 4)


def mass(p4: Floats) -> Floats:
    return masses(p4.reshape(-1, 4)).reshape(p4.shape[:-1])


def distances(some: ak.Array, others: ak.Array) -> Floats:
    """The distances of directions in pseudorapidity and azimuth."""
    return ak.to_numpy(some.deltaR(others))


@functools.cache
def model_at(path: str, _changed: int) -> xgboost.Booster:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(path)
    return booster


def top_mass(jets: ak.Array, lepton: ak.Array, model: Path) -> np.ndarray:
    """The mass of the hadronic top in each event, as the model assigns its jets."""
    found, counts = features(jets, lepton)
    if not len(found):
        return np.empty(0)
    booster = model_at(str(model), model.stat().st_mtime_ns)
    scores = ak.unflatten(booster.inplace_predict(found), counts)
    best = ak.argmax(scores, axis=1, keepdims=True)
    of_top = ak.unflatten(found[:, FEATURES.index("mass of hadronic top")], counts)
    return ak.to_numpy(ak.flatten(of_top[best]))
