"""`@step` called in plain Python and inside tasks: what counts, what is kept, and what is refused."""

from __future__ import annotations

import functools
import gc
import os
import pickle
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import dask
import numpy as np
import pytest

from cachingclient import CacheWarning, calls, step
from cachingclient.context import configured_context
from cachingclient.hashing.walk import identify
from cachingclient.memory import RecentResults, recent_results
from cachingclient.methods import names_read, what_it_reads
from cachingclient.notes import NoteKeeper
from cachingclient.storage import encode, open_store
from cachingclient.worker import process

if TYPE_CHECKING:
    from cachingclient import DiracClient

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _in_plain_python(store_url: str) -> Iterator[None]:
    """Steps use this test's store, with nothing in memory, and keep all results."""

    def forget() -> None:
        configured_context.cache_clear()
        recent_results().clear()
        process().not_worth.clear()
        calls._unknown.clear()
        calls._notes = NoteKeeper()

    forget()
    with dask.config.set({"cachingclient.store": store_url, "cachingclient.policy": "all"}):
        yield
    forget()


class Counter:
    """Counts calls without being part of any key."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        """Count one more."""
        self.count += 1

    def __cache_token__(self) -> str:
        return "a counter"


counter = Counter()


@pytest.fixture(autouse=True)
def _count_from_zero() -> None:
    """Each test counts its own calls."""
    counter.count = 0


def as_in_another_process() -> None:
    """Forget what this process remembers of results; what is in the store stays."""
    process().writer.flush()
    recent_results().clear()


@step
def double(values: Any) -> Any:
    """A step of one argument."""
    counter()
    return values * 2


def test_equal_calls_run_once() -> None:
    """The second call gets the first one's result, from memory; a call with other values runs."""
    assert [double(np.arange(3)).tolist() for _ in range(2)] == [[0, 2, 4]] * 2
    assert counter.count == 1
    assert double(np.arange(4)).tolist() == [0, 2, 4, 6]
    assert counter.count == 2


def test_a_result_is_found_in_the_store() -> None:
    """With nothing in memory the result comes from the store."""
    double(np.arange(3))
    as_in_another_process()
    assert double(np.arange(3)).tolist() == [0, 2, 4]
    assert counter.count == 1


def test_what_is_remembered_is_kept_in_each_store(tmp_path: Path) -> None:
    """A result that is in memory from work with one store still goes into another."""
    double(np.arange(3))
    other = (tmp_path / "other").as_uri()
    configured_context.cache_clear()
    with dask.config.set({"cachingclient.store": other}):
        double(np.arange(3))
    process().writer.flush()
    assert counter.count == 2
    assert [info.name for info in open_store(other).scan()] == ["double"]


def test_results_may_be_changed_by_who_gets_them() -> None:
    """What one caller does to a result in place is not seen by the next, nor by the store."""
    for _ in range(3):
        result = double(np.arange(3))
        assert result.tolist() == [0, 2, 4]
        result += 100
    as_in_another_process()
    assert double(np.arange(3)).tolist() == [0, 2, 4]


def test_a_step_that_changes_its_argument_is_not_kept() -> None:
    """It runs every time, and a warning says why."""

    @step
    def add_one(values: Any) -> Any:
        counter()
        values += 1
        return values.sum()

    with pytest.warns(CacheWarning, match="add_one changed what it was given"):
        assert add_one(np.arange(3)) == 6
    assert add_one(np.arange(3)) == 6
    assert counter.count == 2
    process().writer.flush()
    assert list(open_store(configured_context().store).scan()) == []  # type: ignore[union-attr]


def test_a_step_that_changes_its_object_is_not_kept() -> None:
    """A method that writes to self runs every time, so that what it writes is there."""

    class Counts:
        def __init__(self) -> None:
            self.seen = 0

        @step
        def look(self, value: int) -> int:
            self.seen += 1
            return value + self.seen

    counts = Counts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert [counts.look(1), counts.look(1), Counts().look(1)] == [2, 3, 2]
    assert counts.seen == 2


def test_steps_call_steps() -> None:
    """A step inside a step is looked up on its own: it is found when the outer one has to run."""

    def outer(factor: int) -> Any:
        @step
        def scaled(values: Any) -> Any:
            return double(values) * factor

        return scaled

    assert outer(3)(np.arange(3)).tolist() == [0, 6, 12]
    as_in_another_process()
    assert outer(5)(np.arange(3)).tolist() == [0, 10, 20]
    assert counter.count == 1


