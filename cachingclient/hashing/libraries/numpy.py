"""NumPy: arrays by shape, type and content; scalars, types, masked arrays and random generators.

Notes
-----
Memory order counts, but only as far as pickling keeps it: an array in Fortran order differs from the same
values in C order. A program can see it (``ravel("K")``), the last digits of a sum depend on it, and it lets
both be hashed without a copy. Other strides are those of a view; they are gone after a pickle and don't count.
Byte order counts too, though some pickles turn numbers into the machine's own order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from cachingclient.hashing.digest import digest, frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.libraries.strings import encode_files_among
from cachingclient.hashing.objects import encode_object
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_int, encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

Array = np.ndarray[Any, Any]

# numpy.ma and numpy.random are named by text below: NumPy itself loads them when they are first used.

_CHUNK_BYTES = 1 << 18
_LONG_DOUBLE_BYTES = 10 if np.finfo(np.longdouble).nmant == 63 else np.dtype(np.longdouble).itemsize
"""How many bytes of a long double hold its value: x86 pads its 80 bits with arbitrary bytes."""


@register_hasher(np.ndarray)
def encode_array(values: Array, walk: Walk) -> bytes:
    """Return the encoding of an array by its shape, data type, memory order and content."""
    order = b"F" if values.flags.f_contiguous and not values.flags.c_contiguous else b"C"
    laid_out = values.T if order == b"F" else values
    shape = frame(b"(", map(encode_int, values.shape))
    return frame(b"(", [order, shape, encode_dtype(values.dtype, walk), encode_content(laid_out, walk)])


@register_hasher(np.ndarray, subclasses=True)
def encode_array_subclass(values: Array, walk: Walk) -> bytes:
    """Return the encoding of an array of another class: as an array, and by the attributes added to it."""
    parts = [encode_array(np.asarray(values), walk)]
    state = getattr(values, "__dict__", None)
    if state:
        parts.append(walk.encode(state))
    if type(values).__reduce__ is not np.ndarray.__reduce__:
        # What it adds to an array's pickle may be what sets two of them apart.
        parts.append(encode_object(values, walk))
    return frame(b"(", parts)


@register_hasher(np.memmap)
def encode_memmap(values: Array, walk: Walk) -> bytes:
    """Return the encoding of a memory-mapped array, which is that of an array in memory."""
    return encode_array(np.asarray(values), walk)


@register_hasher("numpy.ma.MaskedArray", subclasses=True)
@register_hasher("numpy.ma.core.MaskedArray", subclasses=True)
def encode_masked(values: Any, walk: Walk) -> bytes:
    """Return the encoding of a masked array; the elements under the mask count, since a program can see them."""
    mask = np.ma.getmask(values)
    # A pickle makes a mask of False out of no mask at all.
    masked = [encode_array(np.asarray(mask), walk)] if np.any(mask.tolist() if mask.dtype.names else mask) else []
    # The default is set when first asked for: ask a view, not the user's array.
    fill = np.asarray(values.view().fill_value)
    data = encode_array(np.asarray(values.data), walk)
    parts = [data, encode_array(fill, walk), walk.encode(values.hardmask), *masked]
    optional = values._optinfo
    if optional:
        parts.append(walk.encode(optional))
    return frame(b"(", parts)


@register_hasher("numpy.ma.core.MaskedConstant")
def encode_masked_constant(constant: object, walk: Walk) -> bytes:
    """Return the encoding of ``np.ma.masked``."""
    return b"masked"


@register_hasher(np.generic, subclasses=True)
def encode_scalar(value: np.generic, walk: Walk) -> bytes:
    """Return the encoding of a NumPy scalar, which is not that of Python's number of the same value."""
    values = np.asarray(value)
    return frame(b"(", [encode_dtype(values.dtype, walk), encode_content(values, walk)])


@register_hasher(np.dtype, subclasses=True)
def encode_dtype_object(dtype: np.dtype[Any], walk: Walk) -> bytes:
    """Return the encoding of a data type."""
    return encode_dtype(dtype, walk)


@register_hasher(np.ufunc)
def encode_ufunc(function: np.ufunc, walk: Walk) -> bytes:
    """Return the encoding of a universal function: by name for those of libraries, by their function for others."""
    for name in ("numpy", "scipy.special", "numpy.linalg", "numpy.strings"):
        if getattr(sys.modules.get(name), function.__name__, None) is function:
            return walk.library(name, function.__name__)
    raise Unidentifiable(f"the universal function {function.__name__!r}, whose Python function can't be seen")


@register_hasher(np.vectorize)
def encode_vectorize(function: Any, walk: Walk) -> bytes:
    """Return the encoding of a vectorised function, without the compiled forms that it keeps."""
    settings = (function.pyfunc, function.otypes, function.signature, function.cache, function.excluded)
    return walk.encode(settings)


@register_hasher("numpy.random.bit_generator.BitGenerator", subclasses=True)
def encode_bit_generator(generator: Any, walk: Walk) -> bytes:
    """Return the encoding of a source of random bits by its state and the seeds it would spawn from."""
    walk.goes_on(generator)
    return frame(b"(", [walk.encode(generator.state), walk.encode(generator.seed_seq)])


@register_hasher("numpy.random._generator.Generator")
def encode_generator(generator: np.random.Generator, walk: Walk) -> bytes:
    """Return the encoding of a random generator by that of its source."""
    return walk.encode(generator.bit_generator)


