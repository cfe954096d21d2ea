"""Which results may be filed under step keys: records of chains with refusals anywhere, against what really ran."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from cachingclient.client.outcomes import Chains, Outcome
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.plan.record import StepRecord
from cachingclient.plan.steps import Action, PlannedStep
from cachingclient.plan.variants import OBSERVED
from cachingclient.storage import EntryInfo

GRAPHS = 2500


def planned(key: str, action: Action = Action.RUN, *before: str, step_key: str | None = "") -> PlannedStep:
    step_key = f"key of {key}" if step_key == "" else step_key
    return PlannedStep(key, key, action, step_key, "", None, True, frozenset(before))


def ran(key: str, **more: object) -> StepRecord:
    return StepRecord(key, key, "ran", **({"sound": True, "fact": f"fact of {key}"} | more))  # type: ignore[arg-type]


def filed(chains: Chains, *records: StepRecord) -> set[str]:
    """The steps that are filed under their keys once these records are in."""
    return {
        each.name
        for record in records
        for each in chains.take(record)
        if each.state == "sound" and each.fact and each.step_key is not None
    }


def test_a_step_waits_for_those_before_it() -> None:
    """Records come in any order: a step is filed when the whole chain before it is known."""
    steps = {"a": planned("a"), "b": planned("b", Action.RUN, "a")}
    chains = Chains(steps, {})
    assert filed(chains, ran("b")) == set()
    assert filed(chains, ran("a")) == {"a", "b"}


def test_a_refusal_is_passed_on() -> None:
    """What comes after a step that did not run as planned is not filed, and its reason names that step."""
    steps = {"a": planned("a"), "b": planned("b", Action.RUN, "a"), "c": planned("c", Action.RUN, "b")}
    chains = Chains(steps, {})
    refusal = ran("a", sound=False, fact="", note="not kept: on the worker, its code is not the client's")
    assert filed(chains, refusal, ran("b"), ran("c")) == set()
    assert chains.outcome("c").reason == "it took the result of 'a': on the worker, its code is not the client's"


@pytest.mark.parametrize("key", ["unknown", "of another client"])
def test_a_foreign_key_is_never_believed(key: str) -> None:
    """A result that another client's task gave, of which nobody tells, leaves all after it unfiled."""
    chains = Chains({"b": planned("b", Action.RUN, key)}, {})
    assert filed(chains, ran("b")) == set()


def test_an_alias_and_data_are_what_they_stand_for() -> None:
    """An alias is as sound as its target; data among a graph are what their key says."""
    steps = {
        "data": planned("data", Action.DATA),
        "a": planned("a", Action.RUN, "data"),
        "alias": planned("alias", Action.ALIAS, "a"),
        "b": planned("b", Action.RUN, "alias"),
    }
    assert filed(Chains(steps, {}), ran("b"), ran("a")) == {"a", "b"}


def test_a_changed_result_is_not_believed_any_more() -> None:
    """What a step changed in place is no result of its chain: later steps that take it are not filed."""
    steps = {"a": planned("a"), "b": planned("b", Action.RUN, "a"), "c": planned("c", Action.RUN, "a")}
    chains = Chains(steps, {})
    assert filed(chains, ran("a")) == {"a"}
    assert filed(chains, ran("b", sound=False, fact="", note="changed", spoiled=True), ran("c")) == set()


def test_traces_that_disagree_are_not_joined() -> None:
    """Two steps that saw one file in two states give no chain that could be looked up again."""
    old, new = (Trace(read={"/f": Fingerprint("/f", "file", size, 1)}) for size in (1, 2))
    steps = {"a": planned("a"), "b": planned("b", Action.RUN, "a")}
    chains = Chains(steps, {})
    assert filed(chains, ran("a", trace=old), ran("b", trace=new)) == {"a"}
    assert chains.outcome("b").reason == "/f changed between the steps"


