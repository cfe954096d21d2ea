"""Random numbers that a step draws without a seed."""

import copy
import importlib
import os
import pickle
import random
import secrets
import sys
import tempfile
import threading
import uuid

import numba
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from cachingclient.worker.observe import observing, unobserved


@numba.njit
def compiled():
    return np.random.normal()


@pytest.mark.parametrize(
    ("drawing", "source"),
    [
        (random.random, "random"),
        (lambda: random.gauss(0, 1), "random"),
        (lambda: np.random.normal(size=3), "numpy.random"),
        (lambda: np.random.randint(3), "numpy.random"),
        (lambda: np.random.permutation(5), "numpy.random"),
        (lambda: scipy.stats.norm.rvs(0, 1, size=3), "numpy.random"),
        (lambda: scipy.stats.poisson(1000).rvs(size=5), "numpy.random"),
        (lambda: pd.Series(range(100)).sample(5), "numpy.random"),
        (lambda: compiled(), "numba's generators"),
        (lambda: np.random.default_rng(), "the system's entropy"),
        (lambda: np.random.Generator(np.random.PCG64()), "the system's entropy"),
        (lambda: np.random.RandomState(), "the system's entropy"),
        (lambda: scipy.stats.qmc.Sobol(2).random(4), "the system's entropy"),
        (lambda: random.SystemRandom().random(), "the system's entropy"),
        (lambda: random.Random().random(), "a generator that was given no seed"),
        (lambda: secrets.randbelow(10**9), "secrets"),
        (lambda: secrets.token_hex(), "secrets"),
        (lambda: __import__("os").urandom(8), "os.urandom"),
        (lambda: uuid.uuid4(), "uuid4"),
        (lambda: tempfile.mktemp(), "the name of a temporary file"),
        (lambda: random.seed(), "random"),
        (lambda: np.random.seed(), "numpy.random"),
        (lambda: copy.deepcopy(np.random.mtrand._rand).normal(), "numpy.random"),
        (lambda: pickle.loads(pickle.dumps(np.random.mtrand._rand)).normal(), "numpy.random"),
        (lambda: copy.deepcopy(scipy.stats.norm).rvs(), "numpy.random"),
        (lambda: np.random.RandomState().set_state(np.random.get_state()), "numpy.random"),
        (lambda: np.random.default_rng(np.random.get_state()[1]).normal(), "numpy.random"),
        (lambda: copy.copy(random._inst).random(), "random"),
        (lambda: random.Random(random.getstate()[1][0]).random(), "random"),
    ],
)
def test_each_way_of_drawing_is_seen(drawing, source):
    """Whatever its code is called: the generator has moved, or entropy was asked for."""
    with observing() as seen:
        drawing()
    assert source in seen.drew


@pytest.mark.parametrize(
    ("drawing", "better"),
    [
        (lambda: np.random.Generator(np.random.Philox(key=5)).random(), "Philox(seed) doesn't"),
        (lambda: np.random.PCG64(5).jumped(2).random_raw(), "SeedSequence(seed).spawn() doesn't"),
    ],
)
def test_what_asks_for_entropy_without_a_use_is_told_with_what_does_not(drawing, better):
    """It can't be seen that it is not used; the reason says what to write."""
    with observing() as seen:
        drawing()
        np.random.RandomState(7).normal()  # takes back its own alone
    (source,) = seen.drew
    assert source.startswith("the system's entropy; numpy's ")
    assert source.endswith(better)
    with observing() as seen:
        np.random.Generator(np.random.Philox(5)).random()
        np.random.Generator(np.random.PCG64(np.random.SeedSequence(5).spawn(3)[2])).random()
    assert seen.drew == set()


def test_the_second_of_two_normal_numbers_is_a_draw_too():
    """numpy makes normal numbers by pairs and keeps the second for later."""
    np.random.seed(1)
    np.random.normal()
    with observing() as seen:
        np.random.normal()
    assert seen.drew == {"numpy.random"}


