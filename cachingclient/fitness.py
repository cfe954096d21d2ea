"""Whether the workers can run steps: those that lack this package get graphs as dask would send them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachingclient.graph import ALL_WORKERS
from cachingclient.warming import warmed_version

if TYPE_CHECKING:
    from cachingclient.sending import SendingClient


class Fitness:
    """Asks workers for this package as they come.

    Parameters
    ----------
    client
        Whose workers they are.
    """

    def __init__(self, client: SendingClient) -> None:
        self.client = client
        self.lacking: dict[str, str] = {}
        """The workers that have no package, and what they said instead."""
        self._asked: set[str] = set()
        self._seen: object = None

    async def look(self) -> None:
        """Ask workers that were not asked yet, if there may be any."""
        seen = self.client._scheduler_identity.get("total_threads", 0), self.client._scheduler_identity.get("n_workers")
        if self.client.scheduler is None or seen == self._seen:
            return
        workers = set((await self.client.scheduler.identity(**ALL_WORKERS))["workers"])
        new = sorted(workers - self._asked)
        found = await self.client._run(warmed_version, workers=new, on_error="return") if new else {}
        self._seen, self._asked = seen, workers
        # The scheduler gives such errors as text.
        lacking = {worker: str(said) for worker, said in found.items() if "ModuleNotFoundError" in repr(said)}
        self.lacking = {worker: said for worker, said in (self.lacking | lacking).items() if worker in workers}
        if lacking:
            some = ", ".join(sorted(lacking)[:3]) + (", ..." if len(lacking) > 3 else "")
            self.client.note(
                f"the cache is not used while workers have no cachingclient: {some} ({next(iter(lacking.values()))})"
            )