@register_hasher("numpy.random.mtrand.RandomState")
def encode_random_state(generator: np.random.RandomState, walk: Walk) -> bytes:
    """Return the encoding of an old random generator by its state."""
    walk.goes_on(generator)
    return walk.encode(generator.get_state(legacy=False))


@register_hasher("numpy.random.bit_generator.SeedSequence")
def encode_seeds(seeds: np.random.SeedSequence, walk: Walk) -> bytes:
    """Return the encoding of a seed sequence by its entropy, spawn key, pool size and number of children."""
    walk.goes_on(seeds)
    return walk.encode((seeds.entropy, seeds.spawn_key, seeds.pool_size, seeds.n_children_spawned))


@register_hasher("numpy.lib._npyio_impl.NpzFile", subclasses=True)
@register_hasher("numpy.lib.npyio.NpzFile", subclasses=True)
def encode_npz(file: Any, walk: Walk) -> bytes:
    """Refuse an open archive of arrays."""
    raise Unidentifiable(f"an open archive {getattr(file.fid, 'name', None)!r}")


def encode_dtype(dtype: np.dtype[Any], walk: Walk) -> bytes:
    """Return the encoding of a data type: byte order, size, unit, and the fields of a structured one."""
    if dtype.kind == "T":
        missing = frame(b"(", [walk.encode(dtype.na_object)]) if hasattr(dtype, "na_object") else b"-"
        return frame(b"(", [b"StringDType", missing, walk.encode(dtype.coerce)])  # type: ignore[attr-defined]
    parts = [encode_str(dtype.str)]
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        parts += [encode_dtype(base, walk), walk.encode(shape)]
    if dtype.names is not None and dtype.fields is not None:
        parts += [encode_int(dtype.itemsize), walk.encode(dtype.isalignedstruct)]
        for name in dtype.names:
            kind, offset, *title = dtype.fields[name]
            field = [encode_str(name), encode_dtype(kind, walk), encode_int(offset), walk.encode(title)]
            parts.append(frame(b"(", field))
    if dtype.kind == "V" and dtype.type is not np.void:
        parts.append(walk.encode(dtype.type))
    if dtype.metadata:
        parts.append(walk.encode(dict(dtype.metadata)))
    return frame(b"(", parts)


def encode_content(values: Array, walk: Walk) -> bytes:
    """Return the digest of an array's elements in C order, read once and without a copy where they lie so."""
    dtype = values.dtype
    if dtype.hasobject or dtype.kind == "T":
        return _encode_objects(values, walk)
    if dtype.names is not None and _has_gaps(dtype):
        return frame(b"(", [encode_content(values[name], walk) for name in dtype.names])
    if dtype.kind == "U":
        return _encode_texts(values, walk)
    if dtype.char in "gG":
        values = _without_padding(values)
    if values.flags.c_contiguous:
        return digest(_as_bytes(values))
    state = xxhash.xxh3_128()
    for chunk in _chunks(values):
        state.update(_as_bytes(chunk))
    return state.digest()


def _as_bytes(values: Array) -> memoryview:
    """Return the memory of a contiguous array; types such as datetime64 don't offer it themselves."""
    if not values.size or not values.dtype.itemsize:
        return memoryview(b"")
    return values.reshape(-1).view(np.uint8).data


def _chunks(values: Array) -> Iterator[Array]:
    """Yield contiguous copies that together are the array, so that no copy of all of it is needed."""
    if values.nbytes <= _CHUNK_BYTES or values.ndim == 0:
        yield np.ascontiguousarray(values)
        return
    row_bytes = max(1, values.nbytes // len(values))
    if row_bytes > _CHUNK_BYTES:
        for row in values:
            yield from _chunks(row)
        return
    step = max(1, _CHUNK_BYTES // row_bytes)
    for start in range(0, len(values), step):
        yield np.ascontiguousarray(values[start : start + step])


def _without_padding(values: Array) -> Array:
    parts = 2 if values.dtype.char == "G" else 1
    raw = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return raw.reshape(values.size * parts, -1)[:, :_LONG_DOUBLE_BYTES]


def _has_gaps(dtype: np.dtype[Any]) -> bool:
    """Whether some bytes of an element may mean nothing."""
    if dtype.subdtype is not None:
        return _has_gaps(dtype.subdtype[0])
    if dtype.names is None or dtype.fields is None:
        return dtype.char in "gG" and _LONG_DOUBLE_BYTES < 16
    kinds = [dtype.fields[name][0] for name in dtype.names]
    return sum(kind.itemsize for kind in kinds) != dtype.itemsize or any(map(_has_gaps, kinds))


def _encode_objects(values: Array, walk: Walk) -> bytes:
    """Return the encoding of elements that are Python objects, alone or in a field, in C order."""
    if values.dtype.names is not None:
        return frame(b"(", [encode_content(values[name], walk) for name in values.dtype.names])
    return walk.encode(values.ravel(order="C").tolist())


def _encode_texts(values: Array, walk: Walk) -> bytes:
    """Return the encoding of text of a fixed width, and of the files that some of it may name."""
    state = xxhash.xxh3_128()
    may_be_files: set[str] = set()
    for chunk in _chunks(values):
        state.update(_as_bytes(chunk))
        if chunk.size and chunk.dtype.itemsize:
            native = chunk.astype(chunk.dtype.newbyteorder("="), copy=False)
            letters = native.reshape(-1).view(np.uint32)
            if ((letters == ord(".")) | (letters == ord("/"))).any():
                may_be_files.update(native.reshape(-1).tolist())
    return state.digest() + encode_files_among(sorted(may_be_files), walk)
