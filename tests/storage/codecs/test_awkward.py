"""Awkward Arrays come back equal, with their behavior, and writable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import vector
from coffea.nanoevents.methods import candidate, nanoaod

from cachingclient.hashing.identify import identify
from cachingclient.storage import decode, encode
from cachingclient.storage.codecs import DataOnlyError, _behavior
from cachingclient.storage.codecs.framing import Writer
from cachingclient.storage.codecs.registry import codec_named
from tests.storage.codecs.roundtrip import roundtrip

AWKWARD = {
    "jagged": ak.Array([[1, 2], [], [3]]),
    "records": ak.Array([{"x": 1, "y": [1, 2]}, {"x": 2, "y": []}]),
    "strings": ak.Array(["a", "bc"]),
    "options and unions": ak.Array([1, None, "x"]),
    "named": ak.with_name(ak.Array([{"x": 1}]), "Point"),
    "attrs": ak.Array([[1, 2], []], attrs={"unit": "GeV"}),
    "empty": ak.Array([]),
    "regular": ak.Array(np.arange(24).reshape(2, 3, 4)),
    "categorical": ak.str.to_categorical(ak.Array(["a", "b", "a"])),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_arrays(name: str) -> None:
    """Values, type, name and attrs are kept."""
    array = AWKWARD[name]
    codec, back = roundtrip(array)
    assert codec == "awkward"
    assert type(back) is type(array)
    assert back.type == array.type
    assert back.to_list() == array.to_list()
    assert dict(back.attrs) == dict(array.attrs)


def test_an_awkward_record() -> None:
    """One record out of an array stays a record."""
    record = ak.Array([{"x": 1, "y": [1, 2]}, {"x": 3, "y": []}])[1]
    codec, back = roundtrip(record)
    assert codec == "awkward"
    assert isinstance(back, ak.Record)
    assert (back.to_list(), back.type) == (record.to_list(), record.type)


def test_a_selection_does_not_carry_what_it_was_selected_from() -> None:
    """Awkward selections are views; only what they show is written."""
    array = ak.Array({"x": np.arange(100_000), "y": np.arange(100_000)})
    assert encode(array[array.x < 10]).nbytes < 4000


def _layouts() -> dict[str, Any]:
    """Layouts that packing leaves as they are, and such as hold more than can be reached, at each level."""
    numbers = ak.contents.NumpyArray(np.arange(10.0))
    offsets = np.array([0, 3, 3, 10])
    records = ak.contents.RecordArray([numbers, numbers], ["x", "y"])
    return {
        "numbers": numbers,
        "every other number": ak.contents.NumpyArray(np.arange(20.0)[::2]),
        "a table of numbers": ak.contents.NumpyArray(np.arange(20.0).reshape(10, 2)),
        "lists": ak.contents.ListOffsetArray(ak.index.Index64(offsets), records),
        "lists that begin late": ak.contents.ListOffsetArray(ak.index.Index64(offsets[1:]), records),
        "lists that end early": ak.contents.ListOffsetArray(ak.index.Index64(offsets[:3]), records),
        "lists by short numbers": ak.contents.ListOffsetArray(ak.index.Index32(offsets.astype("i4")), numbers),
        "records": records,
        "a part of records": ak.contents.RecordArray([numbers, numbers], ["x", "y"], length=4),
        "records of nothing": ak.contents.RecordArray([], [], length=4),
        "text": ak.Array(["muon", "", "jet"]).layout,
        "missing": ak.Array([1, None, 3]).layout,
    }


@pytest.mark.parametrize("name", _layouts())
def test_what_is_packed_already_is_written_as_if_it_were_packed(name: str) -> None:
    """Awkward's own packing, which takes longer than all else, changes nothing of what is kept."""
    layout = _layouts()[name]
    packed = ak.to_packed(layout, highlevel=False)
    assert b"".join(encode(ak.Array(layout)).frames) == b"".join(encode(ak.Array(packed)).frames)
    assert encode(ak.Array(layout)).nbytes < 2000
    assert roundtrip(ak.Array(layout))[1].to_list() == ak.to_list(layout)


