"""Other libraries' values: equal when made again or copied, told apart when they differ."""

from __future__ import annotations

import contextvars
import ctypes
import json
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array
import fsspec
import numpy as np
import pytest
import toolz

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.libraries.fsspec import without_secrets
from tests.support.copies import COPIES, digest


def check(*makers: Callable[[], Any], ways: tuple[str, ...] = tuple(COPIES)) -> None:
    """Assert that values differ from one another, and each equals itself made again and its copies."""
    digests = [digest(make()) for make in makers]
    assert len(set(digests)) == len(digests)
    assert [digest(make()) for make in makers] == digests
    for way in ways:
        assert [digest(COPIES[way](make())) for make in makers] == digests, way


def test_formats_of_bytes() -> None:
    """Their text counts; a copy of one can't be had."""
    check(*(lambda text=text: struct.Struct(text) for text in ("<I", "<i", ">I", "<II", "I")), ways=())
    check(*(lambda text=text: struct.Struct(text).unpack for text in ("<I", "<i")), ways=())


def test_structures_of_c() -> None:
    """Their values count, and the fields that their class has."""

    def structure(kind: type, name: str = "x", **more: int) -> Any:
        fields = [(name, kind), *((other, ctypes.c_int, bits) for other, bits in more.items())]
        return type("Header", (ctypes.Structure,), {"_fields_": fields})(3)

    check(
        lambda: structure(ctypes.c_int),
        lambda: structure(ctypes.c_uint),
        lambda: structure(ctypes.c_short),
        lambda: structure(ctypes.c_int, "y"),
        lambda: structure(ctypes.c_int, flag=1),
        lambda: structure(ctypes.c_int, flag=2),
        ways=(),
    )


def test_libraries_in_c_are_refused_by_name() -> None:
    """Whether a function of theirs was called before or not."""
    library = ctypes.CDLL(None)
    for value in (library, library.abs, library):
        with pytest.raises(
            Unidentifiable, match=r"the C (library of the process itself|function 'abs'), (loaded|taken)"
        ):
            identify(value)


def test_context_variables() -> None:
    """The name counts, the value that it has here, and the one that other threads see."""
    one, other, none = (contextvars.ContextVar("cut", **words) for words in ({"default": 3}, {"default": 4}, {}))
    context = contextvars.Context()
    context.run(one.set, 4)
    digests = [digest(one), digest(other), digest(none), context.run(digest, one), context.run(digest, other)]
    assert digests[1] == digests[4]
    assert len(set(digests)) == 4
    assert digest(contextvars.ContextVar("cut", default=3)) == digests[0]
    assert digest(contextvars.ContextVar("bin", default=3)) != digests[0]


def test_sparse_arrays_of_scipy() -> None:
    """Format, shape and stored elements count."""
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.diag([1.0, 2.0])
    check(
        *(lambda kind=kind: kind(dense) for kind in (sparse.csr_array, sparse.csc_array, sparse.coo_array)),
        *(lambda kind=kind: kind(dense) for kind in (sparse.lil_array, sparse.dok_array, sparse.dia_array)),
        lambda: sparse.csr_matrix(dense),
        lambda: sparse.csr_array(dense * 2),
        lambda: sparse.csr_array(np.diag([1.0, 2.0, 0.0])),
    )


def test_what_a_sparse_array_found_out_about_itself_does_not_count() -> None:
    """Asking whether the indices are sorted leaves the identity alone."""
    sparse = pytest.importorskip("scipy.sparse")
    values = sparse.csr_array(np.diag([1.0, 2.0]))
    before = digest(values)
    assert values.has_canonical_format
    assert digest(values) == before


def test_sparse_arrays_of_pydata() -> None:
    """The arrays of the sparse library count by their elements."""
    sparse = pytest.importorskip("sparse")
    check(lambda: sparse.COO(np.eye(2)), lambda: sparse.COO(np.eye(3)), lambda: sparse.GCXS(np.eye(2)))