@pytest.mark.parametrize(
    "drawing",
    [
        lambda: (random.seed(1), random.random()),
        lambda: (np.random.seed(1), np.random.normal(), scipy.stats.norm.rvs()),
        lambda: (np.random.seed(seed=1), np.random.normal()),
        lambda: np.random.default_rng(7).normal(),
        lambda: np.random.RandomState(7).normal(),
        lambda: random.Random(7).random(),
        lambda: pd.Series(range(100)).sample(5, random_state=7),
        lambda: scipy.stats.norm.rvs(random_state=7),
        lambda: random.setstate(random.Random(7).getstate()) or random.random(),
        lambda: pickle.loads(pickle.dumps(np.random.RandomState(7))).normal(),
        lambda: pickle.loads(pickle.dumps(np.random.default_rng(7))).normal(),
        lambda: copy.deepcopy(np.random.default_rng(7)).normal(),
    ],
)
def test_what_is_drawn_from_a_seed_is_no_draw(drawing):
    """It is the same whenever the step runs."""
    with observing() as seen:
        drawing()
    assert not seen.drew
    assert not seen.perhaps_drew


def test_a_draw_before_the_seed_is_a_draw():
    """Only what comes after the seed is known."""
    with observing() as seen:
        random.random()
        random.seed(1)
    assert seen.drew == {"random"}


def test_a_generators_state_that_is_saved_and_put_back_hides_no_draw():
    """The state is the same at the end, and the numbers were drawn all the same."""
    with observing() as seen:
        before = np.random.get_state()
        np.random.normal(size=2)
        np.random.set_state(before)
    assert seen.drew == {"numpy.random"}


def numpys(drawing):
    before = np.random.get_state()
    np.random.seed(1)
    drawing()
    np.random.set_state(before)


def pythons(drawing):
    before = random.getstate()
    random.seed(1)
    drawing()
    random.setstate(before)


@pytest.mark.parametrize(
    ("kept", "draw", "source"),
    [(numpys, np.random.normal, "numpy.random"), (pythons, random.random, "random")],
)
def test_a_generator_that_gets_its_state_back(kept, draw, source):
    """What is drawn of a seed meanwhile is no draw; what is drawn afterwards goes on from what nobody knows."""
    draw()
    with observing() as seen:
        kept(draw)
        kept(lambda: kept(draw))
    assert seen.drew == set()
    with observing() as seen:
        kept(draw)
        draw()
    assert seen.drew == {source}


def test_entropy_that_names_something_is_no_draw(tmp_path):
    """Temporary files, and identifiers that libraries make for themselves."""
    import dask.sizeof
    import rich.style
    from distributed.protocol.compression import byte_sample
    from urllib3.filepost import choose_boundary

    with observing() as seen:
        with tempfile.NamedTemporaryFile(dir=tmp_path), tempfile.TemporaryDirectory(dir=tmp_path):
            pass
        choose_boundary()
        rich.style.Style(link="https://dask.org")
        dask.sizeof.sizeof([[]] * 100)
        byte_sample(memoryview(bytes(10_000)), 100, 5)  # of what is spilled
        dask.delayed(abs)(-1).compute(scheduler="sync")
        sys.modules.pop("random")
        try:
            importlib.import_module("random")
        finally:
            sys.modules["random"] = random
    assert not seen.drew


def test_a_draw_while_two_steps_run_may_be_either_ones():
    """The generators are the process's: both steps are told that it may have been they."""
    inside, drawn = threading.Event(), threading.Event()
    others = []

    def other():
        with observing() as its:
            others.append(its)
            inside.set()
            drawn.wait(10)

    with unobserved():
        thread = threading.Thread(target=other)
        thread.start()
    inside.wait(10)
    with observing() as seen:
        np.random.normal()
    drawn.set()
    thread.join()
    assert not seen.drew
    assert seen.perhaps_drew == {"numpy.random"}
    assert others[0].perhaps_drew == {"numpy.random"}


def test_a_step_that_draws_nothing_is_told_so():
    """Arrays, sorting and hashing draw nothing."""
    with observing() as seen:
        np.sort(np.arange(100)[::-1]).sum()
        hash("text")
        pd.Series(range(10)).sum()
    assert not seen.drew
    assert not seen.perhaps_drew


def test_the_name_of_a_temporary_folder_is_drawn_if_it_stays(tmp_path):
    """A folder that is left under a name that tempfile drew is another one each time; one that goes is nothing."""
    with observing() as seen:
        tempfile.mkdtemp(dir=tmp_path)
    assert seen.drew == {"the name of a folder that is left behind"}
    with observing() as seen:
        tempfile.TemporaryDirectory(dir=tmp_path).cleanup()
        os.rename(tempfile.mkdtemp(dir=tmp_path), tmp_path / "named")
        os.mkdir(tmp_path / "named by the user")
    assert seen.drew == set()
