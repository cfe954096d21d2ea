"""For coffea analyses: steps as tasks of one graph, and checkpoints that know the code they were made by."""

from cachingclient.coffea.checkpointer import Checkpointer
from cachingclient.coffea.chunks import Chunk, chunks_of
from cachingclient.coffea.graph import run_steps

__all__ = ["Checkpointer", "Chunk", "chunks_of", "run_steps"]
