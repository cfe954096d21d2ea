"""Crafts of names, links and files: what a description points at, and what stands in the place of files."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from tests.trust.crafting import BAD, Scene, craft, crafts, described

STEP = f"v1/steps/{BAD[:2]}/{BAD}"
BLOB = f"v1/blobs/{BAD[:2]}/{BAD}"
FOLDERS = ("steps", "blobs", "quarantine", "tmp", "pins", "leases", "uses", "inventory", f"steps/{BAD[:2]}")
HUGE = 3 << 30


def state(scene: Scene, **fields: Any) -> None:
    """File a description of these fields, of a blob that is not written."""
    scene.description(json.dumps(described(b"", False, fields)).encode())


def relative(scene: Scene, target: str) -> str:
    """Return the way from a folder of blobs to a file of the home."""
    return os.path.relpath(scene.home / target, scene.store / "v1" / "blobs" / "..")


def names_a_path_as_digest(scene: Scene, target: str) -> None:
    """The blob is a file of the reader's."""
    state(scene, digest=relative(scene, target), nbytes=99)


def names_a_path_as_key(scene: Scene, target: str) -> None:
    """The entry is filed under the name of a file as well."""
    state(scene, keys=[BAD, relative(scene, target)])


def links_a_folder(scene: Scene, folder: str) -> None:
    """A folder of the store leads to the home."""
    place = scene.store / "v1" / folder
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        place.rename(scene.store / f"old-{folder.replace('/', '-')}")
    place.symlink_to(scene.home)


def links_a_file(scene: Scene, target: str) -> None:
    """A description, and a blob, lead elsewhere."""
    scene.empty(STEP).symlink_to(target if target.startswith("/") else scene.home / target)


def links_a_blob(scene: Scene, target: str) -> None:
    """A description is right, its blob is a link."""
    state(scene, digest=BAD, nbytes=5)
    scene.empty(BLOB).symlink_to(target if target.startswith("/") else scene.home / target)


TARGETS = {"file": "thesis.tex", "folder": ".ssh", "nothing": "new"}
LINKED = {"file": "thesis.tex", "folder": ".ssh", "nothing": "new", "dev-zero": "/dev/zero", "fd": "/proc/self/fd/0"}
crafts("digest is the path of", TARGETS, names_a_path_as_digest)
crafts("key is the path of", TARGETS, names_a_path_as_key)
crafts("folder is a link", {folder: folder for folder in FOLDERS}, links_a_folder)
crafts("description is a link to", LINKED, links_a_file)
crafts("blob is a link to", LINKED, links_a_blob)


@craft
def description_is_a_pipe(scene: Scene) -> None:
    """Opening it to read waits for a writer."""
    os.mkfifo(scene.empty(STEP))


@craft
def blob_is_a_pipe(scene: Scene) -> None:
    """Its size is that which a pipe has."""
    state(scene, digest=BAD, nbytes=0)
    os.mkfifo(scene.empty(BLOB))


@craft
def description_is_a_socket(scene: Scene) -> None:
    """Nothing can be read from it."""
    place = scene.empty(STEP)
    here = os.getcwd()
    os.chdir(place.parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place.name)
    os.chdir(here)


@craft
def description_is_a_folder(scene: Scene) -> None:
    """A folder has the name of a description."""
    scene.empty(STEP).mkdir()


@craft
def description_is_sparse(scene: Scene) -> None:
    """A file of three gigabytes takes none on the disk."""
    with scene.empty(STEP).open("wb") as file:
        file.truncate(HUGE)


@craft
def blob_is_sparse(scene: Scene) -> None:
    """It has the size that its description states."""
    state(scene, digest=BAD, nbytes=HUGE)
    with scene.empty(BLOB).open("wb") as file:
        file.truncate(HUGE)


@craft
def blob_is_larger_than_stated(scene: Scene) -> None:
    """A few bytes are stated, and gigabytes are there."""
    state(scene, digest=BAD, nbytes=64)
    with scene.empty(BLOB).open("wb") as file:
        file.truncate(HUGE)


@craft
def inventory_is_sparse(scene: Scene) -> None:
    """The notes of a writer take gigabytes."""
    with scene.empty("v1/inventory/new-00").open("wb") as file:
        file.truncate(HUGE)


@craft
def uses_are_sparse(scene: Scene) -> None:
    """Files of uses claim gigabytes together."""
    for number in range(100):
        with scene.empty(f"v1/uses/{number}").open("wb") as file:
            file.truncate(64 << 20)


@craft
def lease_is_a_pipe(scene: Scene) -> None:
    """Whoever runs the step looks whether another does."""
    os.mkfifo(scene.empty(f"v1/leases/{BAD}"))


@craft
def lease_is_a_link(scene: Scene) -> None:
    """It leads to a file of the reader's."""
    scene.empty(f"v1/leases/{BAD}").symlink_to(scene.home / "thesis.tex")


@craft
def lease_is_sparse(scene: Scene) -> None:
    """It claims gigabytes."""
    with scene.empty(f"v1/leases/{BAD}").open("wb") as file:
        file.truncate(HUGE)


@craft
def pins_are_paths(scene: Scene) -> None:
    """Pins have names that are none."""
    scene.file("v1/pins/..thesis.tex", b"pinned")
    scene.empty(f"v1/pins/{BAD}").symlink_to(scene.home / "thesis.tex")


@craft
def folders_are_deep(scene: Scene) -> None:
    """Folders in folders, more than a program may call itself."""
    (scene.store / "v1" / "tmp").mkdir(parents=True, exist_ok=True)
    here = os.open(scene.store / "v1" / "tmp", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
