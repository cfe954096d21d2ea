"""Decays, showers and detector in a few vectorised lines: good shapes, no claim to be a simulation.

Everything is flat: particles of all events stand in one array of four-vectors beside the
number of the event that each belongs to, so no step loops over events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from vectors import Floats, Ints, four_vectors, masses, pt_eta_phi

TOP_MASS, TOP_WIDTH = 172.5, 1.4
W_MASS, W_WIDTH = 80.4, 2.1
B_MASS = 4.7
TAU_MASS = 1.78

LIGHT, CHARM, BOTTOM, ELECTRON, MUON, TAU = 1, 4, 5, 11, 13, 15
W_MODES = np.array([LIGHT, ELECTRON, MUON, TAU])
W_FRACTIONS = np.array([0.674, 0.1087, 0.1087, 0.1086])


@dataclass(frozen=True, slots=True)
class Tune:
    """What the systematic samples change: radiation, top spectrum and jet response."""

    isr_jets: float = 2.2
    isr_scale: float = 34.0
    top_scale: float = 55.0
    response: float = 1.0
    resolution: float = 1.0


NOMINAL = Tune()


@dataclass(frozen=True, slots=True)
class Particles:
    """Particles of many events: event number, four-vector (px, py, pz, E) and PDG id (no sign)."""

    event: Ints
    p4: Floats
    kind: Ints

    @staticmethod
    def joined(*parts: Particles) -> Particles:
        return Particles(
            np.concatenate([part.event for part in parts]),
            np.concatenate([part.p4 for part in parts]),
            np.concatenate([part.kind for part in parts]),
        )

    def where(self, mask: NDArray[np.bool_]) -> Particles:
        return Particles(self.event[mask], self.p4[mask], self.kind[mask])

    def scaled(self, factor: Floats) -> Particles:
        return replace(self, p4=self.p4 * factor[:, None])


def particles(p4: Floats, kind: int | Ints, event: Ints | None = None) -> Particles:
    """One particle for each event, unless `event` says otherwise."""
    events = np.arange(len(p4)) if event is None else event
    return Particles(events, p4, np.broadcast_to(np.asarray(kind, dtype=np.int64), len(p4)).copy())


def boosted(p4: Floats, frame: Floats) -> Floats:
    """`p4`, given in the rest frame of `frame`, as the laboratory sees it."""
    mass = masses(frame)
    along = (p4[:, :3] * frame[:, :3]).sum(axis=1)
    energy = (p4[:, 3] * frame[:, 3] + along) / mass
    step = (p4[:, 3] + energy) / (frame[:, 3] + mass)
    return np.column_stack([p4[:, :3] + step[:, None] * frame[:, :3], energy])


def two_body(
    parent: Floats, first: Floats | float, second: Floats | float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Decay `parent` into two daughters of these masses, isotropic in its rest frame."""
    count, mass = len(parent), masses(parent)
    energy = (mass**2 + np.square(first) - np.square(second)) / (2 * mass)
    momentum = np.sqrt(np.maximum(energy**2 - np.square(first), 0.0))
    cosine, phi = rng.uniform(-1, 1, count), rng.uniform(-np.pi, np.pi, count)
    sine = np.sqrt(1 - cosine**2)
    direction = np.column_stack([sine * np.cos(phi), sine * np.sin(phi), cosine])
    daughter = boosted(np.column_stack([momentum[:, None] * direction, energy]), parent)
    return daughter, parent - daughter


def resonance(mass: float, width: float, count: int, rng: np.random.Generator) -> Floats:
    """Breit-Wigner masses, cut at eight widths so that every decay stays possible."""
    edge = np.arctan(16.0)
    return mass + width / 2 * np.tan(rng.uniform(-edge, edge, count))


def decayed_top(top: Floats, rng: np.random.Generator) -> tuple[Particles, Floats]:
    """The b quark of t -> bW, and the W."""
    bottom, w_boson = two_body(top, B_MASS, resonance(W_MASS, W_WIDTH, len(top), rng), rng)
    return particles(bottom, BOTTOM), w_boson


def decayed_w(w_boson: Floats, mode: Ints, rng: np.random.Generator) -> Particles:
    """The visible daughters of W -> qq' (a charm quark in half of them) or W -> l nu."""
    first, second = two_body(w_boson, 0.0, 0.0, rng)
    event = np.arange(len(w_boson))
    charm = np.where(rng.random(len(w_boson)) < 0.5, CHARM, LIGHT)
    hadronic = mode == LIGHT
    return Particles.joined(
        Particles(event, first, np.where(hadronic, charm, mode)),
        Particles(event, second, np.full(len(event), LIGHT)).where(hadronic),
    )