@dataclass
class World:
    """One run of a random graph as it really went: which steps were right, and which records tell of it."""

    steps: dict[str, PlannedStep] = field(default_factory=dict)
    earlier: dict[str, Outcome] = field(default_factory=dict)
    right: dict[str, bool] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    records: list[StepRecord] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    @classmethod
    def drawn(cls, rng: random.Random) -> World:
        world = cls()
        for number in range(rng.randint(1, 14)):
            key = f"s{number}"
            before = rng.sample(sorted(world.right), min(len(world.right), rng.randint(0, 3)))
            kind = rng.choices(
                ["run", "refused", "load", "lost", "held", "foreign", "data", "alias", "silent", "mute", "uncacheable"],
                [12, 2, 2, 1, 2, 1, 1, 1, 1, 1, 1],
            )[0]
            if kind in ("load", "lost"):  # what is found has a key, and so has all before it
                before = [each for each in before if each in world.steps and world.steps[each].step_key is not None]
            getattr(world, f"_{kind}")(key, before, rng)
        world.records = in_order(world, rng)
        return world

    def _plan(self, key: str, action: Action, before: list[str], step_key: str | None = "") -> None:
        """Plan a step; one after an uncacheable step has no key either."""
        if any(each in self.steps and self.steps[each].step_key is None for each in before):
            step_key = None
        self.steps[key] = planned(key, action, *before, step_key=step_key)

    def _run(self, key: str, before: list[str], rng: random.Random) -> None:
        self._plan(key, Action.RUN, before)
        self.right[key] = all(self.right[each] for each in before)
        keeps = rng.random() < 0.8
        self.records.append(ran(key, fact=f"fact of {key}" if keeps else ""))
        self.told.add(key)
        if keeps:
            self.kept.add(key)

    def _refused(self, key: str, before: list[str], rng: random.Random) -> None:
        self._plan(key, Action.RUN, before)
        self.right[key] = False
        self.records.append(ran(key, sound=False, fact="", note="not kept: old code"))

    def _load(self, key: str, before: list[str], rng: random.Random) -> None:
        self._plan(key, Action.LOAD, before)
        info = EntryInfo(f"key of {key}", "result", key, "", "", 8, 1.0, 1.0, {OBSERVED: {}})
        self.steps[key].info = info
        self.right[key] = True  # whatever the steps before it, which did not run, would have given
        self.records.append(StepRecord(key, key, "loaded", sound=True))
        self.told.add(key)

    def _lost(self, key: str, before: list[str], rng: random.Random) -> None:
        """An entry that was lost: the step ran after all, under the plan of a load."""
        self._load(key, before, rng)
        self.records[-1] = ran(key)
        self.right[key] = all(self.right[each] for each in before)
        self.kept.add(key)

    def _held(self, key: str, before: list[str], rng: random.Random) -> None:
        """A step of an earlier run, whose outcome may be known or not."""
        self.steps[key] = planned(key, Action.HELD)
        state = rng.choice(["sound", "unsound", "waiting"])
        self.earlier[key] = Outcome(key, f"key of {key}", state)  # type: ignore[arg-type]
        self.right[key] = state == "sound"
        if rng.random() < 0.3:  # another step had that key
            self.earlier[key].step_key = "another"
            self.right[key] = False

    def _foreign(self, key: str, before: list[str], rng: random.Random) -> None:
        self.right[key] = False

    def _data(self, key: str, before: list[str], rng: random.Random) -> None:
        self.steps[key] = planned(key, Action.DATA)
        self.right[key] = True

    def _alias(self, key: str, before: list[str], rng: random.Random) -> None:
        self._plan(key, Action.ALIAS, before[:1])
        self.right[key] = all(self.right[each] for each in before[:1])

    def _silent(self, key: str, before: list[str], rng: random.Random) -> None:
        self._plan(key, Action.RUN, before)
        self.right[key] = all(self.right[each] for each in before)
        self.silent.add(key)

    def _mute(self, key: str, before: list[str], rng: random.Random) -> None:
        """A step whose record never arrives: its worker was killed."""
        self._plan(key, Action.RUN, before)
        self.right[key] = False

    def _uncacheable(self, key: str, before: list[str], rng: random.Random) -> None:
        self._plan(key, Action.RUN, before, None)
        self.right[key] = False
        if rng.random() < 0.5:
            self.records.append(ran(key, sound=None, fact=""))


def in_order(world: World, rng: random.Random) -> list[StepRecord]:
    """Records in a random order, but a refusal before the records of steps that took its result, however far down."""
    records = rng.sample(world.records, len(world.records))
    for refusal in [each for each in records if each.sound is False]:
        followers = downstream(world, refusal.key)
        first = next((at for at, each in enumerate(records) if each.key in followers), len(records))
        at = records.index(refusal)
        if first < at:
            records.insert(first, records.pop(at))
    if records and rng.random() < 0.3:  # one that is told twice, by a step that was sent again
        records.append(rng.choice(records))
    return records


def downstream(world: World, key: str) -> set[str]:
    found = {key}
    for each, step in world.steps.items():  # in the order of the graph
        if step.dependencies & found:
            found.add(each)
    return found - {key}


def test_no_unsound_link_is_made_and_every_sound_one_is() -> None:
    """2,500 random graphs with refusals, lost entries, foreign keys, earlier runs and killed workers anywhere."""
    links = refused = 0
    for seed in range(GRAPHS):
        world = World.drawn(random.Random(seed))
        chains = Chains(world.steps, world.earlier, world.silent)
        linked = filed(chains, *world.records)
        may = {key for key in world.kept if world.right[key] and world.steps[key].step_key is not None}
        assert linked <= may, f"seed {seed}: filed {linked - may}"
        assert linked == may, f"seed {seed}: not filed {may - linked}"
        links += len(linked)
        refused += len(world.kept - may)
    assert links > GRAPHS, "the graphs have sound chains"
    assert refused > GRAPHS / 2, "and unsound ones"
