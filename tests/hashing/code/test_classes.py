"""What is set on parts of a class beside what they are: it counts, since a program can read it."""

from __future__ import annotations

import types
from typing import Any

import pytest

from cachingclient.hashing.identify import identify

_FIELDS = (
    "import dataclasses\n@dataclasses.dataclass\nclass C:\n    pt: float = dataclasses.field(default=3, metadata={})\n"
)
_ENUM = "import enum\nclass E(enum.Enum):\n    A = 'a'\nE.A.label = {}\ndef f(): return E.A.label"
_MODEL = "from typing import Annotated\nfrom pydantic import BaseModel, Field, AfterValidator, dataclasses\n"

SOURCES = {
    "metadata of a dataclass field": _FIELDS.replace("{}", "{{'unit': {}}}") + "def f(): return dataclasses.fields(C)",
    "attribute of a member": _ENUM,
    "attribute of a static method": "class C:\n    @staticmethod\n    def m(): pass\n    m.t = {}\ndef f(): return C.m",
    "bound of a model": _MODEL + "class C(BaseModel):\n    pt: float = Field(3, ge={})\ndef f(x): return C(pt=x)",
    "annotated bound": _MODEL + "class C(BaseModel):\n    pt: Annotated[float, Field(ge={})]\ndef f(x): return C(pt=x)",
    "annotated validator": _MODEL
    + "class C(BaseModel):\n    pt: Annotated[float, AfterValidator(lambda pt: pt + {})]\ndef f(x): return C(pt=x)",
    "bound of a pydantic dataclass": _MODEL
    + "@dataclasses.dataclass\nclass C:\n    pt: float = Field(3, ge={})\ndef f(x): return C(pt=x)",
}


def made(source: str) -> Any:
    """Return the function ``f`` of a source."""
    module = types.ModuleType("made")
    exec(compile(source, "<made>", "exec", dont_inherit=True), module.__dict__)
    return module.f


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_set_beside_counts(kind: str) -> None:
    """Another value is another identity; the same made again is none."""
    if "pydantic" in SOURCES[kind]:
        pytest.importorskip("pydantic")
    first, again, other = (identify(made(SOURCES[kind].format(value))).digest for value in (1, 1, 2))
    assert first == again != other


def test_a_static_method_without_more_is_as_it_was() -> None:
    """What a static method has of its function counts once, with the function."""
    source = "class C:\n    @staticmethod\n    def m():\n        {}\n        return 1\ndef f(): return C.m()"
    assert identify(made(source.format("'one'"))).digest == identify(made(source.format("'two'"))).digest
