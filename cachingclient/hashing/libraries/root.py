"""ROOT: distributed RDataFrames by what their graphs compute, C++ objects by what they hold.

A mapper of a distributed RDataFrame gets a range of files or entries and a graph of operations. The identifiers that
each execution draws do not count: a graph is its operations and how they follow each other. What the expressions call
must be known, too: `cpp` looks for it in the code that is distributed to the workers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy
import ROOT

from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.libraries.cpp import distributed_code, encode_content, files_read_by, names_in
from cachingclient.hashing.objects import encode_input
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_int, encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

EXPRESSIONS = {"Define", "Redefine", "Filter", "Vary", "DefinePerSample", "DefaultValueFor"}
"""Operations whose texts are C++, the others' are names."""
OWN_COLUMNS = {"rdfentry_", "rdfslot_", "rdfsampleinfo_"}


@register_hasher("ROOT._distrdf.Ranges.DataRange", subclasses=True)
def encode_range(part: Any, walk: Walk) -> bytes:
    """Return the encoding of a range by its entries, or by its files, trees and shares of them.

    Its number names only the file of a snapshot, and a graph with one has no identity.
    """
    version = encode_str(str(ROOT.__version__))
    if not hasattr(part, "filenames"):
        return frame(b"(", [version, encode_int(part.start), encode_int(part.end)])
    friends = part.friendinfo
    # With friends every file is opened, to find where the entries of each begin.
    first, last = (0, None) if friends is not None else (part.first_file_idx, part.last_file_idx)
    files = [str(name) for name in part.filenames][first:last]
    numbers = (part.first_file_idx - first, part.last_file_idx - first, part.first_tree_start_perc)
    # Of samples only those with a file of this range are looked at.
    samples = part.samples[first:last] if part.samples is not None else None
    return frame(
        b"(",
        [
            version,
            encode_str("RNTuple" if part.exec_id.rdf_uuid == "RNTuple" else "TTree"),
            walk.encode((*numbers, part.last_tree_end_perc)),
            *(encode_str(str(name)) for name in part.treenames[first:last]),
            *(_encode_file(name, walk) for name in files),
            _encode_friends(friends, walk),
            walk.encode(samples),
        ],
    )


def _encode_file(name: str, walk: Walk) -> bytes:
    found = walk.inputs.of(name) if "://" in name else walk.inputs.of_path(name)
    return encode_input(name, found, walk)


def _encode_friends(friends: Any, walk: Walk) -> bytes:
    if friends is None:
        return b"N"
    if any(bool(index) for indices in getattr(friends, "fTreeIndexInfos", ()) for index in (indices,)):
        raise Unidentifiable("friend trees with an index")
    names = [[str(part) for part in pair] for pair in ((each.first, each.second) for each in friends.fFriendNames)]
    trees = [[str(name) for name in each] for each in friends.fFriendChainSubNames]
    files = [_encode_file(str(name), walk) for each in friends.fFriendFileNames for name in each]
    counts = [len(each) for each in friends.fFriendFileNames]
    return frame(b"(", [walk.encode([names, trees, counts]), *files])


@register_hasher("ROOT._distrdf.Ranges.SerializableRSample")
def encode_sample(sample: Any, walk: Walk) -> bytes:
    """Return the encoding of a sample of a specification: its name, trees, files and metadata."""
    state = sample.__getstate__()
    texts = [[str(name) for name in state[kind]] for kind in ("treenames", "filenames")]
    return frame(
        b"(", [encode_str(str(state["samplenames"])), *map(_encode_names, texts), encode_str(str(state["metadata"]))]
    )


def _encode_names(names: Iterable[str]) -> bytes:
    """Return the encoding of texts that name no files for us: those that are read stand in the range."""
    return frame(b"l", map(encode_str, names))