def test_boosters() -> None:
    """A booster is its trees, and predicting changes nothing."""
    xgboost = pytest.importorskip("xgboost")
    values = np.random.default_rng(0).random((40, 2))
    data = xgboost.DMatrix(values, values[:, 0] > 0.5)

    def make(rounds: int) -> Any:
        return xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, rounds)

    check(lambda: make(1), lambda: make(2))
    booster = make(1)
    before = digest(booster)
    booster.predict(data)
    assert digest(booster) == before


def test_corrections() -> None:
    """A correction counts by its set and its name."""
    correctionlib = pytest.importorskip("correctionlib")

    def make(value: float) -> Any:
        bins = {"nodetype": "binning", "input": "x", "edges": [0.0, 1.0, 2.0], "content": [1.0, value], "flow": "clamp"}
        axis, weight = {"name": "x", "type": "real"}, {"name": "w", "type": "real"}
        corrections = [{"name": name, "version": 1, "inputs": [axis], "output": weight, "data": bins} for name in "ab"]
        return correctionlib.CorrectionSet.from_string(json.dumps({"schema_version": 2, "corrections": corrections}))

    check(lambda: make(2.0), lambda: make(3.0), lambda: make(2.0)["a"], lambda: make(2.0)["b"])


def test_functions_of_numba() -> None:
    """A jitted function is its Python and its options; what it was called with does not count."""
    numba = pytest.importorskip("numba")

    def make(number: int, **options: Any) -> Any:
        return numba.njit(**options)(lambda x: x + number)

    check(lambda: make(1), lambda: make(2), lambda: make(1, fastmath=True), ways=())
    function = make(1)
    before = digest(function)
    function(1)
    function(1.5)
    assert digest(function) == before
    check(lambda: numba.vectorize(lambda x: x + 1), lambda: numba.vectorize(lambda x: x + 2), ways=())


def test_containers_and_types_of_numba() -> None:
    """Typed containers count by type and content."""
    numba = pytest.importorskip("numba")

    def make(value: float) -> Any:
        mapping = numba.typed.Dict.empty(numba.types.int64, numba.types.float64)
        mapping[1] = value
        return mapping

    check(lambda: make(1.0), lambda: make(2.0), lambda: numba.types.float64, lambda: numba.types.float32, ways=())
    check(lambda: numba.typed.List([1, 2]), lambda: numba.typed.List([1, 3]), ways=())


def test_what_is_in_root_files(tmp_path: Path) -> None:
    """Trees and branches count by file and name, histograms by content wherever they lie."""
    uproot = pytest.importorskip("uproot")
    for name in ("a.root", "b.root"):
        with uproot.recreate(tmp_path / name) as file:
            file["h"] = np.histogram([1.0, 2.0, 2.5])
            file["g"] = np.histogram([1.0, 1.1, 2.5])
            file.mktree("T", {"x": "f8", "y": "f8"}).extend({"x": np.arange(3.0), "y": np.arange(3.0)})
    first, again, other = (uproot.open(tmp_path / name) for name in ("a.root", "a.root", "b.root"))
    parts = [first, first["T"], first["T"]["x"], first["T"]["y"], first["h"], first["g"], first.file]
    assert len({digest(part) for part in parts}) == len(parts)
    assert digest(first["T"]["x"]) == digest(again["T"]["x"]) != digest(other["T"]["x"])
    assert digest(first["h"]) == digest(other["h"])
    assert [Path(seen.url).name for seen in identify(first["T"]).inputs] == ["a.root"]


def test_models_of_pydantic() -> None:
    """A model counts by its fields, validators and methods."""
    pydantic = pytest.importorskip("pydantic")

    def make(default: int, limit: int = 0) -> Any:
        class Settings(pydantic.BaseModel):
            threshold: int = default
            name: str = "x"

            @pydantic.field_validator("threshold")
            @classmethod
            def above(cls, value: int) -> int:
                """Refuse small values."""
                assert value > limit
                return value

        return Settings

    check(lambda: make(1), lambda: make(2), lambda: make(1, -1), ways=())
    check(lambda: make(1)(name="y"), lambda: make(1)(name="z"), lambda: make(1)(threshold=5), ways=("deepcopy",))


