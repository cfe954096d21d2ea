"""For which step something counts: threads, pools, nested and concurrent steps, coroutines, forks."""

import asyncio
import concurrent.futures
import contextvars
import linecache
import os
import sys
import threading

import pytest

from cachingclient.worker.observe import audit, describe, doors, observing, unobserved


def read(path):
    with open(path) as file:
        return file.read()


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "jec.json"
    path.write_text('{"sf": 2}')
    return str(path)


@pytest.fixture
def lasting_pool():
    """A pool whose threads belong to nobody."""
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="library") as pool:
        pool.submit(abs, 1).result()
        yield pool


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


def test_a_thread_that_the_step_starts_works_for_it(table):
    """Also where two steps run at the same time."""
    with observing() as seen:
        in_thread(read, table)
    assert list(seen.reads) == [table]


def test_subclasses_of_threads_run_as_they_are(table):
    """A thread with a `run` of its own is observed, once, and shows its own method again."""

    class Reader(threading.Thread):
        def run(self):
            self.text = read(table)

    with observing() as seen:
        reader = Reader()
        reader.start()
        reader.join()
    assert reader.text == '{"sf": 2}'
    assert list(seen.reads) == [table]
    assert "run" not in vars(reader)


def test_what_a_step_gives_to_a_lasting_pool_counts_for_it_alone(table, lasting_pool):
    """A call that is submitted carries its step along; another step that runs has not read anything."""
    with observing() as seen:
        started, go = threading.Event(), threading.Event()
        others = []

        def other():
            with observing() as its:
                others.append(its)
                started.set()
                go.wait(10)

        with unobserved():
            thread = threading.Thread(target=other)
            thread.start()
        started.wait(10)
        assert lasting_pool.submit(read, table).result() == '{"sf": 2}'
        go.set()
        thread.join()
    assert list(seen.reads) == [table]
    assert not others[0].reads


def test_a_thread_that_belongs_to_nobody_works_for_whoever_runs(table):
    """A library's own thread takes its work from a queue: it counts for each step that runs."""
    import queue

    orders, done = queue.Queue(), queue.Queue()

    def serve():
        while (path := orders.get()) is not None:
            done.put(read(path))

    server = threading.Thread(target=serve)
    server.start()
    with observing() as seen:
        orders.put(table)
        done.get(timeout=10)
    orders.put(None)
    server.join()
    assert list(seen.reads) == [table]


def test_steps_that_run_in_other_threads_are_told_apart(tmp_path):
    """Each step has read its own file only."""
    together = threading.Barrier(4)

    def step(number):
        path = tmp_path / str(number)
        path.write_text("x")
        with observing() as seen:
            together.wait(10)
            read(path)
            together.wait(10)
        return [os.path.basename(path) for path in seen.reads]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(step, range(4))) == [["0"], ["1"], ["2"], ["3"]]


def test_a_thread_that_outlives_its_step_adds_nothing(table):
    """What it opens later belongs to no step, or to those that run then."""
    go = threading.Event()

    def late():
        go.wait(10)
        read(table)

    with observing() as first:
        thread = threading.Thread(target=late)
        thread.start()
    with observing() as second:
        go.set()
        thread.join()
    assert not first.reads
    assert list(second.reads) == [table]


def test_a_step_in_a_step_counts_for_both(table, tmp_path):
    """What the inner one reads, the outer one read as well."""
    other = tmp_path / "other"
    other.touch()
    with observing() as outer:
        read(other)
        with observing() as inner:
            read(table)
    assert list(inner.reads) == [table]
    assert list(outer.reads) == [str(other), table]


def test_an_error_ends_an_observation(table):
    """What a failed step read is told, and nothing after it."""
    with pytest.raises(ZeroDivisionError), observing() as seen:
        read(table + str(1 / 0)) if read(table) else None
    read(__file__)
    assert list(seen.reads) == [table]


async def test_coroutines_are_told_apart(tmp_path):
    """Two coroutines of one thread have each its own observation."""
    reads = {}

    async def step(number, turn, following):
        path = tmp_path / str(number)
        path.write_text("x")
        with observing() as seen:
            await turn.wait()
            read(path)
            following.set()
            await asyncio.sleep(0)
        reads[number] = [os.path.basename(path) for path in seen.reads]

    first, second, last = asyncio.Event(), asyncio.Event(), asyncio.Event()
    first.set()
    await asyncio.gather(step(1, first, second), step(2, second, last))
    assert reads == {1: ["1"], 2: ["2"]}