def test_columns_are_written_from_where_they_are() -> None:
    """No copy is made of an array that holds what it shows, and only that."""
    jagged = ak.unflatten(np.arange(1000.0), [400, 600])
    column = np.asarray(jagged.layout.content.data)
    frames = encode(jagged).frames
    assert sum(np.shares_memory(column, np.frombuffer(frame, "u1")) for frame in frames) == 1


def test_a_virtual_array_is_read_in_a_copy() -> None:
    """It loads equal to what it stands for."""
    real = ak.Array([[1, 2], [], [3]])
    form, length, buffers = ak.to_buffers(real)
    virtual = ak.from_buffers(form, length, {name: lambda b=b: b for name, b in buffers.items()})
    codec, back = roundtrip(virtual)
    assert codec == "awkward"
    assert back.to_list() == real.to_list()


def test_loaded_awkward_buffers_are_writable() -> None:
    """As writable as computed ones."""
    back = roundtrip(AWKWARD["jagged"])[1]
    assert np.asarray(back.layout.content.data).flags.writeable


class Vector(ak.Record):
    """A class that only a behaviour gives."""


def test_an_awkward_array_with_its_own_behaviour_keeps_its_class() -> None:
    """The behaviour goes with it, pickled where it is the user's: it is refused where only data may be loaded."""
    array = ak.Array([{"x": 1}], with_name="Vector", behavior={"Vector": Vector})
    codec, back = roundtrip(array)
    assert codec == "awkward"
    assert type(back[0]) is Vector
    with pytest.raises(DataOnlyError):
        decode(b"".join(encode(array).frames), data_only=True)


def jets(behavior: Any) -> Any:
    """Jets as coffea gives them, with the behaviour given."""
    columns = {
        "pt": [[40.0, 30.0], []],
        "eta": [[0.1, 1.0], []],
        "phi": [[0.0, 3.0], []],
        "mass": [[5.0, 4.0], []],
        "charge": [[1, 0], []],
    }
    zipped = ak.zip({name: ak.Array(values) for name, values in columns.items()})
    return ak.with_name(zipped, "PtEtaPhiMCandidate", behavior=behavior)


class Boosted(candidate.PtEtaPhiMCandidateArray):
    """Jets of a user's own class."""


BEHAVIOURS = {
    "coffea's own": nanoaod.behavior,
    "a copy of it": dict(nanoaod.behavior),
    "one within it": candidate.behavior,
}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_library_s_behaviour_is_kept_by_its_name(name: str) -> None:
    """It is as small as the data, nothing in it runs code, and what is loaded is and does the same."""
    array = jets(BEHAVIOURS[name])
    encoded = encode(array)
    assert encoded.nbytes < 4000
    assert encoded.codecs == {"awkward": 2, "containers": 1}
    back = decode(b"".join(encoded.frames), data_only=True)
    assert type(back) is type(array)
    assert back.behavior == array.behavior
    assert (back.behavior is array.behavior) is (name != "a copy of it")
    assert identify(back).digest == identify(array).digest
    assert ak.almost_equal((back + back).energy, (array + array).energy)
    assert type(roundtrip(array[0, 0])[1]) is type(array[0, 0])


def test_what_a_user_added_to_a_library_s_behaviour_is_kept_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it was added in place, for a process that has not done so."""
    own = {("*", "PtEtaPhiMCandidate"): Boosted}
    beside = encode(jets({**candidate.behavior, **own}))
    with monkeypatch.context() as patch:
        patch.setitem(candidate.behavior, *next(iter(own.items())))
        within = encode(jets(candidate.behavior))
        assert decode(b"".join(within.frames)).behavior is candidate.behavior
    for encoded in (beside, within):
        assert encoded.nbytes < 4000
        back = decode(b"".join(encoded.frames))
        assert type(back) is Boosted
        assert back.behavior == {**candidate.behavior, **own}
    assert candidate.behavior["*", "PtEtaPhiMCandidate"] is not Boosted


def test_a_behaviour_is_looked_for_in_its_libraries_only() -> None:
    """An entry of a store can't have another module imported."""
    payload = b"".join(encode(jets(nanoaod.behavior)).frames)
    place = b"coffea.nanoevents.methods.nanoaod:behavior"
    with pytest.raises(ValueError, match="no behavior of coffea or vector"):
        decode(payload.replace(place, b"antigravity:behavior".ljust(len(place), b"x")))


