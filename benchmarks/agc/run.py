"""Run the ttbar analysis as an analyst does: once in full, again, and after edits of one step.

    python benchmarks/agc/run.py

Every run has a cluster of its own, so nothing is remembered but the store. The edited analyses
are compared, bit for bit, with what dask's own client makes of the same edited code. The exit
status is 1 when a histogram differs.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from edits import EDITS, edited
from phase import AGC, Outcome, Phase, run
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(AGC))

import inputs
from draw import draw
from fronts import FRONTS
from generator.make_data import make_data, usual_folder
from samples import LUMINOSITY

PICTURED = EDITS[1]  # of its run some steps load, some run and some are not needed


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run through the cache beside the plain run of the same code."""

    name: str
    plain: Outcome
    cached: Outcome

    @property
    def equal(self) -> bool:
        return same(self.plain.histograms, self.cached.histograms)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two sets of histograms are the same, bit for bit."""
    return one.keys() == other.keys() and all(
        one[name].axes == other[name].axes
        and one[name].view(flow=True).tobytes() == other[name].view(flow=True).tobytes()
        for name in one
    )


def compared(order: Phase, cache: str, picture: Path, console: Console) -> list[Comparison]:
    """Plain, cold and warm, then plain and cached for each edit."""

    def timed(phase: Phase) -> Outcome:
        with console.status(f"{phase.name} …"):
            outcome = run(phase)
        console.print(f"{phase.name:<36} {outcome.seconds:8.2f} s")
        return outcome

    plain = timed(order)
    cached = replace(order, cache=cache)
    rows = [
        Comparison(name, plain, timed(replace(cached, name=f"{name}, through the cache"))) for name in ("cold", "warm")
    ]
    for edit in EDITS:
        with TemporaryDirectory(prefix="agc-edit-") as folder:
            code = str(edited(edit, Path(folder).resolve()))
            name = f"{edit.name} edited"
            shown = str(picture) if edit is PICTURED else None
            rows.append(
                Comparison(
                    name,
                    timed(replace(order, name=f"{name}, plain", code=code)),
                    timed(replace(cached, name=f"{name}, through the cache", code=code, picture=shown)),
                )
            )
    return rows


def table(rows: list[Comparison]) -> Table:
    caption = "\n".join(f"{edit.name} edited: {edit.old} -> {edit.new}" for edit in EDITS)
    shown = Table(
        title="ttbar: what each run loaded, ran and kept",
        title_justify="left",
        caption=caption,
        caption_justify="left",
    )
    shown.add_column("run", no_wrap=True)
    for title in ("steps", "loaded", "ran", "kept", "plain", "wall", "speed-up"):
        shown.add_column(title, justify="right")
    shown.add_column("equal")
    first = rows[0].plain
    shown.add_row("plain", f"{first.steps:,}", "", f"{first.steps:,}", "", "", f"{first.seconds:.2f} s", "", "")
    for row in rows:
        counts = row.cached.counts
        shown.add_row(
            row.name,
            f"{row.cached.steps:,}",
            f"{counts['loaded'] + counts['cut_off']:,.0f}",
            f"{counts['ran']:,.0f}",
            f"{counts['kept']:,.0f}",
            f"{row.plain.seconds:.2f} s",
            f"{row.cached.seconds:.2f} s",
            f"{row.plain.seconds / row.cached.seconds:.1f}x",
            "yes" if row.equal else "[bold red]NO[/]",
        )
    return shown


def fresh_store(cache: str | None, keep: bool, folder: Path, console: Console) -> str:
    """The URL of the store: our own is emptied, one that is not ours has to be empty already."""
    if cache is None:
        own = folder.resolve() / "cache"
        if not keep:
            shutil.rmtree(own, ignore_errors=True)
        return own.as_uri()
    from cachingclient.config import store_options
    from cachingclient.storage import StoreError, open_store

    try:
        used = next(iter(open_store(cache, **store_options()).scan()), None) is not None
    except StoreError as error:
        console.print(f"[yellow]the cache can't be looked at: {error}[/]")
        used = False
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--cache") from error
    if used and not keep:
        raise click.BadParameter(
            f"{cache} holds entries, and the cold run needs an empty store; "
            "give another one, purge it, or give --keep-cache",
            param_hint="--cache",
        )
    return cache


def the_manifest(files: tuple[Path, ...], scale: float, folder: Path, console: Console) -> Path:
    """The samples to run on: the files given, or our own, made where they are missing."""
    if not files:
        return make_data(usual_folder(scale), scale, console)
    manifest = folder / "inputs.json"
    try:
        for remark in inputs.describe(files, "Events", manifest):
            console.print(f"[yellow]{remark}[/]")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--input") from error
    return manifest


@click.command()
@click.option(
    "--input",
    "files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A NanoAOD file, in place of the generated samples; may be given again.",
)
@click.argument("more", type=click.Path(exists=True, dir_okay=False, path_type=Path), nargs=-1)
@click.option(
    "--cache",
    help="URL of an empty store, opened with the setting store-options  [default: a folder in the output folder]",
)
@click.option("--policy", default="auto", show_default=True, help="Which results are kept.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="1: 200,000 events.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--front", type=click.Choice(list(FRONTS)), default="delayed", show_default=True)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(__file__).resolve().parent / "output",
    help="Folder for the pictures and the cache.",
)
@click.option("--keep-cache", is_flag=True, help="Start with what the store holds.")
def main(
    files: tuple[Path, ...],
    more: tuple[Path, ...],
    cache: str | None,
    policy: str,
    scale: float,
    workers: int,
    front: str,
    output: Path,
    keep_cache: bool,
) -> None:
    """Run the ttbar analysis plain, cold, warm and after edits; MORE files may follow --input."""
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=120)
    if more and not files:
        raise click.UsageError("files are given by --input FILE...")
    output.mkdir(parents=True, exist_ok=True)
    store = fresh_store(cache, keep_cache, output, console)
    manifest = the_manifest((*files, *more), scale, output, console)
    order = Phase("plain", str(AGC), str(manifest), policy=policy, workers=workers, front=front)
    plan = output / "plan.png"
    try:
        rows = compared(order, store, plan, console)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    console.print(table(rows))
    console.print(f"\n{PICTURED.name} edited, in full:")
    console.print(next(row for row in rows if row.name.startswith(PICTURED.name)).cached.report)
    for region, histogram in rows[0].cached.histograms.items():
        if not histogram.view(flow=True)["value"].any():
            console.print(f"[yellow]no event of these files is in the region {region}: its histogram is empty[/]")
    pictures = draw(rows[0].cached.histograms, output, LUMINOSITY)
    console.print(f"what is kept: cachectl list --store {store}", soft_wrap=True)
    differing = [row.name for row in rows if not row.equal]
    if differing:
        console.print(f"[bold red]histograms differ from plain's: {', '.join(differing)}[/]")
    for path in (*pictures, plan):
        console.print(str(path), soft_wrap=True, highlight=False)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
