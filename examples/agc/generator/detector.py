"""From partons to the columns of NanoAOD: jets, electrons and muons as a detector would give them."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
from vectors import Floats, Ints, four_vectors, pt_eta_phi

from generator.kinematics import (
    BOTTOM,
    CHARM,
    ELECTRON,
    LIGHT,
    MUON,
    TAU,
    Particles,
    Tune,
)

PILEUP = 0
PILEUP_JETS = 0.9
JET_PT_STORED = 15.0
LEPTON_PT_STORED = 5.0
ELECTRON_MASS, MUON_MASS = 0.000511, 0.10566
NO_BTAG = -10.0

Columns = dict[str, Any]


def reconstructed(partons: Particles, count: int, tune: Tune, rng: np.random.Generator) -> dict[str, ak.Array]:
    """The collections Jet, Electron and Muon of `count` events, in the types of NanoAOD."""
    partons = with_tau_decays(partons, rng)
    electrons = partons.where(partons.kind == ELECTRON)
    return {
        "Jet": jets(partons, electrons, count, tune, rng),
        "Electron": electron_candidates(electrons, count, rng),
        "Muon": muon_candidates(partons, count, rng),
    }


def with_tau_decays(partons: Particles, rng: np.random.Generator) -> Particles:
    """Taus as the soft electron, muon or narrow jet they are seen as."""
    tau = partons.kind == TAU
    seen = rng.choice([ELECTRON, MUON, TAU], size=len(tau), p=[0.178, 0.174, 0.648])
    share = np.where(seen == TAU, rng.beta(4, 2.5, len(tau)), rng.beta(1.6, 2.8, len(tau)))
    decayed = partons.scaled(np.where(tau, share, 1.0))
    return Particles(decayed.event, decayed.p4, np.where(tau, seen, decayed.kind))


def jets(partons: Particles, electrons: Particles, count: int, tune: Tune, rng: np.random.Generator) -> ak.Array:
    """Jets of quarks, hadronic taus and pile-up; electrons make jets too, which fail the veto."""
    sources = Particles.joined(
        partons.where(np.isin(partons.kind, (LIGHT, CHARM, BOTTOM, TAU))),
        electrons,
        pileup(count, rng),
    )
    pt, eta, phi = smeared(sources, tune, rng)
    columns = {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "mass": pt * rng.gamma(6.0, 0.021, len(pt)),
        "btagCSVV2": discriminator(sources.kind, eta, rng),
        "jetId": jet_id(sources.kind, rng),
    }
    kept = (pt > JET_PT_STORED) & (np.abs(eta) < 4.7)
    return collection(sources.event, columns, kept, count)


def pileup(count: int, rng: np.random.Generator) -> Particles:
    event = np.repeat(np.arange(count), rng.poisson(PILEUP_JETS, count))
    size = len(event)
    p4 = four_vectors(
        13.0 + rng.exponential(6.0, size),
        rng.normal(0, 2.2, size),
        rng.uniform(-np.pi, np.pi, size),
        0.0,
    )
    return Particles(event, p4, np.full(size, PILEUP))


def smeared(sources: Particles, tune: Tune, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    pt, eta, phi = pt_eta_phi(sources.p4)
    width = tune.resolution * np.sqrt(0.75**2 / np.maximum(pt, 5.0) + 0.05**2)
    response = tune.response * np.where(sources.kind == BOTTOM, 0.97, 0.99)
    # An electron's energy is well measured, also where it is taken for a jet.
    electron = sources.kind == ELECTRON
    width, response = np.where(electron, 0.02, width), np.where(electron, 1.0, response)
    angle = 0.25 / np.sqrt(np.maximum(pt, 5.0))
    seen = pt * response * np.maximum(1 + width * rng.normal(size=len(pt)), 0.05)
    phi = phi + angle * rng.normal(size=len(pt))
    return seen, eta + angle * rng.normal(size=len(pt)), np.arctan2(np.sin(phi), np.cos(phi))


def discriminator(kind: Ints, eta: Floats, rng: np.random.Generator) -> Floats:
    """CSVv2-like values: b jets near one, light jets near zero, charm between, -10 without tracks."""
    tagged = rng.beta(7.0, 0.7, len(kind))
    untagged = rng.beta(1.3, 5.5, len(kind))
    chance = np.select([kind == BOTTOM, kind == CHARM], [0.80, 0.22], 0.012)
    value = np.where(rng.random(len(kind)) < chance, tagged, untagged)
    without_tracks = (np.abs(eta) > 2.5) | (rng.random(len(kind)) < 0.015)
    return np.where(without_tracks, NO_BTAG, value)


def jet_id(kind: Ints, rng: np.random.Generator) -> Ints:
    """6: tight and not a lepton, 2: tight, 0: neither."""
    tight = np.select([kind == PILEUP, kind == ELECTRON], [0.90, 0.06], 0.985)
    loose = np.where(rng.random(len(kind)) < 0.7, 2, 0)
    return np.where(rng.random(len(kind)) < tight, 6, loose)


def electron_candidates(prompt: Particles, count: int, rng: np.random.Generator) -> ak.Array:
    fakes = soft_leptons(count, 0.25, 9.0, rng)
    both = Particles.joined(prompt.where(rng.random(len(prompt.event)) < 0.92), fakes)
    real = both.kind == ELECTRON
    pt, eta, phi = pt_eta_phi(both.p4)
    pt = pt * (1 + 0.02 * rng.normal(size=len(pt)))
    good = np.array([0.03, 0.05, 0.08, 0.14, 0.70])
    bad = np.array([0.62, 0.20, 0.10, 0.05, 0.03])
    columns = {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "mass": np.full(len(pt), ELECTRON_MASS),
        "charge": rng.choice([-1, 1], len(pt)),
        "cutBased": np.where(real, drawn(good, len(pt), rng), drawn(bad, len(pt), rng)),
        "sip3d": np.where(real, rng.gamma(2.0, 0.45, len(pt)), rng.gamma(1.5, 2.0, len(pt))),
    }
    return collection(both.event, columns, lepton_kept(pt, eta, 2.5), count)


def muon_candidates(partons: Particles, count: int, rng: np.random.Generator) -> ak.Array:
    """Prompt muons, and those inside b jets: soft, displaced and not isolated."""
    prompt = partons.where((partons.kind == MUON) & (rng.random(len(partons.kind)) < 0.97))
    inside = partons.where((partons.kind == BOTTOM) & (rng.random(len(partons.kind)) < 0.11))
    inside = inside.scaled(rng.beta(1.5, 6.0, len(inside.event)))
    both = Particles.joined(prompt, inside, soft_leptons(count, 0.05, 5.0, rng))
    real = both.kind == MUON
    pt, eta, phi = pt_eta_phi(both.p4)
    pt = pt * (1 + 0.015 * rng.normal(size=len(pt)))
    columns = {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "mass": np.full(len(pt), MUON_MASS),
        "charge": rng.choice([-1, 1], len(pt)),
        "tightId": rng.random(len(pt)) < np.where(real, 0.96, 0.65),
        "sip3d": np.where(real, rng.gamma(2.0, 0.4, len(pt)), rng.gamma(1.5, 6.0, len(pt))),
        "pfRelIso04_all": np.where(real, rng.exponential(0.045, len(pt)), rng.gamma(1.8, 0.9, len(pt))),
    }
    return collection(both.event, columns, lepton_kept(pt, eta, 2.4), count)


def soft_leptons(count: int, rate: float, scale: float, rng: np.random.Generator) -> Particles:
    event = np.repeat(np.arange(count), rng.poisson(rate, count))
    size = len(event)
    p4 = four_vectors(
        LEPTON_PT_STORED + rng.exponential(scale, size),
        rng.uniform(-2.5, 2.5, size),
        rng.uniform(-np.pi, np.pi, size),
        0.0,
    )
    return Particles(event, p4, np.full(size, PILEUP))


def lepton_kept(pt: Floats, eta: Floats, reach: float) -> np.ndarray:
    return (pt > LEPTON_PT_STORED) & (np.abs(eta) < reach)


def drawn(chances: Floats, size: int, rng: np.random.Generator) -> Ints:
    return rng.choice(len(chances), size=size, p=chances)


def collection(event: Ints, columns: Columns, kept: np.ndarray, count: int) -> ak.Array:
    """Objects of all events, the hardest of an event first, in NanoAOD's 32-bit types."""
    index = np.flatnonzero(kept)
    index = index[np.lexsort((-columns["pt"][index], event[index]))]
    records = ak.zip({name: narrowed(values[index]) for name, values in columns.items()})
    return ak.unflatten(records, np.bincount(event[index], minlength=count))


def narrowed(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.bool_:
        return values
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int32)
