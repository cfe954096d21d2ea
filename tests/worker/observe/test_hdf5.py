"""Files that an HDF5 file leads to."""

from pathlib import Path

import pytest

from cachingclient.worker.observe import observing

h5py = pytest.importorskip("h5py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file with a link into another, and with a dataset made of parts, of which one is made of parts itself."""
    for name in ("linked", "part", "inner"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["x"] = [1.0, 2.0]
    for name, source in (("nested", "inner"), ("main", "part")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            layout = h5py.VirtualLayout(shape=(2, 2), dtype="f8")
            layout[0] = h5py.VirtualSource(f"{source}.h5", "x", shape=(2,))
            if name == "main":
                layout[1] = h5py.VirtualSource("nested.h5", "of_parts", shape=(2, 2))[0]
            file.create_virtual_dataset("of_parts", layout)
            file["group/link"] = h5py.ExternalLink("linked.h5", "/x")
            file["own"] = [3.0]
            file.create_dataset("raw", (2,), "u1", external=[(str(tmp_path / "raw.bin"), 0, 2)])
    (tmp_path / "raw.bin").write_bytes(b"\x01\x02")
    return tmp_path


@pytest.mark.parametrize(
    ("dataset", "read"),
    [
        ("own", {"main.h5"}),
        ("group/link", {"main.h5", "linked.h5"}),
        ("raw", {"main.h5", "raw.bin"}),
        ("of_parts", {"main.h5", "part.h5", "nested.h5", "inner.h5"}),
    ],
)
def test_what_a_dataset_is_read_from_is_seen(folder: Path, dataset: str, read: set[str]) -> None:
    """Whichever file its values lie in; what nobody takes is not read."""
    with observing() as seen, h5py.File(folder / "main.h5") as file:
        assert file[dataset][...].sum() > 0
    assert {Path(path).name for path in seen.reads} == read
    assert seen.unknown == set()
    assert seen.writes == {}


def test_what_is_written_through_a_link_is_seen(folder: Path) -> None:
    """As a change of the file that the link leads to."""
    with observing() as seen, h5py.File(folder / "main.h5", "r+") as file:
        file["group/link"][0] = 5.0
    assert seen.writes[str(folder / "linked.h5")].how == "changed"


def test_a_part_that_is_missing_was_looked_for(folder: Path) -> None:
    """Its values are zeros as long as it is not there."""
    (folder / "part.h5").unlink()
    with observing() as seen, h5py.File(folder / "main.h5") as file:
        assert file["of_parts"][0].sum() == 0
    assert str(folder / "part.h5") in seen.missing


def test_what_can_not_be_told_is_a_reason(folder: Path) -> None:
    """Of a file in pieces nobody says where they lie."""
    with h5py.File(folder / "piece%d.h5", "w", driver="family") as file:
        file["x"] = [1.0]
    with observing() as seen, h5py.File(folder / "piece%d.h5", driver="family") as file:
        assert file["x"][0] == 1
    assert any("lies in pieces, by HDF5's driver family" in reason for reason in seen.unknown)


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_part_that_is_open_stays_so(folder: Path, mode: str) -> None:
    """What looks into the parts of a dataset shuts nothing of the user's."""
    with observing() as seen, h5py.File(folder / "inner.h5", mode) as part, h5py.File(folder / "main.h5") as file:
        held = part["x"]
        assert file["of_parts"][...].sum() > 0
        assert held[...].tolist() == [1.0, 2.0]
    assert seen.unknown == set()