def test_classes_of_attrs() -> None:
    """A class made by attrs and its instances count by their fields."""
    attrs = pytest.importorskip("attrs")

    def make(default: int, frozen: bool = False) -> Any:
        @attrs.define(frozen=frozen)
        class Settings:
            threshold: int = default
            names: list[str] = attrs.field(factory=list)

        return Settings

    check(lambda: make(1), lambda: make(2), lambda: make(1, frozen=True), ways=())
    check(lambda: make(1)(5), lambda: make(1)(6), lambda: make(1)(5, ["a"]), ways=("deepcopy",))


def test_compositions_of_toolz() -> None:
    """Curried, composed and juxtaposed functions count by their parts."""
    check(
        lambda: toolz.curry(max, 1),
        lambda: toolz.curry(max, 2),
        lambda: toolz.compose(abs, int),
        lambda: toolz.compose(int, abs),
        lambda: toolz.juxt(int, abs),
        lambda: toolz.complement(bool),
    )


def test_file_systems_count_without_their_secrets() -> None:
    """Who reads does not change what is read; where it is read from does."""
    s3 = pytest.importorskip("s3fs").S3FileSystem

    def make(secret: str, url: str) -> Any:
        return s3(key=secret, secret=secret, client_kwargs={"endpoint_url": url}, skip_instance_cache=True)

    assert digest(make("a", "http://x.example")) == digest(make("b", "http://x.example"))
    assert digest(make("a", "http://x.example")) != digest(make("a", "http://y.example"))
    check(lambda: fsspec.filesystem("file"), lambda: fsspec.filesystem("memory"))


def test_secrets_are_found_by_their_names() -> None:
    """Keys, tokens and passwords stay out at every depth."""
    options = {
        "key": 1,
        "secret": 1,
        "token": 1,
        "password": 1,
        "anon": True,
        "nested": {"aws_session_token": 1, "region": "x"},
    }
    assert without_secrets(options) == {"anon": True, "nested": {"region": "x"}}


def test_a_file_opened_later_is_an_input(tmp_path: Path) -> None:
    """An fsspec file counts by what lies there; a mapping by its folder."""
    path = tmp_path / "a.txt"
    path.write_text("1")
    later, folder = fsspec.open(str(path)), fsspec.get_mapper(str(tmp_path))
    before = identify(later).inputs, identify(folder).inputs
    assert [[seen.url for seen in inputs] for inputs in before] == [[str(path)], [str(tmp_path)]]
    path.write_text("22")
    assert identify(later).inputs != before[0]
    assert identify(folder).inputs != before[1]


def test_a_file_that_cannot_be_looked_at_is_refused() -> None:
    """What lies in another process's memory has no identity."""
    with pytest.raises(Unidentifiable, match="memory:"):
        identify(fsspec.open("memory://a/b"))


def test_collections_of_dask_count_by_their_graph() -> None:
    """A collection inside a value has the identity of its steps, whatever its keys are called."""
    assert digest(dask.delayed(abs)(-1)) == digest(dask.delayed(abs)(-1)) != digest(dask.delayed(abs)(-2))
    assert digest(dask.array.ones(3)) != digest(dask.array.zeros(3))


def test_a_collection_with_an_uncacheable_step_has_no_identity() -> None:
    """What can't be identified inside the graph is named."""
    with pytest.raises(Unidentifiable, match="uncacheable step"):
        identify(dask.delayed(id)(threading.Lock()))


def test_futures_count_by_their_steps() -> None:
    """A future has the identity of its step if the client knows that, and clients have none."""
    from distributed import Client

    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
        future = client.submit(int, 1)
        with pytest.raises(Unidentifiable, match="a future of an unknown step, 'int-"):
            identify(future)
        client.step_key_of = {future.key: b"1" * 16}.get  # type: ignore[attr-defined]
        assert digest(future) == digest(client.submit(int, 1))
        with pytest.raises(Unidentifiable, match="a dask client"):
            identify(client)