def test_a_failure_is_raised_and_not_kept() -> None:
    """A step that raises does so each time."""

    @step
    def fail(value: int) -> int:
        counter()
        raise ValueError(f"no {value}")

    for _ in range(2):
        with pytest.raises(ValueError, match="no 3"):
            fail(3)
    assert counter.count == 2


def test_a_store_that_fails_costs_the_keeping_only(tmp_path: Path) -> None:
    """With a store that can't be written the step gives its result all the same."""
    (tmp_path / "file").write_text("in the way")
    configured_context.cache_clear()
    with dask.config.set({"cachingclient.store": (tmp_path / "file").as_uri()}), warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert double(np.arange(3)).tolist() == [0, 2, 4]


def test_an_argument_without_identity_runs_the_step() -> None:
    """An open file has no content to go by: the step runs each time, and a warning says why."""

    @step
    def first_line(file: Any) -> str:
        counter()
        line: str = file.readline()
        return line

    with open(ROOT / "README.md") as file, pytest.warns(CacheWarning, match="step first_line: not kept: an open file"):
        assert first_line(file) != first_line(file)
    assert counter.count == 2


def test_steps_are_safe_in_threads() -> None:
    """Many threads that call the same steps get the right results."""
    results: dict[int, list[int]] = {}

    def work(number: int) -> None:
        results[number] = [int(double(np.array([value]))[0]) for value in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [[2 * value for value in range(20)]] * 4


def test_ignored_arguments_and_versions() -> None:
    """What is ignored changes no key, a version does."""

    def make(version: int) -> Any:
        @step(version=version, ignore=["threads"])
        def total(values: Any, threads: int = 1) -> int:
            counter()
            return int(values.sum())

        return total

    make(1)(np.arange(3), threads=1)
    make(1)(np.arange(3), threads=8)
    assert counter.count == 1
    make(2)(np.arange(3), threads=8)
    assert counter.count == 2


def test_arguments_count_however_they_are_given() -> None:
    """By position or by name, in any order, a call is the same; variadic arguments are told apart."""

    @step(ignore=["threads"])
    def count(a: int, /, b: int = 0, *more: int, threads: int = 1, **named: int) -> int:
        counter()
        return a + 10 * b + 100 * sum(more) + sum(named.values())

    assert count(1, 2) == count(1, b=2) == count(1, threads=4, b=2) == 21
    assert counter.count == 1
    assert count(1, 2, 3) == 321
    assert count(1, 2, x=1, y=2) == count(1, 2, y=2, x=1) == 24
    assert count(1, 2, a=3) == 24
    assert count(1, 2, b_=3) == 24
    assert counter.count == 5
    with pytest.raises(TypeError):
        count()  # type: ignore[call-arg]


def test_uncached_steps_run() -> None:
    """With cache=False every call runs."""

    @step(cache=False)
    def again(value: int) -> int:
        counter()
        return value

    assert (again(1), again(1), counter.count) == (1, 1, 2)


def test_a_draw_without_a_seed_is_drawn_each_time() -> None:
    """Two calls of a step that draws random numbers give two numbers."""

    @step
    def draw() -> float:
        return float(np.random.default_rng().random())

    with pytest.warns(CacheWarning, match="step draw: not kept: .* without a seed"):
        assert draw() != draw()


def test_results_of_a_limited_age_are_not_remembered_beyond_it() -> None:
    """A step with a time to live does not get results from memory, which knows no age."""

    @step(ttl=1e-9)
    def short(value: int) -> int:
        counter()
        return value

    short(1)
    process().writer.flush()
    short(1)
    assert counter.count == 2


# ---- methods ----


class Analysis:
    """An object with more attributes than one method reads."""

    threshold = 5

    def __init__(self) -> None:
        self.cut = 30
        self.label = "jets"
        self.opaque = (line for line in "ab")

    @step
    def select(self, pt: Any) -> Any:
        """Read an attribute, a class attribute, a property and another method."""
        counter()
        return pt[self.passes(pt) & (pt > self.threshold) & (pt < self.highest)]

    def passes(self, pt: Any) -> Any:
        """Read one attribute more."""
        return pt > self.cut

    @property
    def highest(self) -> int:
        """Read another."""
        return 10 * self.cut


def test_a_method_depends_on_what_it_reads() -> None:
    """Neither other attributes nor one without identity counts; what is read, directly or not, does."""
    pt = np.arange(100)
    analysis = Analysis()
    first = analysis.select(pt)
    analysis.label = "muons"
    analysis.opaque = (line for line in "c")
    assert analysis.select(pt).tolist() == first.tolist()
    assert Analysis().select(pt).tolist() == first.tolist()
    assert counter.count == 1
    analysis.cut = 40
    assert analysis.select(pt).tolist() == list(range(41, 100))
    analysis.threshold = 50
    assert analysis.select(pt).tolist() == list(range(51, 100))
    assert counter.count == 3


def test_what_other_methods_do_counts() -> None:
    """A method that is called through self counts with its code, from a subclass too."""

    class Tighter(Analysis):
        def passes(self, pt: Any) -> Any:
            return pt > self.cut + 10

    pt = np.arange(100)
    assert Analysis().select(pt)[0] == 31
    assert Tighter().select(pt)[0] == 41
    assert counter.count == 2


def test_a_step_of_a_method_counts_with_its_code() -> None:
    """A step that calls another step of the same object depends on that one's code."""

    def make(factor: int) -> Any:
        class Pair:
            @step
            def inner(self, value: int) -> int:
                return value * factor

            @step
            def outer(self, value: int) -> int:
                return int(self.inner(value)) + 1

        return Pair()

    assert (make(2).outer(1), make(3).outer(1)) == (3, 4)


USES: dict[str, tuple[Callable[..., Any], set[str] | None]] = {
    "attribute": (lambda self: self.cut, {"cut"}),
    "attribute of an attribute": (lambda self: self.cut.real, {"cut"}),
    "nested function": (lambda self: [self.cut + i for i in range(3)], {"cut"}),
    "lambda": (lambda self: (lambda: self.label)(), {"label"}),
    "both": (lambda self, x: self.cut + self.passes(x), {"cut", "passes"}),
    "passed on": (lambda self: repr(self), None),
    "by name": (lambda self: getattr(self, "cut"), None),  # noqa: B009
    "returned": (lambda self: self, None),
    "passed on by a lambda": (lambda self: (lambda: repr(self))(), None),
    "nothing": (lambda: 1, None),
}


@pytest.mark.parametrize("use", USES)
def test_reads_are_found_in_the_code(use: str) -> None:
    """Attributes are found where that is all that is done with self."""
    function, names = USES[use]
    assert names_read(function.__code__) == names


def writes(self: Any) -> None:
    """Write an attribute."""
    self.cut = 3


def adds(self: Any) -> None:
    """Add to an attribute."""
    self.cut += 3


def rebinds(self: Any) -> Any:
    """Let self be another."""
    self = self.other
    return self.cut


@pytest.mark.parametrize("function", [writes, adds, rebinds])
def test_who_writes_depends_on_all(function: Callable[..., Any]) -> None:
    """Code that writes to its object, or has self stand for another, depends on the whole object."""
    assert names_read(function.__code__) is None


class Base:
    """A class whose method is extended."""

    factor = 2

    def value(self) -> int:
        """Read a class attribute."""
        return self.factor


class Derived(Base):
    """A class that calls its base's method, answers to every name, and caches."""

    def value(self) -> int:
        """Use super(), which reads self without naming it."""
        return super().value() + 1

    @functools.cached_property
    def slow(self) -> int:
        """Read an attribute when first asked."""
        return self.factor * 10

    def uses_slow(self) -> int:
        """Read the cached property."""
        return self.slow

    def uses_class(self) -> Any:
        """Read what every object has."""
        return self.__class__

    def uses_missing(self) -> Any:
        """Read what is not there."""
        return self.missing  # type: ignore[attr-defined]


class Answering(Base):
    """A class that answers to every name."""

    def __getattr__(self, name: str) -> str:
        return name

    def uses_missing(self) -> Any:
        """Read what is not there."""
        return self.missing


class Slotted:
    """A class with slots."""

    __slots__ = ("cut", "other")

    def uses(self) -> Any:
        """Read a slot."""
        return self.cut


def test_reads_are_resolved_as_the_interpreter_does() -> None:
    """Class attributes, cached properties, slots and missing names are found; where that fails all of it counts."""
    derived, answering, slotted = Derived(), Answering(), Slotted()
    slotted.cut = 3
    assert what_it_reads(derived, Base.value) == (("factor", 2),)
    assert what_it_reads(derived, Derived.value) is derived
    assert dict(what_it_reads(derived, Derived.uses_slow))["factor"] == 2  # type: ignore[call-overload]
    assert derived.slow == 20
    assert what_it_reads(derived, Derived.uses_slow) == (("slow", 20),)
    assert what_it_reads(derived, Derived.uses_class) is derived
    assert what_it_reads(derived, Derived.uses_missing) == (("missing", "not set"),)
    assert what_it_reads(answering, Answering.uses_missing) is answering
    assert what_it_reads(slotted, Slotted.uses) == (("cut", 3),)


def test_bound_steps_travel() -> None:
    """A bound step is pickled with its object and gives the same."""
    by_value = cloudpickle.loads(cloudpickle.dumps(Analysis.__new__(Analysis)))
    by_value.cut = 30
    bound = pickle.loads(cloudpickle.dumps(by_value.select))
    assert bound.__name__ == "select"
    assert bound(np.arange(40)).tolist() == list(range(31, 40))


def test_static_and_class_methods_may_be_steps() -> None:
    """A step under staticmethod or classmethod is called as Python does."""

    class Kinds:
        @staticmethod
        @step
        def plain(value: int) -> int:
            return value + 1

        @classmethod
        @step
        def named(cls, value: int) -> str:
            return f"{cls.__name__} {value}"

    assert (Kinds.plain(1), Kinds().plain(1)) == (2, 2)
    assert (Kinds.named(1), Kinds().named(1)) == ("Kinds 1", "Kinds 1")


# ---- memory ----


def test_memory_is_bounded_by_bytes() -> None:
    """The least recently used results are dropped when the room is used up; a large one is not held at all."""
    payload = encode(b"x" * 1000)
    recent = RecentResults(most_bytes=4 * payload.nbytes)
    for key in "abcd":
        recent.add(key, payload)
    assert recent.get("a") == (b"x" * 1000, 0.0)
    recent.add("e", payload)
    assert [key in recent for key in "abcde"] == [True, False, True, True, True]
    recent.add("f", encode(b"x" * 2000))
    assert "f" not in recent
    assert recent.nbytes <= recent.most_bytes


def test_memory_is_as_large_as_the_setting_says() -> None:
    """With none, equal calls run again and results are right."""
    with dask.config.set({"cachingclient.recent-results": 0}):
        recent_results.cache_clear()
        recent_results().add("ab" * 16, encode([1]))
        assert len(recent_results()) == 0
    recent_results.cache_clear()
    assert recent_results().most_bytes == 256_000_000


def test_memory_holds_nothing_alive() -> None:
    """Results are held as bytes: the arrays that went in are free to go."""
    values = np.arange(10)
    reference = weakref.ref(values)
    recent = RecentResults(most_bytes=10**6)
    recent.add("a", encode(values))
    del values
    gc.collect()
    assert reference() is None
    assert recent.get("a")[0].tolist() == list(range(10))


# ---- on a cluster ----


def test_steps_inside_a_task_are_kept_on_the_worker(make_client: Callable[..., DiracClient], store_url: str) -> None:
    """An opaque task that has to run again finds the results of its steps in the client's store."""

    def make(offset: int) -> Any:
        @step
        def slow(value: int) -> int:
            return value * 10

        def opaque(value: int) -> int:
            return int(slow(value)) + offset

        return opaque

    with_one = make_client()
    assert with_one.submit(make(1), 4).result() == 41
    with_one.flush()
    assert {info.name for info in open_store(store_url).scan() if info.kind == "result"} == {"opaque", "slow"}
    again = make_client()
    assert again.submit(make(2), 4).result() == 42
    report = again.report
    assert report is not None
    assert {(record.name, record.action) for record in report.records} == {("slow", "cut off"), ("opaque", "ran")}


def test_steps_inside_a_task_that_always_runs(make_client: Callable[..., DiracClient], store_url: str) -> None:
    """Steps in a task that is itself never kept use the client's store, not the configured one."""

    @step
    def slow(value: int) -> int:
        return value * 10

    def opaque(value: int) -> int:
        return int(slow(value)) + 1

    first = make_client()
    assert first.submit(opaque, 4, pure=False).result() == 41
    first.flush()
    assert {info.name for info in open_store(store_url).scan() if info.kind == "result"} == {"slow"}


def test_an_equal_call_saves_what_the_first_took(client: DiracClient) -> None:
    """The report counts the time of the run in place of which a result came from the worker's memory."""

    @step
    def slow(value: int) -> float:
        return float(np.linalg.svd(np.full((300, 300), value) + np.eye(300))[1][0])

    def opaque(value: int) -> bool:
        return slow(value) == slow(value)

    assert client.submit(opaque, 4).result()
    assert client.report is not None
    records = {record.action: record for record in client.report.records if record.name == "slow"}
    assert records["cut off"].saved == records["ran"].seconds


def test_variadic_arguments_in_a_graph(make_client: Callable[..., DiracClient]) -> None:
    """Results of other tasks count by what they are, also among variadic arguments and beside ignored ones."""

    @step(ignore=["threads"])
    def total(*values: int, threads: int = 1) -> int:
        return sum(values)

    def graph(value: int) -> Any:
        return dask.delayed(total)(dask.delayed(int)(value, dask_key_name="input"), 1, threads=value)

    client = make_client()
    assert client.compute(graph(1), sync=True) == 2
    client.flush()
    other = make_client()
    assert other.compute(graph(5), sync=True) == 6
    assert make_client().compute(graph(1), sync=True) == 2


def test_a_bound_step_in_a_graph(make_client: Callable[..., DiracClient]) -> None:
    """A method that is a step depends, as a task too, only on what it reads."""

    class Selection:
        def __init__(self) -> None:
            self.cut, self.label = 30, "jets"

        @step
        def select(self, pt: Any) -> Any:
            return pt[pt > self.cut]

    analysis = Selection()
    first = make_client()
    assert first.submit(analysis.select, np.arange(40)).result().tolist() == list(range(31, 40))
    first.flush()
    analysis.label = "other"
    second = make_client()
    assert second.submit(analysis.select, np.arange(40)).result().tolist() == list(range(31, 40))
    assert [planned.action for planned in second.reports[-1].plan.steps.values()] == ["load"]


PROGRAM = """
import concurrent.futures, sys
import loky
from steps import total

if __name__ == "__main__":
    pool = {"loky": loky.ProcessPoolExecutor, "processes": concurrent.futures.ProcessPoolExecutor}[sys.argv[1]]
    with pool(max_workers=1) as executor:
        print(executor.submit(total, 5).result())
"""
STEPS = """
import sys
from cachingclient import step

@step
def total(value):
    print("ran", file=sys.stderr)
    return sum(range(value))
"""


@pytest.mark.parametrize("pool", ["loky", "processes"])
def test_steps_in_pools_are_kept(pool: str, tmp_path: Path, store_url: str) -> None:
    """In the processes of a pool, which end abruptly, results are kept too: a second program runs nothing."""
    pytest.importorskip("loky")
    (tmp_path / "main.py").write_text(PROGRAM)
    (tmp_path / "steps.py").write_text(STEPS)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "DASK_CACHINGCLIENT__STORE": store_url,
        "DASK_CACHINGCLIENT__POLICY": "all",
    }
    outputs = [
        subprocess.run(
            [sys.executable, "main.py", pool],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        for _ in range(2)
    ]
    assert [output.stdout for output in outputs] == ["10\n", "10\n"]
    assert [output.stderr.count("ran") for output in outputs] == [1, 0]


@step(resources={"cores": 2, "memory": "4 GB"})
def demanding(x: int) -> int:
    return x + 1


def annotated(client: DiracClient) -> dict[str, Any]:
    """What the tasks that the scheduler has ask of workers, by key."""

    def look(dask_scheduler: Any) -> dict[str, Any]:
        return {key: (task.annotations or {}).get("needs") for key, task in dask_scheduler.tasks.items()}

    return client.run_on_scheduler(look)


def test_resources_go_with_the_tasks_that_run(make_client: Callable[..., DiracClient]) -> None:
    """A cluster that heeds them is told by whichever way the step is sent; a load needs nothing of the kind."""
    cold = make_client()
    futures = [
        cold.submit(demanding, 1, key="demanding-submitted"),
        *cold.map(demanding, [2], key="demanding-mapped"),
        cold.compute(dask.delayed(demanding)(3, dask_key_name="demanding-delayed")),
    ]
    assert cold.gather(futures) == [2, 3, 4]
    asked = annotated(cold)
    assert [asked[future.key] for future in futures] == [{"cores": 2, "memory": "4 GB"}] * 3
    del futures
    cold.close()
    warm = make_client()
    future = warm.compute(dask.delayed(demanding)(3, dask_key_name="demanding-delayed"))
    assert future.result() == 4
    assert annotated(warm)[future.key] is None


def test_resources_are_no_part_of_a_key() -> None:
    """What a step needs of its worker changes no result."""
    other = step(resources={"gpus": 1})(demanding.function)
    assert identify(other).digest == identify(demanding).digest


@pytest.mark.parametrize("resources", [{"cores": 0}, {"memory": "much"}, {"gpus": True}, {7: 1}])
def test_resources_that_no_worker_can_have(resources: Any) -> None:
    """They are refused where the step is marked."""
    with pytest.raises(ValueError, match="resources has"):
        step(resources=resources)(len)
