"""``cachectl dirac`` at a real DiracX."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
import requests
from click.testing import CliRunner, Result

from cachingclient.cli import cli
from tests.services.diracx import VO, DiracX
from tests.support.waiting import until

SITE = "LCG.Cli.uk"
Cachectl = Callable[..., Result]


@pytest.fixture(scope="module")
def agent(diracx_service: DiracX) -> Iterator[subprocess.Popen[bytes]]:
    """A site that takes two jobs at a time."""
    process = diracx_service.run(diracx_service.agent(SITE))
    yield process
    diracx_service.end_process(process)


@pytest.fixture(scope="module")
def tokens(diracx_service: DiracX) -> Path:
    return diracx_service.credentials()


@pytest.fixture
def cachectl(diracx_service: DiracX, tokens: Path, monkeypatch: pytest.MonkeyPatch) -> Cachectl:
    """Call ``cachectl dirac`` with the server in the settings and tokens in the environment."""
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", str(tokens))
    monkeypatch.setenv("X509_USER_PROXY", "/nowhere/proxy")
    server = {"url": diracx_service.url, "vo": VO, "ca": str(diracx_service.ca)}

    def call(*arguments: str, **kwargs: Any) -> Result:
        with dask.config.set({f"cachingclient.dirac.{name}": value for name, value in server.items()}):
            return CliRunner().invoke(cli, ["dirac", *arguments], **kwargs)

    return call


def done(result: Result) -> str:
    """What a command that went well printed."""
    assert result.exit_code == 0, result.output
    return result.stdout


def states(cachectl: Cachectl, ids: list[str]) -> set[str]:
    """The states of jobs."""
    return {job["state"] for job in json.loads(done(cachectl("status", *ids, "--json")))}


def test_whoami(cachectl: Cachectl) -> None:
    """For people and for programs."""
    assert done(cachectl("whoami")).startswith("alice as tests_user of tests at https://")
    shown = json.loads(done(cachectl("whoami", "--json")))
    assert (shown["user"], shown["group"], shown["rights"]) == ("alice", "tests_user", ["NormalUser"])
    assert shown["seconds_left"] > 0


def test_proxy_looks_at_files_only(cachectl: Cachectl, tokens: Path) -> None:
    """What is here, and what is missing with the way to it; it fails if nothing lasts."""
    found = json.loads(done(cachectl("proxy", "--json")))
    assert [each["kind"] for each in found] == ["proxy", "tokens"]
    assert "there is no proxy at /nowhere/proxy" in found[0]["problem"]
    assert found[1]["owner"] == "alice as tests_user of tests"
    assert f"tokens  {tokens}: alice as tests_user of tests, for " in done(cachectl("proxy"))
    missing = cachectl("proxy", "--credentials", "/nowhere/else")
    assert missing.exit_code == 1
    assert missing.stdout.count("/nowhere/else") == 2


def test_a_job_from_submit_to_logs(cachectl: Cachectl, agent: object, tmp_path: Path) -> None:
    """Submitted with a file, followed by status, read by logs, and told by its history."""
    program = tmp_path / "run.sh"
    program.write_text('#!/bin/sh\necho "$@"\necho other > other.txt\n')
    words = ["--site", SITE, "--name", "cli", "--file", str(program), "--output", "other.txt", "--json"]
    (id,) = json.loads(done(cachectl("submit", *words, "--", "run.sh", "--one", "a;b")))
    until(lambda: states(cachectl, [str(id)]) == {"Done"}, "the job's end")
    heads, line = done(cachectl("status", str(id))).splitlines()
    assert heads.split("\t") == ["job", "name", "state", "reason", "site", "changed"]
    assert line.split("\t")[:5] == [str(id), "cli", "Done", "Execution Complete: exit 0", SITE]
    assert json.loads(done(cachectl("logs", str(id), "--json")))["std.out"] == "--one a;b\n"
    assert "== std.out (10 B)\n--one a;b\n" in done(cachectl("logs", str(id)))
    done(cachectl("logs", str(id), "--to", str(tmp_path / "back")))
    assert (tmp_path / "back" / "other.txt").read_text() == "other\n"
    shown = json.loads(done(cachectl("logs", str(id), "--history", "--json")))
    assert [line["state"] for line in shown][-1] == "Done"
    assert "Done\tExecution Complete" in done(cachectl("logs", str(id), "--history"))


def test_many_jobs_are_killed_by_their_group(cachectl: Cachectl) -> None:
    """After a question; the numbers of jobs are the only output of submit."""
    words = ["--count", "3", "--job-group", "cli-many", "--site", "LCG.Nowhere.uk", "true"]
    ids = done(cachectl("submit", *words)).split()
    assert len(ids) == 3
    listed = json.loads(done(cachectl("status", "--job-group", "cli-many", "--state", "Received", "--json")))
    assert [str(job["id"]) for job in listed] == ids[::-1]
    assert [job["name"] for job in listed] == ["cachingclient-2", "cachingclient-1", "cachingclient-0"]
    assert cachectl("kill", "--job-group", "cli-many", input="n\n").exit_code == 1
    assert states(cachectl, ids) == {"Received"}
    assert "3 of 3 jobs are told to end" in done(cachectl("kill", "--job-group", "cli-many", input="y\n"))
    assert states(cachectl, ids) == {"Killed"}


def test_what_is_refused_is_said(cachectl: Cachectl, diracx_service: DiracX) -> None:
    """With exit code 1 for a part, and 2 for all."""
    refused = cachectl("kill", "999999")
    assert (refused.exit_code, refused.stderr) == (1, "999999: the server knows no such job\n")
    unknown = cachectl("status", "999999")
    assert (unknown.exit_code, unknown.stderr) == (1, "the server knows no job 999999\n")
    assert cachectl("kill").exit_code == 2
    injected = cachectl("submit", "true", "--site", 'A"; Owner = "bob')
    assert injected.exit_code == 2
    assert "sites is 'A\"; Owner = \"bob'; it takes letters" in injected.stderr
    wrong = cachectl("whoami", "--vo", "other")
    assert (wrong.exit_code, "for tests, not for other" in wrong.stderr) == (2, True)
    away = cachectl("sites", "--url", "https://127.0.0.1:9")
    assert (away.exit_code, "can't be reached" in away.stderr) == (2, True)


def test_without_a_server_the_settings_are_named(tmp_path: Path) -> None:
    """Not a stack of errors."""
    result = CliRunner().invoke(cli, ["dirac", "whoami", "--vo", "tests"], env={"DIRACX_URL": ""})
    assert result.exit_code == 2
    assert "url is not given, and the setting cachingclient.dirac.url is not set" in result.stderr
    assert CliRunner().invoke(cli, ["dirac", "login", "--vo", "tests"]).exit_code == 2


def test_login(cachectl: Cachectl, diracx_service: DiracX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is shown, and once it was opened the tokens are kept and can be used."""
    said: list[str] = []

    def opens(text: object = "", **_: object) -> None:
        said.append(str(text))
        if said[-1].startswith("open https://"):
            requests.get(said[-1].split()[1], verify=str(diracx_service.ca), timeout=30)

    monkeypatch.setattr("click.echo", opens)
    file = tmp_path / "tokens.json"
    assert cachectl("login", "--group", "tests_admin", "--credentials", str(file)).exit_code == 0
    assert said[-1].startswith("logged in, for 59 min") or said[-1].startswith("logged in, for 1 h")
    monkeypatch.undo()
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", str(file))
    content = json.loads(file.read_text())
    assert content["refresh_token"]


def test_sites(cachectl: Cachectl) -> None:
    """Those that the server has met."""
    done(cachectl("submit", "--site", "LCG.Met.uk", "true"))
    assert json.loads(done(cachectl("sites", "--json")))["LCG.Met.uk"] == "Unknown"
    assert "LCG.Met.uk\tUnknown" in done(cachectl("sites"))