def test_work_in_anothers_event_loop_counts(table):
    """What is sent to a loop in another thread, as fsspec does, counts for the step that sent it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def work():
        return read(table)

    with observing() as seen:
        asyncio.run_coroutine_threadsafe(work(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert list(seen.reads) == [table]


def test_a_forked_child_goes_on_and_the_step_says_that_it_forked(table):
    """The child can observe steps of its own; what it reads nobody tells the parent."""
    with observing() as seen:
        ours, theirs = os.pipe()
        if (child := os.fork()) == 0:
            try:
                with observing() as inner:
                    read(table)
                os.write(theirs, repr(list(inner.reads)).encode())
            finally:
                os._exit(0)
        os.close(theirs)
        told = os.read(ours, 1000)
        os.waitpid(child, 0)
        os.close(ours)
    assert told.decode() == repr([table])
    assert seen.processes == {"fork"}
    assert not seen.reads


def test_the_cache_itself_is_not_observed(table):
    """Neither in the step's thread nor in one that is started meanwhile."""
    with observing() as seen, unobserved():
        read(table)
        in_thread(read, table)
    assert not seen.reads


def test_somebody_elses_hook_keeps_its_say(table):
    """A hook that forbids to open a file does so; the step sees its error, and the observation goes on."""
    forbidden = table + ".forbidden"

    def hook(event, args):
        if event == "open" and args[0] == forbidden:
            raise PermissionError("forbidden by a hook")

    sys.addaudithook(hook)
    with observing() as seen:
        with pytest.raises(PermissionError, match="by a hook"):
            read(forbidden)
        assert read(table) == '{"sf": 2}'
    assert table in seen.reads


def test_a_fault_of_the_recorder_never_reaches_the_step(table, monkeypatch):
    """It is told as something unknown instead."""
    from cachingclient.worker.observe import places

    def broken(path):
        raise RuntimeError("no")

    monkeypatch.setattr(places, "resolve", broken)
    with observing() as seen:
        assert read(table) == '{"sf": 2}'
    assert seen.unknown == {"open could not be recorded: RuntimeError: no"}
    assert describe(seen) == ["open could not be recorded: RuntimeError: no"]


def test_a_fault_at_the_end_never_reaches_the_step(table, monkeypatch):
    """Nor at the beginning: both are told."""
    from cachingclient.worker.observe import generators
    from cachingclient.worker.observe.record import Observed

    def broken(*args):
        raise RuntimeError("no")

    monkeypatch.setitem(generators._generators, "broken", broken)
    monkeypatch.setattr(Observed, "close", broken)
    with observing() as seen:
        read(table)
    assert seen.unknown == {
        "generators of random numbers can't be looked at: RuntimeError: no",
        "the observation could not be ended: RuntimeError: no",
    }


def test_steps_by_the_hundred_in_many_threads_keep_apart(tmp_path):
    """Each of 400 steps in 8 threads has read its own file, by a pool of its own, and nothing else."""
    for number in range(400):
        (tmp_path / str(number)).touch()

    def step(number):
        with observing() as seen, concurrent.futures.ThreadPoolExecutor(2) as inner:
            list(inner.map(read, [tmp_path / str(number)] * 3))
        return list(seen.reads), seen.unknown

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(step, range(400))) == [([str(tmp_path / str(n))], set()) for n in range(400)]


def test_what_counts_for_no_step_is_not_looked_at(table, monkeypatch):
    """The workers' profiler asks for a line of each frame of each sample, beside the steps: no caller is looked for."""
    looked: list[str] = []
    monkeypatch.setattr(doors, "tell", lambda *args: looked.append("a door"))
    monkeypatch.setattr(audit, "who_opens", lambda frame: looked.append("an event") or frame)

    def profile():
        linecache.getlines(__file__)
        read(table)

    with observing():
        thread = threading.Thread(target=contextvars.Context().run, args=[profile], name="Profile")
        threading.Thread.start(thread)
        thread.join()
        assert looked == []
        profile()
    assert set(looked) == {"a door", "an event"}
