"""Four-vectors (px, py, pz, E) of many particles as one array, a row each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def four_vectors(pt: Floats, eta: Floats, phi: Floats, mass: Floats | float) -> Floats:
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return np.stack([px, py, pz, np.sqrt(px**2 + py**2 + pz**2 + np.square(mass))], axis=1)


def masses(p4: Floats) -> Floats:
    return np.sqrt(np.maximum(p4[:, 3] ** 2 - (p4[:, :3] ** 2).sum(axis=1), 0.0))


def pt_eta_phi(p4: Floats) -> tuple[Floats, Floats, Floats]:
    pt = np.hypot(p4[:, 0], p4[:, 1])
    return pt, np.arcsinh(p4[:, 2] / np.maximum(pt, 1e-9)), np.arctan2(p4[:, 1], p4[:, 0])
