"""For coffea analyses: steps as tasks of one graph, and checkpoints that know the code they were made by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachingclient.lazy_names import lazy_names

if TYPE_CHECKING:
    from cachingclient.coffea.checkpointer import Checkpointer
    from cachingclient.coffea.chunks import Chunk, chunks_of
    from cachingclient.coffea.fitting import Fitting, until_it_fits
    from cachingclient.coffea.graph import run_steps
    from cachingclient.coffea.row_checks import check_rows

__all__ = ["Checkpointer", "Chunk", "Fitting", "check_rows", "chunks_of", "run_steps", "until_it_fits"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Checkpointer": "checkpointer",
            "Chunk": "chunks",
            "Fitting": "fitting",
            "check_rows": "row_checks",
            "chunks_of": "chunks",
            "run_steps": "graph",
            "until_it_fits": "fitting",
        },
    )
