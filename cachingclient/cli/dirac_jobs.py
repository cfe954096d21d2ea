"""``cachectl dirac``'s commands for jobs: submit, status, kill, logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cachingclient import units
from cachingclient.cli.options import json_option
from cachingclient.cli.output import on_terminal, print_json, print_table
from cachingclient.dirac import DiracApi, Job, JobStatus

FEW = 50
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.argument("executable")
@click.argument("arguments", nargs=-1)
@click.option("--name", default="cachingclient", show_default=True, help="What the job is called.")
@click.option("--job-group", default="", help="The job group it belongs to.")
@click.option("--count", type=click.IntRange(1), default=1, help="So many jobs; each gets its number as last argument.")
@click.option("--file", "files", type=FILE, multiple=True, help="A file that travels along; repeatable.")
@click.option("--output", "outputs", multiple=True, help="A file to send back besides std.out and std.err; repeatable.")
@click.option("--site", "sites", multiple=True, help="Where it may run; repeatable. [default: anywhere]")
@click.option("--banned-site", "banned_sites", multiple=True, help="Where it may not; repeatable.")
@click.option("--tag", "tags", multiple=True, help="What the site must offer, e.g. GPU; repeatable.")
@click.option("--platform", default="", help="The platform it needs.")
@click.option("--cpu-time", type=click.IntRange(1), help="Seconds of processor time that it may take.")
@click.option("--processors", type=click.IntRange(1), default=1, help="How many processors it takes.")
@click.option("--memory", type=click.IntRange(1), help="How many MB of memory it needs.")
@click.option("--container", help="An image to run it in, by apptainer or singularity.")
@json_option
def submit(
    api: DiracApi,
    as_json: bool,
    count: int,
    files: Sequence[Path],
    outputs: Sequence[str],
    job_group: str,
    **fields: Any,
) -> None:
    """Submit a job that runs EXECUTABLE with ARGUMENTS; what begins with a dash goes after ``--``.

    EXECUTABLE may be one of the files that travel along (--file).
    """
    brought = {path.name: path.read_bytes() for path in files}
    job = Job(group=job_group, files=brought, outputs=["std.out", "std.err", *outputs], **fields)
    ids = api.submit(job, [str(number) for number in range(count)] if count > 1 else [])
    if as_json:
        print_json(ids)
        return
    for id in ids:
        click.echo(id)


@click.argument("ids", nargs=-1, type=click.IntRange(1))
@click.option("--job-group", help="Only those of a job group.")
@click.option("--state", "states", multiple=True, help="Only those in this state, e.g. Running; repeatable.")
@click.option("--limit", type=click.IntRange(1), default=FEW, show_default=True, help="At most so many, the newest.")
@json_option
def status(
    api: DiracApi, ids: Sequence[int], job_group: str | None, states: Sequence[str], limit: int, as_json: bool
) -> None:
    """Show what became of these jobs, or else of your own newest ones."""
    if ids:
        found = api.status(ids)
        missing = [id for id in ids if id not in found]
        jobs = [found[id] for id in ids if id in found]
    else:
        missing, jobs = [], api.jobs(group=job_group, states=states, limit=limit)
    if as_json:
        print_json([_as_dict(job) for job in jobs])
    else:
        heads = ["job", "name", "state", "reason", "site", "changed"]
        print_table(heads, map(_row, jobs), left=heads[1:5])
    for id in missing:
        click.echo(f"the server knows no job {id}", err=True)
    if missing:
        raise click.exceptions.Exit(1)


@click.argument("ids", nargs=-1, type=click.IntRange(1))
@click.option("--job-group", help="All of yours of this job group that have not ended.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@json_option
def kill(api: DiracApi, ids: Sequence[int], job_group: str | None, yes: bool, as_json: bool) -> None:
    """End jobs; exits with 1 if some were refused."""
    if bool(ids) == bool(job_group):
        raise click.UsageError("it takes numbers of jobs, or --job-group")
    if job_group:
        ids = [job.id for job in api.jobs(group=job_group, limit=10_000) if not job.ended]
        if ids and not yes and not as_json:
            click.confirm(f"end {len(ids)} jobs of {job_group}?", abort=True)
    refused = api.kill(ids)
    if as_json:
        print_json({"killed": [id for id in ids if id not in refused], "refused": refused})
    else:
        for id, why in refused.items():
            click.echo(f"{id}: {why}", err=True)
        click.echo(f"{len(ids) - len(refused)} of {len(ids)} jobs are told to end")
    if refused:
        raise click.exceptions.Exit(1)


@click.argument("id", type=click.IntRange(1))
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write the files there.")
@click.option("--history", is_flag=True, help="Through which states the job went.")
@json_option
def logs(api: DiracApi, id: int, folder: Path | None, history: bool, as_json: bool) -> None:
    """Show the output of a job; before its end, the output that its agent shows, where the server has that."""
    if history:
        lines = api.history(id)
        if as_json:
            print_json([asdict(line) for line in lines])
            return
        rows = [[_moment(line.time), line.state, line.minor, line.application, line.source] for line in lines]
        print_table(["time", "state", "minor", "application", "source"], rows, left=("state", "minor", "application"))
        return
    files = api.logs(id)
    if folder is not None:
        written = [_written(folder / Path(name).name, content) for name, content in files.items()]
        if as_json:
            print_json(list(map(str, written)))
        for path in () if as_json else written:
            click.echo(path)
    elif as_json:
        print_json({name: content.decode("utf-8", "replace") for name, content in files.items()})
    else:
        for name, content in files.items():
            click.echo(f"== {name} ({units.size(len(content))})")
            click.echo(content.decode("utf-8", "replace"))
    if not files:
        click.echo(f"job {id} has sent nothing back yet", err=True)


COMMANDS: dict[str, Callable[..., None]] = {"submit": submit, "status": status, "kill": kill, "logs": logs}


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _as_dict(job: JobStatus) -> dict[str, Any]:
    return {**asdict(job), "ended": job.ended}


def _row(job: JobStatus) -> list[str]:
    reason = job.why.removeprefix(job.state).removeprefix(": ")
    changed = "" if job.changed is None else units.age((datetime.now(UTC) - job.changed).total_seconds())
    return [str(job.id), job.name, job.state, reason, job.site, changed]


def _moment(time: datetime | None) -> str:
    if time is None:
        return ""
    return time.strftime("%H:%M:%S") if on_terminal() else time.isoformat()
