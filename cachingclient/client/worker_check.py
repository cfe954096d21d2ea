"""Whether the scheduler and the workers can run steps, and in which surroundings the workers do.

While one lacks this package, graphs are sent as dask would send them. A worker that comes later is the scheduler's to
ask, before it gets a task. The environment variables and the working folder that a kept result depends on are compared
with the workers', not with the client's.
"""

from __future__ import annotations

import contextlib
import logging
import os

from cachingclient.client.port import Port
from cachingclient.hashing.inputs.told import Told, tell_surroundings, this_process
from cachingclient.scheduler.new_workers import ask_again, watch_workers
from cachingclient.warn_once import NoteKeeper
from cachingclient.worker.startup import ready_worker

logger = logging.getLogger(__name__)
SCHEDULER = "the scheduler"


class WorkerCheck:
    """Has each new worker make ready, and learns its surroundings.

    Parameters
    ----------
    port
        The client whose workers they are.
    notes
        Warns the user of workers that lack the package.

    Attributes
    ----------
    lacking
        The addresses of the workers that lack the package, each with the error that the import raised there; also the
        scheduler, if it does.
    """

    def __init__(self, port: Port, notes: NoteKeeper) -> None:
        self.port = port
        self.notes = notes
        self.lacking: dict[str, str] = {}
        self._asked: set[str] = set()
        self._told: dict[str, Told | None] = {}
        self._seen: object = None
        self._watched = False

    async def look(self) -> None:
        """Ask the workers that were not asked yet, if the number of workers or threads has changed."""
        identity = self.port.scheduler_identity
        seen = identity.get("total_threads", 0), identity.get("n_workers")
        if seen == self._seen:
            return
        if not self._watched:
            await self._watch()
        ready = await self.port.workers()
        workers = set(ready)
        new = sorted({worker for worker in workers if ready[worker]} - self._asked)
        found = await self.port.run_on_workers(ready_worker, workers=new, on_error="return") if new else {}
        self._seen = seen if all(ready.values()) else None
        self._asked = workers.intersection({*self._asked, *new})
        # The scheduler gives such errors as text.
        lacking = {worker: str(said) for worker, said in found.items() if "ModuleNotFoundError" in repr(said)}
        there = {SCHEDULER, *workers}
        self.lacking = {worker: said for worker, said in (self.lacking | lacking).items() if worker in there}
        told = {worker: said if isinstance(said, Told) else None for worker, said in found.items()}
        self._told = {worker: said for worker, said in (self._told | told).items() if worker in workers}
        if lacking:
            some = ", ".join(sorted(lacking)[:3]) + (", ..." if len(lacking) > 3 else "")
            self.notes.add(
                f"the cache is not used while workers have no cachingclient: {some} ({next(iter(lacking.values()))}); "
                "client.ship() sends it there"
            )

    async def look_again(self) -> None:
        """Ask all, whatever they said before: they may have been given what they lacked."""
        self._seen, self._asked, self.lacking, self._watched = None, set(), {}, False
        await self._watch()
        if SCHEDULER not in self.lacking:
            with contextlib.suppress(Exception):
                await self.port.run_on_scheduler(ask_again)
        await self.look()

    async def _watch(self) -> None:
        """Have the scheduler ask new workers, if it has the package, and does what clients tell it."""
        self._watched = True
        try:
            await self.port.run_on_scheduler(watch_workers)
        except ImportError as error:
            self.lacking[SCHEDULER] = str(error)
            self.notes.add(
                f"the cache is not used: the scheduler has no cachingclient ({error}); client.ship() sends it there"
            )
        except Exception as error:
            logger.info("The scheduler does not ask new workers for the package: %s", error)

    def surroundings(self) -> list[Told | None]:
        """Return what the workers told of their surroundings; those that share this process may have changed them."""
        alike = any(told is not None and told.process[1] == os.getpid() for told in self._told.values())
        here = this_process() if alike else None  # once: it asks the operating system three times
        return [
            tell_surroundings() if told is not None and told.process == here else told for told in self._told.values()
        ]
