"""Write the samples of the ttbar analysis as NanoAOD-like ROOT files.

    python -m generator.make_data --scale 1

Nine samples, 200,000 events at scale 1. The same parameters give the same events and the
same file UUIDs, on every machine; files that are there with the right parameters stay.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import click
import numpy as np
import uproot
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from generator import kinematics
from generator.detector import reconstructed
from generator.kinematics import NOMINAL, Particles, Tune

FORMAT = 1  # raise it when the same parameters would no longer give the same events
SEED = 20150611
MANIFEST = "samples.json"
BASKET = 5_000
BATCH = 10_000
RUN, EVENTS_PER_BLOCK = 256_630, 250

# uproot writes the counters nJet, ... as int32 where NanoAOD has uint32; the rest agrees.
SCALARS = {"run": np.uint32, "luminosityBlock": np.uint32, "event": np.uint64}


@dataclass(frozen=True, slots=True)
class Sample:
    """What is made of one sample; `passing` is the share of generated events that the skim keeps."""

    process: str
    variation: str
    generate: Callable[[int, Tune, np.random.Generator], Particles]
    generated_pb: float
    passing: float
    events: int
    files: int
    tune: Tune = NOMINAL

    @property
    def name(self) -> str:
        return f"{self.process}__{self.variation}"

    @property
    def cross_section(self) -> float:
        """In pb, for the events that are in the files."""
        return round(self.generated_pb * self.passing, 3)


# Cross-sections in pb of what is generated: at least one lepton (54.6 % of pairs of W bosons,
# 32.6 % of single ones), and three partons beside the W of W + jets.
TTBAR, S_CHAN, T_CHAN, TW, WJETS = 454.0, 3.4, 70.7, 39.1, 1100.0

ME_VAR = Tune(top_scale=49.0, isr_scale=37.0)
PS_VAR = Tune(response=0.975, resolution=1.15, isr_jets=2.35)
SCALE_UP = Tune(isr_jets=1.9, isr_scale=31.0)
SCALE_DOWN = Tune(isr_jets=2.5, isr_scale=37.0)

SAMPLES = (
    Sample("ttbar", "nominal", kinematics.ttbar, TTBAR, 0.3482, 96_000, 8),
    Sample("ttbar", "ME_var", kinematics.ttbar, TTBAR, 0.3463, 12_000, 2, ME_VAR),
    Sample("ttbar", "PS_var", kinematics.ttbar, TTBAR, 0.3476, 12_000, 2, PS_VAR),
    Sample("ttbar", "scaleup", kinematics.ttbar, TTBAR, 0.3312, 12_000, 2, SCALE_UP),
    Sample("ttbar", "scaledown", kinematics.ttbar, TTBAR, 0.3616, 12_000, 2, SCALE_DOWN),
    Sample("single_top_s_chan", "nominal", kinematics.single_top_s_chan, S_CHAN, 0.1807, 8_000, 2),
    Sample("single_top_t_chan", "nominal", kinematics.single_top_t_chan, T_CHAN, 0.0633, 12_000, 2),
    Sample("single_top_tW", "nominal", kinematics.single_top_tW, TW, 0.2510, 12_000, 2),
    Sample("wjets", "nominal", kinematics.wjets, WJETS, 0.0724, 24_000, 2),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be written."""

    sample: Sample
    number: int
    entries: int

    @property
    def name(self) -> str:
        return f"{self.sample.name}_{self.number}.root"

    @property
    def uuid(self) -> uuid.UUID:
        made_by = [FORMAT, SEED, self.sample.name, asdict(self.sample.tune), self.number]
        text = json.dumps([*made_by, self.entries])
        return uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4)


def jobs(scale: float) -> list[Job]:
    """The files at `scale`: larger scales have more files, of the same size."""
    return [Job(sample, number, entries) for sample in SAMPLES for number, entries in enumerate(shares(sample, scale))]