def test_equal_offsets_are_kept_once() -> None:
    """The columns of jets have the same; numbers that are equal stay apart, as each can be changed in place."""
    jets = ak.unflatten(np.arange(9000.0), np.full(3000, 3))
    events = ak.Array({"pt": jets, "eta": jets * 2, "phi": jets * 2, "mass": ak.unflatten(np.arange(6000.0), 2)})
    encoded = encode(events)
    assert encoded.nbytes < 9000 * 8 * 3 + 6000 * 8 + 2 * 3001 * 8 + 4000
    back = decode(b"".join(encoded.frames))
    assert ak.array_equal(back, events)
    ak.to_numpy(ak.flatten(back.eta))[:] = 0
    assert ak.all(back.phi == events.phi)


@pytest.fixture
def four_vectors(monkeypatch: pytest.MonkeyPatch) -> ak.Array:
    """Jets in a process that has called `vector.register_awkward`."""
    monkeypatch.setattr(ak, "behavior", {**ak.behavior, **vector.backends.awkward.behavior})
    return ak.zip(
        {"pt": [[40.0], []], "eta": [[0.1], []], "phi": [[0.0], []], "mass": [[5.0], []]}, with_name="Momentum4D"
    )


def test_the_arrays_of_vector_take_no_pickle(four_vectors: ak.Array) -> None:
    """Their class is that which vector registers, alone and in a container, and so is that of one of them."""
    assert type(four_vectors).__module__.startswith("vector.")
    for value in (four_vectors, four_vectors[0, 0], {"jets": four_vectors}):
        encoded = encode(value)
        assert "pickle" not in encoded.codecs
        back = decode(b"".join(encoded.frames))
        assert type(back) is type(value)
    assert back["jets"].energy.to_list() == four_vectors.energy.to_list()


def test_loading_arrays_of_vector_registers_its_behaviour(four_vectors: ak.Array, tmp_path: Path) -> None:
    """A process that has not done so may be the first to load one."""
    path = tmp_path / "jets"
    path.write_bytes(b"".join(encode(four_vectors).frames))
    load = f"from cachingclient.storage import decode; back = decode(open({str(path)!r}, 'rb').read())"
    asked = f"{load}; print(type(back).__qualname__, back.energy[0, 0])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert done.stdout.split() == [type(four_vectors).__qualname__, str(four_vectors.energy[0, 0])], done.stderr


def test_arrays_of_vector_that_were_pickled_are_loaded(four_vectors: ak.Array) -> None:
    """As they were kept before they could be named."""
    writer = Writer()
    payload = b"".join(writer.payload(writer.encode_with(codec_named("pickle"), four_vectors)))
    back = decode(payload)
    assert type(back) is type(four_vectors)
    assert back.energy.to_list() == four_vectors.energy.to_list()


def test_behaviors_made_of_the_same_objects_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those that coffea makes for each chunk; anew where somebody added to the library's own since."""
    looks = 0
    look = _behavior._look

    def counted(behavior: Any) -> Any:
        nonlocal looks
        looks += 1
        return look(behavior)

    monkeypatch.setattr(_behavior, "_look", counted)
    _behavior._found.clear()
    copies = [dict(candidate.behavior) for _ in range(3)]
    payloads = [b"".join(encode(jets(each)).frames) for each in (*copies, candidate.behavior)]
    assert looks == 1
    assert decode(payloads[0]).behavior is not candidate.behavior
    assert decode(payloads[3]).behavior is candidate.behavior
    with monkeypatch.context() as patch:
        patch.setitem(candidate.behavior, "of tests", jets)
        payload = b"".join(encode(jets(copies[0])).frames)
        assert looks == 2
        assert decode(payload).behavior.keys() == copies[0].keys()
