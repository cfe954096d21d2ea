"""Descriptions of jobs: what is written is what was meant, whatever the values hold."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachingclient.dirac import Job
from cachingclient.dirac.api.jdl import WORD, render
from cachingclient.dirac.api.sandbox import unpack

NASTY = st.text(alphabet=st.sampled_from("abZ0 \"';[]{}=,%sjn\\\n\r\t\0$`(){}#/.:@|*?+~-ü"), max_size=20) | st.text()
FIELDS = ["name", "group", "platform", "owner_group"]
LISTS = ["sites", "banned_sites", "tags", "outputs"]


def attributes(text: str) -> dict[str, str]:
    """The attributes of a description, read as DIRAC does: up to the next semicolon, whatever quotes say."""
    assert text.startswith("[")
    assert text.endswith("]")
    parts = [part.partition("=") for part in text[1:-1].split(";") if part.strip()]
    assert len({name.strip() for name, _, _ in parts}) == len(parts)
    return {name.strip(): value.strip() for name, _, value in parts}


@settings(max_examples=1000)
@given(fields=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, NASTY)), lists=st.data())
def test_values_become_nothing_else(fields: dict[str, str], lists: st.DataObject) -> None:
    """Every value is written as it is, in its own attribute, or refused with its name: 1,000 sets of values."""
    several = lists.draw(st.fixed_dictionaries({}, optional={name: st.lists(NASTY, max_size=3) for name in LISTS}))
    given_values: dict[str, Any] = {**fields, **several}
    text = refusal = ""
    try:
        text = Job(executable="true", **given_values).describe("SB:S|/a")
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert re.match(r"(name|group|platform|owner_group|sites|banned_sites|tags|outputs)\b", refusal)
        return
    found = attributes(text)
    names = {"name": "JobName", "group": "JobGroup", "platform": "Platform", "owner_group": "OwnerGroup"}
    names |= {"sites": "Site", "banned_sites": "BannedSites", "tags": "Tags", "outputs": "OutputSandbox"}
    for name, value in given_values.items():
        written = found.pop(names[name], "")
        words = re.findall(r'"([^"]*)"', written)
        assert words == ([value] if isinstance(value, str) and value else list(value))
    assert found.pop("Executable") == '"start.sh"'
    assert set(found) <= {"JobName", "InputSandbox", "StdOutput", "StdError", "OutputSandbox", "NumberOfProcessors"}


@pytest.mark.parametrize("character", ['"', ";", "\n", "[", "]", "{", "}", "%", "\\", ",", "=", " ", "\0", "'", "ü"])
@pytest.mark.parametrize("field", ["name", "sites", "tags", "group"])
def test_what_means_something_to_jdl_is_refused(field: str, character: str) -> None:
    """Naming the field, and what it got."""
    value = f"a{character}b"
    with pytest.raises(ValueError, match=rf"{field} is .*; it takes letters, digits"):
        Job(executable="true", **{field: [value] if field in ("sites", "tags") else value})


@settings(max_examples=60)
@given(words=st.lists(NASTY.filter(lambda word: ("\0" not in word and word.isprintable()) or "\n" in word), max_size=5))
def test_arguments_of_any_kind_arrive(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The start script, run by a real shell, gives the program what was asked for, and the job's own word last."""
    words = [word.encode("utf-8", "replace").decode().replace("\0", "") for word in words]
    folder = tmp_path_factory.mktemp("job")
    for name, content in Job(executable="printf", arguments=["<%s>", *words]).sandbox.items():
        (folder / name).write_bytes(content)
    done = subprocess.run(["sh", "./start.sh", "own"], cwd=folder, capture_output=True, check=True)
    assert done.stdout == "".join(f"<{word}>" for word in [*words, "own"]).encode()


def fake_runtime(folder: Path) -> None:
    """Stands in for apptainer, which needs an image: shows what it is called with, and with which environment."""
    program = folder / "apptainer"
    program.write_text('#!/bin/sh\nprintf "<%s>" "$@"\necho "$APPTAINERENV_JOBID"\n')
    program.chmod(0o700)


