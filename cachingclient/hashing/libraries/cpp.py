"""C++ that a distributed RDataFrame runs: the names that an expression uses, and the code that workers are given."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

import ROOT
from ROOT._distrdf.Backends.Base import BaseBackend

from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.scalars import encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_LITERAL = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_NAME = re.compile(r"(?<![\w.])(?<!->)(?<!::)[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)*")
_DECLARED = re.compile(r"[\w>&*]\s+[&*]*([A-Za-z_]\w*)\s*(?=[=;:,(){}\[])")
_INCLUDED = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        alignas alignof and auto bool break case catch char class const const_cast constexpr continue decltype
        default delete do double dynamic_cast else enum explicit extern false float for if inline int long mutable
        namespace new noexcept not nullptr operator or private protected public reinterpret_cast return short signed
        sizeof static static_cast struct switch template this throw true try typedef typename unsigned using virtual
        void volatile while xor
        """,
    )
)
_NAMESPACES = frozenset({"std", "ROOT", "TMath", "VecOps", "Math", "RVec"})
"""Whose names ROOT's version or the standard library's stands for."""
_DRAWN = frozenset({"gRandom", "rand", "random", "drand48", "time", "clock"})
_TEXT = re.compile(r'"((?:\\.|[^"\\\n])*)"')
_OPENS = re.compile(r"(?<!\w)(TFile|TChain|TTree|RDataFrame|RReader|i?fstream|fopen|freopen|mmap|CorrectionSet)(?!\w)")
_ASKS = re.compile(
    r"(?<!\w)(gRandom|random_device|\w+_clock|(?:rand|random|drand48|time|clock|getenv|Getenv|popen)(?=\s*\())(?!\w)"
)
"""What gives other values in another process or at another time."""
_COMPILED = (".so", ".dylib", ".dll", ".pcm", ".root")
_SOURCES = (*_COMPILED[:-1], ".h", ".hh", ".hpp", ".hxx", ".icc", ".C", ".c", ".cc", ".cpp", ".cxx")


def names_in(expression: str) -> set[str]:
    """Return the names that an expression takes from outside, but those of ROOT, of C++ and of distributed code.

    Raises
    ------
    Unidentifiable
        If it draws random numbers from a generator that all tasks of a process share, or asks for the time.
    """
    text = _LITERAL.sub(" ", expression)
    own = set(_DECLARED.findall(text))
    found = {re.sub(r"\s", "", name) for name in _NAME.findall(text)} - own - _KEYWORDS
    if drawn := found & _DRAWN:
        raise Unidentifiable(f"an RDataFrame that uses {', '.join(sorted(drawn))}, which gives other values each time,")
    return {name for name in found if not _is_of_root(name) and not _is_distributed(name)}


@functools.cache
def _is_of_root(name: str) -> bool:
    first = name.partition("::")[0]
    if first in _NAMESPACES or hasattr(ROOT.VecOps, first) or hasattr(ROOT.std, first):
        return True
    described = ROOT.TClass.GetClass(first)
    # A class that was declared in this session has no library.
    return bool(described) and bool(described.GetSharedLibs())


def _is_distributed(name: str) -> bool:
    parts = name.split("::")
    if all(re.search(rf"\b{part}\b", text) for part in parts for text in [_all_texts()]):
        return True
    return any(parts[-1].encode() in Path(file).read_bytes() for file in BaseBackend.shared_libraries)


def _all_texts() -> str:
    texts = [*BaseBackend.strings_to_declare.values(), *texts_of(BaseBackend.initialization)]
    files = {*BaseBackend.headers, *_files_named_in(texts)}
    return "\n".join([*texts, *(Path(file).read_text(errors="replace") for file in _with_included(files))])


