"""From what was observed to the trace of a result, or why there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cachingclient.hashing.inputs.fingerprint import KNOWN, Fingerprint
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.worker.memories import Memories
from cachingclient.worker.observe import Observed
from cachingclient.worker.seen import NotKept, why_not, with_memories


def test_a_remote_file_that_the_arguments_name_may_be_read() -> None:
    """By whichever redirector it was opened; another file makes the result uncacheable, and says so."""
    seen = Observed(remote={"root://cache.example.org:1094//store/a.root"})
    named = [Fingerprint("root://redirector.example.org//store/a.root", KNOWN)]
    assert why_not(seen, named) == ""
    assert "not among its arguments" in why_not(seen, [])
    seen.remote.add("root://cache.example.org:1094//store/b.root")
    assert "b.root" in why_not(seen, named)


def test_a_file_that_is_read_and_written_is_not_kept() -> None:
    """Its next run would find another file."""
    seen = Observed()
    seen.writes["/data/log"] = seen.reads["/data/log"] = None  # type: ignore[assignment]
    assert "reads /data/log and writes it" in why_not(seen, [])


def test_what_compiled_code_opens_again_is_not_believed_to_be_read_anew() -> None:
    """A header whose content is in the key may be known by its name to an interpreter; Python reads what it opens."""
    memories, header = Memories(), Fingerprint("/code/cuts.h", "file", size=1, checksum="old", in_key=True)

    def run(named: Fingerprint, seen: Observed) -> Trace:
        return with_memories(Trace(), seen, [named], [named.url], [], memories)

    run(header, Observed())
    edited = replace(header, checksum="new")
    with pytest.raises(NotKept, match=r"cuts.h changed.*restart the workers"):
        run(edited, Observed())
    by_python = Observed()
    by_python.reads[header.url] = None  # type: ignore[assignment]
    assert run(edited, by_python) == Trace()
