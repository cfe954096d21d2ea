"""Type hints that are texts stand for what they name, since who builds objects by hints looks it up."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cachingclient.hashing.identify import identify

JET = "@dataclasses.dataclass\nclass Jet:\n    pt: float = {pt}\n"
HEAD = "from __future__ import annotations\nimport dataclasses, typing\n"
BUILD = "def f(given):\n    return typing.get_type_hints(Event)['jet'](**given)\n"
MODEL = "import pydantic, pydantic.dataclasses\n"
ALIKE = "def f(given):\n    return Event(jet=given)\n"

PROGRAMS = {
    "dataclass": HEAD + "@dataclasses.dataclass\nclass Event:\n    jet: Jet\n" + JET + BUILD,
    "named tuple": HEAD + "class Event(typing.NamedTuple):\n    jet: Jet\n" + JET + BUILD,
    "typed dict": HEAD + "class Event(typing.TypedDict):\n    jet: typing.NotRequired[Jet]\n" + JET + BUILD,
    "in quotes": HEAD.replace("from __future__ import annotations\n", "")
    + "@dataclasses.dataclass\nclass Event:\n    jet: list['Jet']\n"
    + JET
    + "def f(given):\n    return typing.get_type_hints(Event)['jet'].__args__[0](**given)\n",
    "quotes within": HEAD + "@dataclasses.dataclass\nclass Event:\n    jet: list['Jet']\n" + JET + BUILD,
    "of a base": HEAD + "class Base:\n    jet: Jet\nclass Event(Base): pass\n" + JET + BUILD,
    "of a function": HEAD + "def read(jet: Jet): return jet\n" + JET + BUILD.replace("Event", "read"),
    "through a module": HEAD + "import jets\n@dataclasses.dataclass\nclass Event:\n    jet: jets.Jet\n" + BUILD,
    "model": HEAD + MODEL + "class Event(pydantic.BaseModel):\n    jet: Jet\n" + JET + ALIKE,
    "model in a model": HEAD
    + MODEL
    + "class Run(pydantic.BaseModel):\n    event: Event\nclass Event(pydantic.BaseModel):\n    jet: Jet\n"
    + JET
    + "def f(given):\n    return Run(event={'jet': given})\n",
    "validated dataclass": HEAD + MODEL + "@pydantic.dataclasses.dataclass\nclass Event:\n    jet: Jet\n" + JET + ALIKE,
    "bound of a validated value": HEAD
    + MODEL
    + "class Event(pydantic.BaseModel):\n    jet: typing.Annotated[float, pydantic.Field(gt=LOWEST)] = 3\n"
    + "LOWEST = {pt}\ndef f(given):\n    return Event(jet=500)\n",
}


def made(name: str, pt: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a program's module, imported anew."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (folder / "program.py").write_text(PROGRAMS[name].replace("{pt}", str(pt)))
    (folder / "jets.py").write_text(HEAD + JET.replace("{pt}", str(pt)))
    for module in ("program", "jets"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    importlib.invalidate_caches()
    return importlib.import_module("program")


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_the_text_of_a_hint_names_counts(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another default of the class that is named is another identity, and the class at work is the same."""
    if "pydantic" in PROGRAMS[name]:
        pytest.importorskip("pydantic")
    module = made(name, 30, tmp_path, monkeypatch)
    first = identify(module.f).digest
    module.f({})
    assert identify(module.f).digest == first
    assert identify(made(name, 30, tmp_path, monkeypatch).f).digest == first
    assert identify(made(name, 40, tmp_path, monkeypatch).f).digest != first


def test_of_a_hint_that_nobody_can_look_up_its_text_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is imported for type checkers alone, and what is no expression, is nothing but a text."""
    text = HEAD + "@dataclasses.dataclass\nclass Event:\n    jet: {}\ndef f(): return Event(1)\n"
    monkeypatch.setitem(PROGRAMS, "absent", text.replace("{}", "Absent"))
    monkeypatch.setitem(PROGRAMS, "no hint", text.replace("{}", "'see ?'"))
    absent = identify(made("absent", 0, tmp_path, monkeypatch).f).digest
    assert identify(made("absent", 1, tmp_path, monkeypatch).f).digest == absent
    assert identify(made("no hint", 0, tmp_path, monkeypatch).f).digest != absent


@pytest.mark.parametrize(("build", "counts"), [(BUILD, True), ("def f(given):\n    return Event(1)\n", False)])
def test_of_a_script_what_hints_name_counts_where_they_are_asked_for(build: str, counts: bool, tmp_path: Path) -> None:
    """Workers may not have read the script: else all steps with its classes would be other ones there."""
    text = PROGRAMS["dataclass"].replace(BUILD, build)
    shown = "if __name__ == '__main__':\n    from cachingclient.hashing.identify import identify\n"
    digests = []
    for pt in ("30", "30", "40"):
        (tmp_path / "script.py").write_text(text.replace("{pt}", pt) + shown + "    print(identify(f).digest)\n")
        told = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
        digests.append(told.stdout)
    assert digests[0] == digests[1]
    assert (digests[1] != digests[2]) == counts


@pytest.mark.parametrize("default", ["default=2", "default_factory=lambda: 2"])
def test_making_a_model_is_no_change_of_its_private_attributes(default: str) -> None:
    """Pydantic notes of a default how it is to be called when a model is first made; the default counts."""
    pydantic = pytest.importorskip("pydantic")

    def of(default: str) -> type:
        made = {"pydantic": pydantic, "__name__": "made"}
        exec(f"class Event(pydantic.BaseModel):\n    _jet: int = pydantic.PrivateAttr({default})", made)
        return made["Event"]  # type: ignore[return-value]

    event = of(default)
    before = identify(event).digest
    event()
    assert identify(event).digest == before == identify(of(default)).digest
    assert identify(of(default.replace("2", "3"))).digest != before
