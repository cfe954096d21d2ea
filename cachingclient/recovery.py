"""Entries that are lost between planning and loading: their steps are run after all, under futures that still wait.

A lost entry makes its `Load` raise `EntryLost` on a worker, and with it every step that waits for it. The client
hears of it by the keys it wants. Instead of marking their futures as erred it sends the lost steps and what they need,
and has the scheduler do under those keys what takes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from distributed.core import clean_exception

from cachingclient.graph import Alias, Key
from cachingclient.registry import Run
from cachingclient.revival import install, message
from cachingclient.storage import EntryLost
from cachingclient.strangers import read_after_all

if TYPE_CHECKING:
    from cachingclient.receiving import ReceivingClient

MOST_LOADING_ATTEMPTS = 5
"""How often a run is sent again with what it can still load; after that nothing is loaded any more."""
MOST_ATTEMPTS = 20
"""How often one run is sent again before its error is the user's."""


class Recovery:
    """Sends again what erred for lack of an entry.

    Parameters
    ----------
    client
        Whose futures they are.
    give_up
        Called with the key, exception and traceback of what can't be recovered: the client's own error handler.
    """

    def __init__(self, client: ReceivingClient, give_up: Callable[..., None]) -> None:
        self.client = client
        self.give_up = give_up
        self.asked: set[Key] = set()
        """What the scheduler was asked to compute after all; until it answers, errors are of the time before."""
        self._erred: dict[Key, tuple[Any, Any]] = {}
        self._task: asyncio.Task[None] | None = None
        self._giving: dict[Key, asyncio.Task[None]] = {}

    def takes(self, key: Key, exception: Any, traceback: Any, run: Run | None) -> bool:
        """Take over an error if it is a lost entry of a run that can be sent again."""
        if key in self.asked:
            return True
        error = clean_exception(exception, traceback)[1]
        if run is None or not isinstance(error, EntryLost) or run.attempts >= MOST_ATTEMPTS:
            return False
        first = not run.lost
        run.lost.update([error.key, *error.others])
        if first:
            self.client.note(f"{error}; it is computed again, and so is what else turns out to be lost")
        self._start(key, exception, traceback)
        return True

    def answered(self, keys: Iterable[Key]) -> None:
        """Note that the scheduler has done what it was asked for."""
        self.asked.difference_update(keys)

    def _start(self, key: Key, exception: Any, traceback: Any) -> None:
        self._erred[key] = exception, traceback
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._recover())

    async def bring_back(self, lost: Mapping[Key, EntryLost]) -> dict[Key, Any]:
        """Return results that the client could not read itself, computed again.

        Raises
        ------
        EntryLost
            One of them is another client's.
        """
        error = next(iter(lost.values()))
        self.client.note(f"{error}; it is computed again, and so is what else turns out to be lost")
        futures = await asyncio.to_thread(self.client.run_again, lost)
        for key in lost.keys() - futures.keys():
            raise lost[key]
        values: list[Any] = await self.client.gather(list(futures.values()), asynchronous=True)
        return dict(zip(futures, values, strict=True))

    def give(self, key: Key, why: str) -> None:
        """Have a lost result computed again that a stranger asked for, and the client holds."""
        if key not in self._giving:
            self._giving[key] = asyncio.ensure_future(self._give(key, why))
            self._giving[key].add_done_callback(lambda done: self._giving.pop(key))

    async def _give(self, key: Key, why: str) -> None:
        self.client.note(f"{why}; it is computed again, and so is what else turns out to be lost")
        await self.client._run_on_scheduler(install)
        again = (await asyncio.to_thread(self.client.run_again, [key])).get(key)
        if again is not None:
            # Not sooner: what it is computed from may turn out to be lost too, and the stranger would hear of it.
            await self.client.futures[again.key].wait()
        if again is not None and again.status in ("finished", "error"):
            self.client._send_to_scheduler(message({key: Alias(key, again.key)}))
        else:
            await self.client._run_on_scheduler(read_after_all, key)

    async def _recover(self) -> None:
        """Send again all that has erred by now, in the order in which it was first sent."""
        while self._erred:
            # One lost entry errs all that wait for it, and the scheduler tells of them together: let that batch arrive.
            await asyncio.sleep(0.01)
            erred, self._erred = self._erred, {}
            runs: dict[Run, set[Key]] = {}
            for key in erred:
                run = self.client.run_of(key)
                if run is not None:
                    runs.setdefault(run, set()).add(key)
            try:
                await self.client._run_on_scheduler(install)
                failed = await asyncio.to_thread(self.client.send_all_again, runs)
            except Exception as why:
                failed = dict.fromkeys(runs, why)
            for run, error in failed.items():
                self.client.note(f"what a lost entry held could not be computed again: {type(error).__name__}: {error}")
                for key in runs[run]:
                    self.give_up(key, *erred[key])