def distributed_code(walk: Walk) -> bytes:
    """Return the encoding of the files that distributed code includes, loads or reads; the code itself is an argument.

    They count by their content, whether or not a step is seen to open them: the interpreter of a worker remembers them.

    Raises
    ------
    Unidentifiable
        If it opens files and names none that is here, or uses what differs from process to process.
    """
    texts = [*BaseBackend.strings_to_declare.values(), *texts_of(BaseBackend.initialization)]
    # What is given by its path is an argument, too; what the files include, or a text names, is not.
    given = {str(Path(file).resolve()) for file in (*BaseBackend.headers, *BaseBackend.shared_libraries)}
    code = _with_included({*given, *_files_named_in(texts)})
    sources = [*texts, *(Path(file).read_text(errors="replace") for file in code if not file.endswith(_COMPILED))]
    read = {*map(str, BaseBackend.files), *(file for text in sources for file in files_read_by(text))}
    _check_code([_LITERAL.sub(" ", _INCLUDED.sub("", text)) for text in sources], {*code, *read})
    return frame(b"l", [encode_content(file, walk) for file in sorted({*code, *read})])


def _check_code(texts: list[str], files: set[str]) -> None:
    if asked := sorted({name for text in texts for name in _ASKS.findall(text)}):
        raise Unidentifiable(f"an RDataFrame whose C++ uses {', '.join(asked)}, which gives other values each time,")
    opening = sorted({name for text in texts for name in _OPENS.findall(text)})
    if opening and all(file.endswith(_SOURCES) for file in files):
        raise Unidentifiable(f"an RDataFrame whose C++ uses {', '.join(opening)} on files that no text of it names")


def files_read_by(text: str) -> set[str]:
    """Return the files whose paths stand in the literals of C++."""
    return {str(Path(each).resolve()) for each in _TEXT.findall(_INCLUDED.sub("", text)) if _is_file(each)}


def encode_content(file: str, walk: Walk) -> bytes:
    """Return the encoding of a file by its name and content.

    Raises
    ------
    Unidentifiable
        If it is not there.
    """
    found = walk.inputs.of_content(file)
    if found is None:
        raise Unidentifiable(f"an RDataFrame that is to have {file}, where there is no file")
    walk.file(replace(found, in_key=True))
    return frame(b"(", [encode_str(Path(file).name), found.identity])


def _is_file(text: str) -> bool:
    try:
        return 0 < len(text) < 4096 and Path(text).is_file()
    except (OSError, ValueError):
        return False


def texts_of(function: Any) -> Iterator[str]:
    """Yield the texts and names in a Python function and its bound arguments: C++ to declare, files to load."""
    for value in (*getattr(function, "args", ()), *getattr(function, "keywords", {}).values()):
        if isinstance(value, str):
            yield value
    code = getattr(getattr(function, "func", function), "__code__", None)
    waiting = [code] if code is not None else []
    while waiting:
        part = waiting.pop()
        yield from part.co_names
        for constant in part.co_consts:
            if isinstance(constant, str):
                yield constant
            elif isinstance(constant, CodeType):
                waiting.append(constant)


def _files_named_in(texts: list[str]) -> set[str]:
    """Return the files that texts include, or that a whole text is the path of: a macro, a library."""
    files = {each for text in texts for each in _included(text, Path.cwd())}
    for text in texts:
        path = re.sub(r"^\s*\.[LxX]\s+|\++\w*\s*$", "", text)  # as the interpreter's command has it
        if _is_file(path):
            files.add(str(Path(path).resolve()))
    return files


def _with_included(files: Any) -> set[str]:
    found: set[str] = set()
    waiting = [str(Path(file).resolve()) for file in files]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            if not file.endswith(_COMPILED):
                waiting += _included(Path(file).read_text(errors="replace"), Path(file).parent)
    return found


def _included(text: str, folder: Path) -> list[str]:
    """Return the files that a text includes and that are neither ROOT's nor the system's."""
    names = _INCLUDED.findall(text)
    return [str(found.resolve()) for name in names for found in [_find_header(name, folder)] if found is not None]


def _find_header(name: str, folder: Path) -> Path | None:
    places = [folder, Path.cwd(), *map(Path, re.findall(r'-I"?([^"\s]+)', str(ROOT.gInterpreter.GetIncludePath())))]
    own = Path(str(ROOT.gROOT.GetIncludeDir())).resolve(), Path(str(ROOT.gROOT.GetEtcDir())).resolve()
    for place in places:
        found = place / name
        if found.is_file():
            return None if any(found.resolve().is_relative_to(each) for each in own) else found
    return None