def top_pair_modes(count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Decay modes of two W bosons of which at least one gives a lepton (the samples' filter)."""
    table = np.outer(W_FRACTIONS, W_FRACTIONS)
    table[0, 0] = 0.0
    drawn = rng.choice(table.size, size=count, p=(table / table.sum()).ravel())
    return W_MODES[drawn // 4], W_MODES[drawn % 4]


def lepton_modes(count: int, rng: np.random.Generator) -> Ints:
    return rng.choice(W_MODES[1:], size=count)


def produced(mass: float, width: float, scale: float, count: int, rng: np.random.Generator) -> Floats:
    """A heavy particle with a falling transverse momentum and a central rapidity."""
    pt, phi = rng.gamma(2.2, scale, count), rng.uniform(-np.pi, np.pi, count)
    rapidity, heavy = rng.normal(0, 1.0, count), resonance(mass, width, count, rng)
    transverse = np.hypot(pt, heavy)
    return np.column_stack(
        [
            pt * np.cos(phi),
            pt * np.sin(phi),
            transverse * np.sinh(rapidity),
            transverse * np.cosh(rapidity),
        ]
    )


def recoiling(against: Floats, mass: float, width: float, kick: float, rng: np.random.Generator) -> Floats:
    """A second heavy particle, balancing `against` up to the kick that radiation gives."""
    count = len(against)
    momentum = -against[:, :2] + rng.normal(0, kick, (count, 2))
    heavy = resonance(mass, width, count, rng)
    transverse = np.sqrt((momentum**2).sum(axis=1) + heavy**2)
    rapidity = np.arctanh(against[:, 2] / against[:, 3]) + rng.normal(0, 1.0, count)
    return np.column_stack([momentum, transverse * np.sinh(rapidity), transverse * np.cosh(rapidity)])


def radiated(counts: Ints, scale: float, flavours: dict[int, float], rng: np.random.Generator) -> Particles:
    """Extra partons, `counts` of them in each event, with a falling spectrum above 12 GeV."""
    event = np.repeat(np.arange(len(counts)), counts)
    pt = 12.0 + scale * (rng.pareto(3.5, len(event)) * 2.5)
    p4 = four_vectors(
        pt,
        rng.normal(0, 1.7, len(event)).clip(-4.6, 4.6),
        rng.uniform(-np.pi, np.pi, len(event)),
        0.0,
    )
    kinds = rng.choice(np.array(list(flavours)), size=len(event), p=list(flavours.values()))
    return Particles(event, p4, kinds)


def initial_radiation(count: int, tune: Tune, rng: np.random.Generator) -> Particles:
    flavours = {LIGHT: 0.94, CHARM: 0.04, BOTTOM: 0.02}
    return radiated(rng.poisson(tune.isr_jets, count), tune.isr_scale, flavours, rng)


def ttbar(count: int, tune: Tune, rng: np.random.Generator) -> Particles:
    top = produced(TOP_MASS, TOP_WIDTH, tune.top_scale, count, rng)
    antitop = recoiling(top, TOP_MASS, TOP_WIDTH, tune.isr_scale, rng)
    parts = [initial_radiation(count, tune, rng)]
    for quark, mode in zip((top, antitop), top_pair_modes(count, rng), strict=True):
        bottom, w_boson = decayed_top(quark, rng)
        parts += [bottom, decayed_w(w_boson, mode, rng)]
    return Particles.joined(*parts)


def single_top_s_chan(count: int, tune: Tune, rng: np.random.Generator) -> Particles:
    top = produced(TOP_MASS, TOP_WIDTH, tune.top_scale * 0.6, count, rng)
    partner = particles(recoiling(top, B_MASS, 0.0, tune.isr_scale, rng), BOTTOM)
    bottom, w_boson = decayed_top(top, rng)
    leptons = decayed_w(w_boson, lepton_modes(count, rng), rng)
    return Particles.joined(bottom, leptons, partner, initial_radiation(count, tune, rng))


def single_top_t_chan(count: int, tune: Tune, rng: np.random.Generator) -> Particles:
    top = produced(TOP_MASS, TOP_WIDTH, tune.top_scale * 0.6, count, rng)
    pt, _, phi = pt_eta_phi(top)
    forward = rng.choice([-1.0, 1.0], count) * rng.normal(2.6, 0.8, count)
    spectator = particles(four_vectors(pt, forward, phi + np.pi, 0.0), LIGHT)
    bottom, w_boson = decayed_top(top, rng)
    leptons = decayed_w(w_boson, lepton_modes(count, rng), rng)
    # Exchanging a W radiates less than annihilating into it.
    radiation = initial_radiation(count, replace(tune, isr_jets=0.5 * tune.isr_jets), rng)
    return Particles.joined(bottom, leptons, spectator, radiation)


def single_top_tW(count: int, tune: Tune, rng: np.random.Generator) -> Particles:
    top = produced(TOP_MASS, TOP_WIDTH, tune.top_scale * 0.8, count, rng)
    other = recoiling(top, W_MASS, W_WIDTH, tune.isr_scale, rng)
    bottom, w_boson = decayed_top(top, rng)
    modes = top_pair_modes(count, rng)
    bosons = [decayed_w(boson, mode, rng) for boson, mode in zip((w_boson, other), modes, strict=True)]
    return Particles.joined(bottom, *bosons, initial_radiation(count, tune, rng))


def wjets(count: int, tune: Tune, rng: np.random.Generator) -> Particles:
    """W -> l nu with at least three partons, the filter that the sample's cross-section holds."""
    boson = produced(W_MASS, W_WIDTH, 42.0, count, rng)
    leptons = decayed_w(boson, lepton_modes(count, rng), rng)
    flavours = {LIGHT: 0.90, CHARM: 0.07, BOTTOM: 0.03}
    partons = radiated(3 + rng.geometric(0.70, count) - 1, 38.0, flavours, rng)
    return Particles.joined(leptons, partons)
