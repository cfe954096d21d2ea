"""Write NanoAOD-like files with leptons, jets and EFT coefficients: the same for the same scale, on every machine."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from pathlib import Path

import awkward as ak
import numpy as np
import uproot
from generator.make_data import branch

FORMAT = 1  # raise it when the same scale would no longer give the same events
WILSON = 6
PER_FILE = 10_000
# Of each process: its cross-section in pb, its events at scale 1, and how far Wilson coefficients move it.
PROCESSES = {
    "ttH": (0.5, 40_000, 0.3),
    "ttll": (0.9, 40_000, 0.4),
    "ttlnu": (0.7, 40_000, 0.3),
    "tllq": (0.8, 40_000, 0.2),
    "ZZ": (1.3, 20_000, 0.0),
    "ttbar": (88.0, 20_000, 0.0),
}


def particles(kind: str, counts: np.ndarray, rng: np.random.Generator) -> ak.Array:
    """Momenta and directions of so many particles an event, and what they are identified by."""
    total = int(counts.sum())
    columns = {
        "pt": 10 + rng.exponential(45, total),
        "eta": np.clip(rng.normal(0, 1.3, total), -2.8, 2.8),
        "phi": rng.uniform(-np.pi, np.pi, total),
        "mass": np.full(total, {"Electron": 0.000511, "Muon": 0.10566, "Jet": 8.0}[kind]),
    }
    if kind == "Jet":
        columns["btagDeepFlavB"] = np.where(rng.random(total) < 0.3, rng.beta(4, 2, total), rng.beta(1, 6, total))
    else:
        columns["miniPFRelIso_all"] = rng.exponential(0.1, total)
    found = {name: ak.unflatten(values.astype(np.float32), counts) for name, values in columns.items()}
    if kind != "Jet":
        found["charge"] = ak.unflatten(rng.choice(np.array([-1, 1], np.int32), total), counts)
    return ak.zip(found)


def events(number: int, reach: float, rng: np.random.Generator) -> dict[str, ak.Array]:
    """Events with at least two leptons. The weight is a square: that of one and the Wilson coefficients' amplitudes."""
    leptons = 2 + rng.binomial(3, 0.25, number)
    electrons = rng.binomial(leptons, 0.45)
    counts = {"Electron": electrons, "Muon": leptons - electrons, "Jet": rng.poisson(4.5, number)}
    amplitudes = np.hstack([np.ones((number, 1)), rng.normal(0, reach, (number, WILSON))])
    upper = np.triu_indices(WILSON + 1)
    products = amplitudes[:, upper[0]] * amplitudes[:, upper[1]] * np.where(upper[0] == upper[1], 1, 2)
    columns = {kind: particles(kind, count, rng) for kind, count in counts.items()}
    coefficients = ak.from_regular(ak.Array(products.astype(np.float32)), axis=1)
    numbers = np.arange(number)
    return columns | {
        "EFTfitCoefficients": coefficients,
        "Pileup_nTrueInt": rng.poisson(30, number).astype(np.float32),
        "run": np.ones(number, np.uint32),
        "luminosityBlock": (1 + numbers // 250).astype(np.uint32),
        "event": (1 + numbers).astype(np.uint64),
    }


def write(path: Path, process: str, part: int, number: int) -> str:
    """Write one file, whole; returns its UUID."""
    digest = hashlib.sha256(json.dumps([FORMAT, process, part, number]).encode()).digest()
    identity = uuid.UUID(bytes=digest[:16], version=4)
    if not path.exists():
        columns = events(number, PROCESSES[process][2], np.random.default_rng([*digest]))
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        with uproot.recreate(partial, compression=uproot.ZSTD(1), uuid_function=lambda: identity) as file:
            file.mktree("Events", {name: branch(data) for name, data in columns.items()}).extend(columns)
        os.replace(partial, path)
    return str(identity)


def make_eft_data(folder: Path, scale: float) -> Path:
    """Write what is missing of the samples, 200,000 events at scale 1; returns the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = {}
    for process, (cross_section, at_scale_one, _) in PROCESSES.items():
        number = max(int(at_scale_one * scale), 1)
        sizes = [min(PER_FILE, number - start) for start in range(0, number, PER_FILE)]
        files = []
        for part, size in enumerate(sizes):
            path = folder / f"{process}_{part}_{size}_{FORMAT}.root"
            identity = write(path, process, part, size)
            files.append({"path": path.name, "treename": "Events", "entries": size, "uuid": identity})
        samples[process] = {
            "process": process,
            "variation": "nominal",
            "cross_section": cross_section,
            "files": files,
        }
    manifest = folder / "samples.json"
    manifest.write_text(json.dumps({"samples": samples}, indent=1))
    return manifest