def shares(sample: Sample, scale: float) -> list[int]:
    events = max(int(sample.events * scale), 1)
    files = max(round(sample.files * scale), 1)
    return [events * (i + 1) // files - events * i // files for i in range(files)]


def generate(job: Job) -> dict[str, Any]:
    """The columns of one file, as `uproot` takes them."""
    number = np.arange(job.entries) + 1 + job.number * 1_000_000
    scalars = {
        "run": np.full(job.entries, RUN),
        "luminosityBlock": 1 + number // EVENTS_PER_BLOCK,
        "event": number,
    }
    return {name: scalars[name].astype(kind) for name, kind in SCALARS.items()} | skimmed(job)


def skimmed(job: Job) -> dict[str, ak.Array]:
    """The collections of as many events as the job asks for, all of which pass the skim."""
    rng = np.random.default_rng([SEED, *job.uuid.bytes])
    batches, found = [], 0
    while found < job.entries:
        partons = job.sample.generate(BATCH, job.sample.tune, rng)
        collections = reconstructed(partons, BATCH, job.sample.tune, rng)
        passed = np.flatnonzero(passes_skim(collections))[: job.entries - found]
        batches.append({name: objects[passed] for name, objects in collections.items()})
        found += len(passed)
    return {name: ak.to_packed(ak.concatenate([batch[name] for batch in batches])) for name in batches[0]}


def passes_skim(collections: dict[str, ak.Array]) -> ak.Array:
    """One lepton and four jets, looser than any selection: what a group's skim keeps."""
    jets, electrons, muons = (collections[name] for name in ("Jet", "Electron", "Muon"))
    enough = ak.sum((jets.pt > 25) & (abs(jets.eta) < 2.5), axis=1) >= 4
    electron = (electrons.pt > 28) & (abs(electrons.eta) < 2.1) & (electrons.cutBased >= 3)
    muon = (muons.pt > 28) & (abs(muons.eta) < 2.1) & (muons.pfRelIso04_all < 0.25)
    return enough & (ak.any(electron, axis=1) | ak.any(muon, axis=1))


def write(job: Job, path: Path) -> None:
    """Write one file under a temporary name and move it into place, whole."""
    columns = generate(job)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with uproot.recreate(partial, compression=uproot.ZSTD(1), uuid_function=lambda: job.uuid) as file:
            tree = file.mktree("Events", {name: branch(data) for name, data in columns.items()})
            for start in range(0, job.entries, BASKET):
                stop = start + BASKET
                tree.extend({name: data[start:stop] for name, data in columns.items()})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def branch(data: Any) -> Any:
    """The type of a branch; a collection loses its count of events, as a tree grows."""
    return ak.type(data).content if isinstance(data, ak.Array) else data.dtype


def described(todo: list[Job], scale: float, folder: Path) -> dict[str, Any]:
    """The manifest: what was made, and what the analysis needs to know of it."""
    samples: dict[str, dict[str, Any]] = {}
    for job in todo:
        entry = samples.setdefault(
            job.sample.name,
            {
                "process": job.sample.process,
                "variation": job.sample.variation,
                "cross_section": job.sample.cross_section,
                "files": [],
            },
        )
        entry["files"].append(
            {
                "path": job.name,
                "treename": "Events",
                "entries": job.entries,
                "uuid": str(job.uuid),
                "nbytes": (folder / job.name).stat().st_size,
            }
        )
    return {"format": FORMAT, "seed": SEED, "scale": scale, "samples": samples}


def up_to_date(folder: Path, scale: float) -> bool:
    """Whether `folder` holds all files of these parameters, with the sizes they were left with."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return bool(manifest == described(jobs(scale), scale, folder))
    except (OSError, ValueError):
        return False


def progress(console: Console) -> Progress:
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def tracked(todo: list[Job], console: Console) -> Iterator[Job]:
    with progress(console) as bar:
        task = bar.add_task("writing samples", total=len(todo))
        for job in todo:
            bar.update(task, description=f"writing {job.sample.name}")
            yield job
            bar.advance(task)


def make_data(folder: Path, scale: float = 1.0, console: Console | None = None) -> Path:
    """Make the samples in `folder` unless they are there; gives the path of the manifest."""
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}")
    console = console or Console()
    manifest = folder / MANIFEST
    if up_to_date(folder, scale):
        console.print(f"samples are in {folder}")
        return manifest
    folder.mkdir(parents=True, exist_ok=True)
    manifest.unlink(missing_ok=True)
    todo = jobs(scale)
    for job in tracked(todo, console):
        write(job, folder / job.name)
    partial = folder / f".{MANIFEST}.{os.getpid()}.part"
    partial.write_text(json.dumps(described(todo, scale, folder), indent=1))
    partial.replace(manifest)
    return manifest


def usual_folder(scale: float) -> Path:
    """Where the example's programs look for the samples of a scale."""
    return Path(__file__).resolve().parents[1] / "data" / f"scale-{scale:g}"


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="[default: data/scale-SCALE in the example's folder]")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="1: 200k.")
def main(folder: Path | None, scale: float) -> None:
    """Write the samples of the ttbar analysis into FOLDER."""
    make_data(folder or usual_folder(scale), scale)


if __name__ == "__main__":
    main()
