"""Train the model that assigns jets to partons, on generated events whose truth is known.

python -m generator.train
"""

from __future__ import annotations

import os
from pathlib import Path

import awkward as ak
import click
import numpy as np
import xgboost
from assignment import JETS_MAX, assignments, features
from ttbar import JET_ETA_MAX, JET_LEPTON_DR_MIN, JET_PT_MIN, JETS_MIN, LEPTON_ETA_MAX, LEPTON_PT_MIN
from vectors import Floats, Ints, pt_eta_phi

from generator import detector
from generator.kinematics import (
    CHARM,
    LIGHT,
    NOMINAL,
    TOP_MASS,
    TOP_WIDTH,
    Particles,
    decayed_top,
    initial_radiation,
    particles,
    produced,
    recoiling,
    two_body,
)

MODEL = Path(__file__).resolve().parents[1] / "data" / "assignment.json"
SEED = 172_500
SETTINGS = {"max_depth": 5, "eta": 0.2, "objective": "binary:logistic", "tree_method": "hist", "seed": 1, "nthread": 1}
ROUNDS = 60


def top_pairs(count: int, rng: np.random.Generator) -> tuple[ak.Array, ak.Array, Floats]:
    """Jets and leptons of top pairs of which one decays to jets, and the quarks by their role in `assignment`."""
    top = produced(TOP_MASS, TOP_WIDTH, NOMINAL.top_scale, count, rng)
    antitop = recoiling(top, TOP_MASS, TOP_WIDTH, NOMINAL.isr_scale, rng)
    (hadronic, w_hadronic), (leptonic, w_leptonic) = (decayed_top(each, rng) for each in (top, antitop))
    first, second = two_body(w_hadronic, 0.0, 0.0, rng)
    lepton, _ = two_body(w_leptonic, 0.0, 0.0, rng)
    flavour = np.where(rng.random(count) < 0.5, CHARM, LIGHT)
    quarks = [hadronic, leptonic, particles(first, flavour), particles(second, LIGHT)]
    partons = Particles.joined(*quarks, initial_radiation(count, NOMINAL, rng))
    none = partons.where(np.zeros(len(partons.event), dtype=bool))
    pt, eta, phi = pt_eta_phi(lepton)
    leptons = ak.zip({"pt": pt, "eta": eta, "phi": phi, "mass": np.zeros(count)}, with_name="Momentum4D")
    jets = ak.with_name(detector.jets(partons, none, count, NOMINAL, rng), "Momentum4D")
    return jets, leptons, np.stack([quark.p4 for quark in quarks], axis=1)


def matched(jets: ak.Array, quarks: Floats) -> Ints:
    """For each event the numbers of the jets next to its four quarks; -1 where there is none near."""
    found = []
    for role in range(4):
        _, eta, phi = pt_eta_phi(quarks[:, role])
        turn = abs(jets.phi - phi)
        apart = np.hypot(jets.eta - eta, np.minimum(turn, 2 * np.pi - turn))
        nearest = ak.argmin(apart, axis=1, keepdims=True)
        near = ak.to_numpy(ak.fill_none(ak.flatten(apart[nearest] < JET_LEPTON_DR_MIN), False))
        found.append(np.where(near, ak.to_numpy(ak.fill_none(ak.flatten(nearest), -1)), -1))
    pairs = np.sort(np.stack(found[2:], axis=1), axis=1)  # the jets of the W are not told apart
    return np.column_stack([*found[:2], pairs])


def labelled(count: int, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Features of all assignments of the events that have all four jets, and which of them are right."""
    jets, lepton, quarks = top_pairs(count, rng)
    jets = jets[(jets.pt > JET_PT_MIN) & (abs(jets.eta) < JET_ETA_MAX)][:, :JETS_MAX]
    passing = (lepton.pt > LEPTON_PT_MIN) & (abs(lepton.eta) < LEPTON_ETA_MAX) & (ak.num(jets) >= JETS_MIN)
    passing = ak.to_numpy(passing)
    jets, lepton, quarks = jets[passing], lepton[passing], quarks[passing]
    truth = matched(jets, quarks)
    whole = (truth >= 0).all(axis=1) & (np.diff(np.sort(truth, axis=1), axis=1) > 0).all(axis=1)
    jets, lepton, truth = jets[whole], lepton[whole], truth[whole]
    right = [(assignments(int(count)) == roles).all(axis=1) for count, roles in zip(ak.num(jets), truth, strict=True)]
    return features(jets, lepton)[0], np.concatenate(right).astype(int)


def train(path: Path = MODEL, events: int = 20_000) -> Path:
    """Train the model unless it is there; gives its path."""
    if not path.exists():
        inputs, right = labelled(events, np.random.default_rng(SEED))
        model = xgboost.train(SETTINGS, xgboost.DMatrix(inputs, right), ROUNDS)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{os.getpid()}.{path.name}")
        model.save_model(partial)
        partial.replace(path)
    return path


@click.command()
@click.option("--model", type=click.Path(path_type=Path), default=MODEL, show_default=True)
@click.option("--events", type=click.IntRange(min=1), default=20_000, show_default=True)
def main(model: Path, events: int) -> None:
    """Train the model and leave it in a file."""
    print(train(model, events))


if __name__ == "__main__":
    main()
