"""Figures that pages tell and the package has as constants or defaults: the sentence with the figure stands there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cachingclient.dirac.api import credentials as dirac_credentials
from cachingclient.dirac.api import dirac8, open_api, tokens
from cachingclient.dirac.workers.grid import Grid, make_grid
from cachingclient.dirac.workers.request import Limits
from cachingclient.environments import kept
from cachingclient.scheduler import dashboard
from cachingclient.storage import packs
from cachingclient.storage.files import sparse
from cachingclient.storage.wrappers import keys, seals
from cachingclient.tunnel import agent
from cachingclient.tunnel.head import Tunnel
from cachingclient.vine import call_back
from cachingclient.vine.engines.pool import manager, runner, taskvine_manager, workqueue_manager
from cachingclient.vine.scheduler import scheduler
from cachingclient.worker import allowance, credentials, process, writer

DOCS = Path(__file__).parents[2] / "docs"
NUMBERS = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def default(function: Callable[..., Any], name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def word(number: float) -> str:
    """A small number as it is written out."""
    assert number == int(number)
    return NUMBERS[int(number)] if number <= 10 else {20: "twenty"}[int(number)]


def minutes(seconds: float) -> str:
    return word(seconds / 60)


def kilobytes(size: int) -> str:
    assert size % 1024 == 0
    return f"{size // 1024} kB"


HOUR, PART = timedelta(hours=1), {0.5: "half", 0.2: "a fifth"}
SENTENCES = {
    "dirac": [
        f"by us, {minutes(tokens.REFRESH_BEFORE.total_seconds())} minutes before it ends",
        f"or ends within {dirac_credentials.MARGIN.total_seconds():g} seconds",
        f"lasts for less than {'an hour' if open_api.SHORT == HOUR else open_api.SHORT} is warned of",
        f"takes {PART[dirac8.SETTLING]} a second longer",
    ],
    "engines": [
        f"Results of up to {kilobytes(runner.MOST_INLINE)} travel with the record",
        f"is run again, {word(manager.MOST_ATTEMPTS - 1)} times at most",
        f"loses its worker, {word(workqueue_manager.MOST_RETRIES)} times",
        f"loses its worker, {word(taskvine_manager.MOST_RETRIES)} times",
    ],
    "monitoring": [f"over the last {minutes(dashboard.SECONDS)} minutes"],
    "settings": [
        f"beside the first {allowance.AT_FIRST:g} s in each worker",
        "a hundred times as long as keeping them",
    ],
    "stores": [
        f"took less than {writer.QUICK * 1000:g} ms to a local folder",
        f"within {PART[writer.LINGER]} of a second",
        f"up to {packs.MOST_MEMBERS} or {kilobytes(packs.MOST_BYTES)}, are one file",
        f"has up to {kilobytes(packs.LARGEST)} there",
        f"less than {PART[sparse.LEFT]} of that in files of their own",
        f"a file with {keys.SHORTEST_SECRET} or more secret bytes",
    ],
    "trust": [f"over parts of {'a megabyte' if seals.PART == 1 << 20 else seals.PART}"],
    "tunnel": [
        f"`retries` more in a row ({default(make_grid, 'retries')}; "
        f"one that ran for {minutes(Limits().settled)} minutes is none of these)",
        f"ends by itself after `death_timeout` seconds ({default(Grid, 'death_timeout'):g})",
        f"wait for up to {'a minute' if default(Tunnel, 'patience') == 60 else default(Tunnel, 'patience')}",
        f"buffers of {'a megabyte' if agent.BUFFER == 1 << 20 else agent.BUFFER} for each connection",
    ],
    "vine": [
        f"The last {word(kept.KEPT)} are kept, and those that a running cluster has",
        f"looked at every {credentials.LOOK_EVERY:g} s",
        f"one that ends in {minutes(credentials.SOON)} minutes and was not renewed",
        f"counts as much as {word(scheduler.ACROSS)} that do not",
        f"only if that wins {PART[scheduler.RELUCTANCE]} a second",
        f"the program looks there {'once a second' if call_back.LOOK_EVERY == 1 else call_back.LOOK_EVERY}",
    ],
}


@pytest.mark.parametrize(("page", "said"), [(page, said) for page, them in SENTENCES.items() for said in them])
def test_a_figure_is_that_of_the_package(page: str, said: str) -> None:
    """Whoever changes one has to change the other."""
    assert said in " ".join((DOCS / f"{page}.md").read_text().split())


def test_what_figures_are_told_in_words() -> None:
    """Those that no sentence can be put together with."""
    assert allowance.TIMES == 100  # a hundred times as long
    assert process.QUEUE_PART == 4  # a quarter of the memory that dask allows it
    assert process.RECENT_PART == 8  # an eighth
    assert 1 / 4 <= process.SEND_EVERY <= 1 / 2  # a few times a second
