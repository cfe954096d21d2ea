"""Samples, their files, and the ranges of events that are worked on at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LUMINOSITY = 3378.0  # 1/pb
CHUNK_SIZE = 12_000


@dataclass(frozen=True, slots=True)
class DataFile:
    """A ROOT file, as its own metadata describes it."""

    path: str
    treename: str
    entries: int
    uuid: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Files of one process, with the cross-section in pb."""

    process: str
    variation: str
    cross_section: float
    files: tuple[DataFile, ...]

    @property
    def factor(self) -> float:
        """What brings the sample's events to the luminosity of the data."""
        return self.cross_section * LUMINOSITY / max(sum(file.entries for file in self.files), 1)


def read_samples(manifest: Path) -> list[Sample]:
    """The samples that `generator` left, or another manifest of that form."""
    described = json.loads(manifest.read_text())["samples"]
    return [
        Sample(
            entry["process"],
            entry["variation"],
            entry["cross_section"],
            tuple(
                DataFile(
                    str((manifest.parent / file["path"]).resolve()),
                    file["treename"],
                    file["entries"],
                    file["uuid"],
                )
                for file in entry["files"]
            ),
        )
        for entry in described.values()
    ]


@dataclass(frozen=True, slots=True)
class Chunk:
    sample: int
    file: DataFile
    start: int
    stop: int

    def seed(self, step: str) -> int:
        """A seed that depends on the events and the step alone, not on where or when they run."""
        text = f"{self.file.uuid}/{self.file.treename}/{self.start}-{self.stop}/{step}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def chunked(samples: Sequence[Sample], size: int) -> Iterator[Chunk]:
    for number, sample in enumerate(samples):
        for file in sample.files:
            for start in range(0, file.entries, size):
                yield Chunk(number, file, start, min(start + size, file.entries))