def test_a_container_gets_the_command_and_little_else(tmp_path: Path) -> None:
    """The image and the arguments are one word each; the host's environment stays outside, the job's number not."""
    fake_runtime(tmp_path)
    job = Job(executable="run.py", arguments=["$x; y"], container="docker://a/b:c d", files={"run.py": b""})
    (tmp_path / "start.sh").write_bytes(job.sandbox["start.sh"])
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JOBID": "7; touch hacked", "HOME": str(tmp_path)}
    done = subprocess.run(["sh", "start.sh", "w1"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("<exec><--cleanenv><--bind>")
    assert done.stdout.endswith("<docker://a/b:c d><./run.py><$x; y><w1>7; touch hacked\n")
    assert not (tmp_path / "hacked").exists()


def test_a_site_without_containers_says_so(tmp_path: Path) -> None:
    """In the job's error output."""
    (tmp_path / "start.sh").write_bytes(Job(executable="true", container="image").sandbox["start.sh"])
    done = subprocess.run(["/bin/sh", "start.sh"], cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 127
    assert "neither apptainer nor singularity" in done.stderr


def test_a_bulk_is_one_description() -> None:
    """With a parameter for each, which stands in the name and as the argument; of one it is a plain job."""
    job = Job(executable="true", name="w")
    found = attributes(job.describe("SB:S|/a", ["x", "y-1"]))
    assert (found["JobName"], found["Arguments"], found["Parameters"]) == ('"w-%s"', '"%s"', '{"x", "y-1"}')
    found = attributes(job.describe("SB:S|/a", ["x"]))
    assert (found["JobName"], found["Arguments"], "Parameters" in found) == ('"w-x"', '"x"', False)


@pytest.mark.parametrize("word", ["", "a b", 'a"', "%s", "-x", "a" * 65, "a;b", "../a", 7])
def test_words_of_a_bulk_are_words(word: Any) -> None:
    """They become names and arguments."""
    with pytest.raises(ValueError, match="each has"):
        Job(executable="true").describe("SB:S|/a", ["fine", word])
    with pytest.raises(ValueError, match="same word twice"):
        Job(executable="true").describe("SB:S|/a", ["a", "a"])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"executable": ""}, "executable is ''"),
        ({"executable": "-c"}, "must not begin with a dash"),
        ({"container": "-c"}, "container is '-c'"),
        ({"arguments": "one"}, "arguments is 'one'; it takes a list"),
        ({"arguments": ["a\0b"]}, "text without NUL"),
        ({"arguments": [1]}, "arguments is 1"),
        ({"arguments": ["\ud800"]}, "text without NUL"),
        ({"sites": "LCG.A.uk"}, "sites is 'LCG.A.uk'; it takes a list"),
        ({"cpu_time": 0}, "cpu_time is 0; it takes a whole number above 0"),
        ({"processors": True}, "processors is True"),
        ({"memory": "2 GB"}, "memory is '2 GB'"),
        ({"files": {"../a": b""}}, r"files has '\.\./a'"),
        ({"files": {"start.sh": b""}}, "except start.sh"),
        ({"files": ["run.py"]}, r"files is \['run.py'\]; it takes the content of each by its name"),
        ({"files": {"a": "text"}}, "files has a str for 'a'; it takes bytes"),
        ({"sites": ["A", "B"], "banned_sites": ["B"]}, "sites and banned_sites both have B"),
        ({"name": ""}, "name is ''"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], why: str) -> None:
    """When the job is made, not when it is submitted."""
    with pytest.raises(ValueError, match=why):
        Job(**{"executable": "true", **fields})


def test_names_of_attributes_are_checked_too() -> None:
    """Whoever renders other attributes than ours can't break out there."""
    with pytest.raises(ValueError, match="no name of a JDL attribute"):
        render({"A = 1; B": "c"})
    assert WORD.fullmatch("SB:SandboxSE|/SandBox/a/b.tar.bz2")


def test_the_same_files_make_the_same_sandbox() -> None:
    """So that servers keep it once; its files can be run by their owner."""
    from cachingclient.dirac.api.sandbox import pack

    files = {"b": b"2", "a": b"1"}
    assert pack(files) == pack(dict(reversed(files.items())))
    assert unpack(pack(files)) == files
