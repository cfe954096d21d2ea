"""Of a container that methods take parts of by what the call gives, that part counts; where it is not proven, all."""

from __future__ import annotations

from typing import Any

import pytest

from cachingclient.hashing.code.bound_methods import reads_of
from cachingclient.hashing.code.given import METADATA, Given
from cachingclient.hashing.code.paths import ABSENT, Taken
from cachingclient.hashing.code.reads import entry_of
from cachingclient.hashing.identify import identify
from tests.hashing.code.by_key import ALL, OF_VARIABLES, OWN, SAMPLES, Program

EDIT = "'x': 2", "'x': 7"
DATASETS = {"a": 1, "b": 2}


def digests_and_results(source: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what counts of a program for each data set, and what it gives for it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(source, names)
    kind = names["Program"]
    digests, results = {}, {}
    for dataset, number in DATASETS.items():
        entries = {"dataset": dataset, "number": number}

        def value_of(given: Given, entries: dict[str, Any] = entries) -> object:
            return entries.get(given.path[1].key, ABSENT) if given.path[:1] == (METADATA,) else ABSENT

        instance, process = kind(), kind.process
        reads = reads_of(instance, process, entry_of(process, ((Given(1), True),)))
        counts: Any = (process, instance)
        if reads is not None:
            counts = reads.method, reads.always, reads.of_call(value_of), reads.variables_of_call(value_of)
        digests[dataset] = identify(counts).digest
        results[dataset] = kind().process(names["Events"](dataset, number))
    return digests, results


def changed(source: str) -> set[str]:
    """Return the data sets for which other things count after the edit of a sample; those with other results do."""
    assert EDIT[0] in source
    (before, gave), (after, gives) = map(digests_and_results, (source, source.replace(*EDIT)))
    found = {dataset for dataset in DATASETS if before[dataset] != after[dataset]}
    assert {dataset for dataset in DATASETS if gave[dataset] != gives[dataset]} <= found
    return found


def of_module(program: Program) -> str:
    """The same program with its samples in a variable of the module."""
    own = SAMPLES.replace("SAMPLES", "self.samples")
    return f"{SAMPLES}\n" + program.source.replace(own, "vars(self)['samples'] = SAMPLES").replace(
        "self.samples", "SAMPLES"
    )


@pytest.mark.parametrize("how", [how for how, program in OWN.items() if "samples" not in program.init])
def test_the_part_of_a_variable_counts_that_the_call_tells(how: str) -> None:
    """As of an attribute, in what the method of the call does itself."""
    assert changed(of_module(OWN[how])) == {"a"}


@pytest.mark.parametrize("how", [how for how in ALL if "samples" not in ALL[how].init and how != "the attribute set"])
def test_all_of_a_variable_counts_where_the_key_is_not_proven(how: str) -> None:
    """Also where the object itself stands for all that it reads."""
    assert changed(of_module(ALL[how])) == {"a", "b"}


@pytest.mark.parametrize("how", OF_VARIABLES)
def test_all_of_a_variable_counts_where_others_take_it(how: str) -> None:
    """Another function that takes all, one that is called with another key, one that refers to ``process``."""
    assert changed(OF_VARIABLES[how].source) == {"a", "b"}


@pytest.mark.parametrize("how", OWN)
def test_the_part_counts_that_the_call_tells(how: str) -> None:
    """An edit of one sample is none for the other."""
    assert changed(OWN[how].source) == {"a"}


@pytest.mark.parametrize("how", ALL)
def test_all_counts_where_the_key_is_not_proven(how: str) -> None:
    """The key may be another by then, the container may be looked at otherwise, a subscript may run code."""
    assert changed(ALL[how].source) == {"a", "b"}


def test_a_sample_more_is_none_for_the_others() -> None:
    """Neither is another part of the same sample, if it is not taken."""
    source = OWN["a variable"].source
    before, _ = digests_and_results(source)
    assert digests_and_results(source.replace("{'a': {", "{'c': {'x': 1}, 'a': {"))[0] == before
    assert digests_and_results(source.replace("'name': 'A'", "'name': 'C'"))[0] == before


def test_what_is_not_known_of_the_call_has_all_count() -> None:
    """A key that stands nowhere in the metadata, and one that is no text or number."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(OWN["a variable"].source, names)
    process, instance = names["Program"].process, names["Program"]()
    reads = reads_of(instance, process, entry_of(process, ((Given(1), True),)))
    assert reads is not None
    assert reads.given == (Given(1, (METADATA, Taken("[", "dataset"))),)
    for value in (ABSENT, None, 1.0, True, ("a",)):
        assert reads.of_call(lambda given, value=value: value) == (("samples", instance.samples),)
    assert reads.of_call(lambda given: "a") == (("samples['a']['x']", 2),)