@register_hasher("ROOT._distrdf.Node.Node", subclasses=True)
def encode_node(node: Any, walk: Walk) -> bytes:
    """Return the encoding of an operation and of what it follows; with the first, of the code that is distributed."""
    operation = node.operation
    if operation is None:
        if not hasattr(node, "get_head"):
            raise Unidentifiable("a graph that arrived on a worker, which does not know the code that goes with it")
        return distributed_code(walk)
    if operation.name == "Snapshot":
        raise Unidentifiable("an RDataFrame with a Snapshot, which writes a file on the worker,")
    files: list[bytes] = []
    if operation.name in EXPRESSIONS:
        expressions = [each for each in _texts(operation.args) if not each.isidentifier()]
        _check_names(node, expressions)
        files = [encode_content(file, walk) for each in expressions for file in sorted(files_read_by(each))]
    options = {name: value for name, value in operation.kwargs.items() if name != "lazy"}  # which ROOT adds as it runs
    arguments = [_encode_argument(each, walk) for each in operation.args]
    named = [part for name in options for part in (encode_str(name), _encode_argument(options[name], walk))]
    parent = encode_int(node.parent_id if node.parent_id is not None else -1)
    return frame(b"(", [encode_str(operation.name), parent, frame(b"l", arguments), frame(b"{", named), *files])


def _encode_argument(value: Any, walk: Walk) -> bytes:
    """Return the encoding of an argument; a text is C++ or the name of a column, even if a file is called the same."""
    if type(value) is str:
        return encode_str(value)
    if type(value) in (list, tuple):
        return frame(b"l" if type(value) is list else b"(", [_encode_argument(each, walk) for each in value])
    return walk.encode(value)


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _texts(value)


def _check_names(node: Any, expressions: list[str]) -> None:
    """Refuse expressions with names that are neither columns, nor ROOT's, nor in the code that is distributed."""
    unknown = {name for text in expressions for name in names_in(text)} - OWN_COLUMNS
    if unknown:
        parent = node.parent
        columns = parent.rdf_node.GetColumnNames() if parent is not None and parent.rdf_node is not None else ()
        unknown -= {part for column in columns for part in re.split(r"\W+", str(column))}
    if unknown:
        names = ", ".join(sorted(unknown))
        raise Unidentifiable(
            f"an RDataFrame that uses {names}, declared where this client can't see it: "
            f"give the code to ROOT.RDF.Distributed.DistributeCppCode or DistributeHeaders"
        )


@register_hasher("ROOT._pythonization._rdf_utils.ndarray")
def encode_taken(array: Any, walk: Walk) -> bytes:
    """Return the encoding of the values of a column; the promise of the event loop that it holds on to is spent."""
    return walk.encode(array.view(numpy.ndarray))


@register_hasher(type(ROOT.TObject).__mro__[-3], subclasses=True)
def encode_class(cls: Any, walk: Walk) -> bytes:
    """Return the encoding of a C++ class by its name; whose library it is from is ROOT's business."""
    walk.library("ROOT", "")
    return encode_str(str(getattr(cls, "__cpp_name__", cls.__name__)))


@register_hasher(ROOT.TObject.__mro__[-2], subclasses=True)
def encode_cpp(obj: Any, walk: Walk) -> bytes:
    """Return the encoding of a C++ object: a container by its items, a plain struct by its members, others as written.

    ROOT writes an object into a buffer as it would into a file, by its members and without addresses.
    """
    name = str(type(obj).__cpp_name__)
    if name in ("std::string", "TString") or name.startswith("std::basic_string"):
        return encode_str(str(obj))
    if name.startswith(("std::vector<", "std::array<", "std::pair<", "ROOT::VecOps::RVec<")):
        items = (obj.first, obj.second) if name.startswith("std::pair<") else tuple(obj)
        return frame(b"l", [_encode_argument(each, walk) for each in items])
    described = ROOT.TClass.GetClass(name)
    if not described or not described.HasDictionary():
        raise Unidentifiable(f"a C++ object of type {name}, which ROOT can't write")
    if described.InheritsFrom("TObject") or name.startswith("ROOT::Detail::RDF::RMergeable"):
        _, (written, _) = obj.__reduce__()
        return frame(b"(", [bytes(written)])
    members = list(described.GetListOfDataMembers())
    if any(not member.Property() & ROOT.kIsPublic for member in members) or len(described.GetListOfBases()):
        raise Unidentifiable(f"a C++ object of type {name}, whose members can't be seen")
    return frame(b"{", [encode_str(m.GetName()) + _encode_argument(getattr(obj, m.GetName()), walk) for m in members])
