"""What the steps take from another file."""

from __future__ import annotations

import numpy as np

RESPONSE = 0.9


def response(eta: np.ndarray) -> np.ndarray:
    """The part of the energy that the detector sees, by pseudorapidity."""
    return RESPONSE + 0.02 * np.tanh(np.abs(eta))
