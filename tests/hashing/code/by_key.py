"""Small programs that take parts of containers by what their caller gives, honestly and otherwise."""

from __future__ import annotations

from typing import NamedTuple

SOURCE = """
from collections import OrderedDict, UserDict, defaultdict
from contextlib import nullcontext
from functools import cached_property, wraps
from types import SimpleNamespace

{before}

class Events:
    fields = ['pt']
    def __init__(self, dataset, number):
        self.metadata = {{'dataset': dataset, 'number': number}}
    def __len__(self):
        return 3

def poison(events):
    events.metadata['dataset'] = 'a'

class First(dict):
    def __getitem__(self, key):
        return dict.__getitem__(self, 'a')

class Missing(dict):
    def __missing__(self, key):
        return self['a']

class Key(str):
    def __eq__(self, other):
        return True
    def __hash__(self):
        return hash('b')

class Base:
    def first(self):
        return self.samples['a']

class Program(Base):
    def __init__(self):
        {samples}
        self.other = 'a'
        {init}
    {methods}
    def weight(self, dataset='a', other='a'):
        return self.samples[dataset]['x']
    def of(self, events):
        return self.samples[events.metadata['dataset']]['x']
    def spoil(self, events):
        events.metadata['dataset'] = 'a'
    def process(self, events):
        {body}
{after}
"""


SAMPLES = "SAMPLES = {'a': {'x': 2, 'name': 'A'}, 'b': {'x': 3, 'name': 'B'}}"


class Program(NamedTuple):
    """A program: what ``process`` does after ``d`` holds the data set, and what else there is."""

    body: str
    init: str = "pass"
    methods: str = "pass"
    after: str = ""
    before: str = ""

    @property
    def source(self) -> str:
        """The whole of it."""
        body = self.body if self.body.startswith("-") else f"d = events.metadata['dataset']\n{self.body}"
        lines = {"body": (body.removeprefix("-"), 8), "init": (self.init, 8), "methods": (self.methods, 4)}
        shown = {name: text.replace("\n", "\n" + " " * indent) for name, (text, indent) in lines.items()}
        own = "self.samples = SAMPLES" if self.before else SAMPLES.replace("SAMPLES", "self.samples")
        return SOURCE.format(**shown, after=self.after, before=self.before, samples=own)


X = "return self.samples[d]['x']"
OWN: dict[str, Program] = {
    "a variable": Program(X),
    "the entry itself": Program("-return self.samples[events.metadata['dataset']]['x']"),
    "by get": Program("return self.samples.get(d)['x']"),
    "by get with another value": Program("return self.samples.get(d, 0)['x']"),
    "of metadata by get": Program("-d = events.metadata.get('dataset')\n" + X),
    "of a list": Program("return self.row[events.metadata['number']]", "self.row = [0, self.samples['a'], 4]"),
    "of a number": Program("return self.n[events.metadata['number']]", "self.n = {1: self.samples['a'], 2: 3}"),
    "of a container in another": Program("return self.c['s'][d]['x']", "self.c = {'s': self.samples}"),
    "of an object": Program("return self.c.s[d]['x']", "self.c = SimpleNamespace(s=self.samples)"),
    "unpacked": Program("return dict(**self.samples[d])"),
    "a part with a name": Program("s = self.samples[d]\nreturn s['x'] + len(s)"),
    "another name for the key": Program("k = d\nreturn self.samples[k]['x']"),
    "in a comprehension": Program("return [self.samples[d]['x'] for _ in range(2)]"),
    "in a generator expression": Program("return sum(self.samples[d]['x'] for _ in range(2))"),
    "in a lambda": Program("return (lambda: self.samples[d]['x'])()"),
    "in a function inside": Program("def f():\n    return self.samples[d]['x']\nreturn f()"),
    "by another method": Program("return self.weight(d)"),
    "by a method that gets events": Program("-return self.of(events)"),
    "before the key is another": Program("x = self.samples[d]['x']\nd = 'a'\nreturn x, d"),
    "before a loop that changes it": Program(
        "x = self.samples[d]['x']\nfor s in 'cd':\n    if d.startswith(s):\n        d = d.split('_')[0]\nreturn x, d"
    ),
    "where it may be missing": Program(
        "try:\n    s = self.samples[d]\nexcept KeyError:\n    s = {'x': 1}\nreturn s['x']"
    ),
    "beside a match": Program(
        "match d:\n    case 'a':\n        f = 1\n    case _:\n        f = 2\nreturn self.samples[d]['x'] * f"
    ),
    "on both branches": Program(
        "-if self.other:\n    d = events.metadata['dataset']\nelse:\n    d = events.metadata['dataset']\n" + X
    ),
    "after the columns are named": Program("-f = 'pt' in events.fields\nd = events.metadata['dataset']\n" + X),
    "inherited": Program("return 1", methods="process = None", after="Base.process = lambda self, events: self.samples["
                         "events.metadata['dataset']]['x']\ndel Program.process"),
}  # fmt: skip
"""Those of which only the data set's own sample counts."""

ALL: dict[str, Program] = {
    "the container by another name": Program("s = self.samples\nreturn s[d]['x']"),
    "the container passed on": Program("return (lambda s: s[d]['x'])(self.samples)"),
    "the container unpacked": Program("return dict(**self.samples)[d]['x']"),
    "asked for": Program("return self.samples[d]['x'], 'a' in self.samples"),
    "its length": Program("return self.samples[d]['x'], len(self.samples)"),
    "gone through": Program("return [s['x'] for s in self.samples.values()], self.samples[d]"),
    "over data sets": Program("return [self.samples[d]['x'] for d in ['a', 'b']]"),
    "one of two": Program("return (self.samples if d == 'a' else {'b': self.samples['a']})[d]['x']"),
    "the key bound again": Program("d = self.other\n" + X),
    "on one branch": Program("if len(events):\n    d = 'a'\n" + X),
    "in a loop": Program("x = 0\nfor _ in range(2):\n    x += self.samples[d]['x']\n    d = 'a'\nreturn x"),
    "in a while": Program(
        "x = 0\nwhile x < 5:\n    x += self.samples[d]['x']\n    if x > 2:\n        d = 'a'\nreturn x"
    ),
    "before an error": Program(
        "try:\n    d = {}['a']\nexcept KeyError:\n    d = 'a'\nfinally:\n    x = self.samples[d]\nreturn x"
    ),
    "after an error": Program("try:\n    d = 'a'\n    raise ValueError\nexcept ValueError:\n    pass\n" + X),
    "by a function inside": Program("def f():\n    nonlocal d\n    d = 'a'\nf()\n" + X),
    "in a try that fails": Program(
        "-try:\n    d = 'a'\n    int('x')\n    d = events.metadata['dataset']\nexcept ValueError:\n    pass\n" + X
    ),
    "bound to one of two": Program("-d = 'a' if self.other else events.metadata['dataset']\n" + X),
    "by a walrus": Program("(d := 'a')\n" + X),
    "added to": Program("d += ''\nd = d.replace('b', 'a')\n" + X),
    "by for": Program("for d in ['a']:\n    pass\n" + X),
    "by with": Program("with nullcontext('a') as d:\n    pass\n" + X),
    "by a match": Program("match ['a']:\n    case [d]:\n        pass\n" + X),
    "by unpacking": Program("n = 1\nn, d = d, 'a'\n" + X),
    "by a chain": Program("-a = d = events.metadata['dataset']\nd = 'a'\nreturn self.samples[d]['x'], a"),
    "after del": Program("del d\nd = 'a' if self.other else 'b'\n" + X),
    "of an argument inside": Program("return (lambda d: self.samples[d]['x'])('a')"),
    "of a function that runs later": Program("f = lambda: self.samples[d]['x']\nd = 'a'\nreturn f()"),
    "of a generator that runs later": Program("g = (self.samples[d]['x'] for _ in 'x')\nd = 'a'\nreturn list(g)"),
    "made of it": Program("return self.samples[d.replace('b', 'a')]['x']"),
    "or another": Program("return self.samples[d and 'a']['x']"),
    "chosen": Program("return self.samples[d if d == 'a' else 'a']['x']"),
    "by a link": Program("return self.samples[self.links[d]]['x']", "self.links = {'b': 'a', 'a': 'a'}"),
    "metadata written": Program("-events.metadata['dataset'] = 'a'\nd = events.metadata['dataset']\n" + X),
    "metadata updated": Program("-events.metadata.update(dataset='a')\nd = events.metadata['dataset']\n" + X),
    "metadata by another name": Program(
        "-m = events.metadata\nm['dataset'] = 'a'\nd = events.metadata['dataset']\n" + X
    ),
    "metadata with a value set": Program(
        "-events.metadata.setdefault('w', 'a')\nreturn self.samples[events.metadata['w']]"
    ),
    "metadata that lack it": Program("-return self.samples[events.metadata.get('w', 'a')]"),
    "metadata written by a helper": Program("-poison(events)\nd = events.metadata['dataset']\n" + X),
    "metadata written by a method": Program("-self.spoil(events)\nd = events.metadata['dataset']\n" + X),
    "metadata written by a function inside": Program(
        "-def f():\n    events.metadata['dataset'] = 'a'\nf()\nreturn self.of(events)"
    ),
    "metadata written in a loop": Program(
        "-x = 0\nfor _ in range(2):\n    x += self.of(events)\n    poison(events)\nreturn x"
    ),
    "metadata of another name": Program("-e = events\ne.metadata['dataset'] = 'a'\nreturn self.of(events)"),
    "metadata of other events": Program("-events = Events('a', 1)\nreturn self.of(events)"),
    "metadata in a generator": Program(
        "-g = self.later(events)\npoison(events)\nreturn list(g)",
        methods="def later(self, events):\n    yield self.samples[events.metadata['dataset']]['x']",
    ),
    "a method called twice": Program("return self.weight(d) + self.weight('a')"),
    "a method by value": Program("return self.weight(d), [*map(self.weight, ['a'])]"),
    "a method's default": Program("return self.weight()"),
    "a method's keyword": Program("return self.weight(dataset='a')"),
    "a method's other argument": Program("return self.weight('a', d)"),
    "a method of any arguments": Program(
        "return self.any('a', d)", methods="def any(self, *d):\n    return self.samples[d[0]]"
    ),
    "a method that calls itself": Program(
        "return self.again(d)",
        methods="def again(self, d, n=1):\n    return self.samples[d]['x'] + (self.again('a', 0) if n else 0)"
    ),
    "process again": Program(
        "-x = self.samples[events.metadata['dataset']]['x']\n"
        "return x if events.metadata['number'] == 1 else x + self.process(Events('a', 1))"
    ),
    "by super": Program("return self.samples[d]['x'], super().first()"),
    "process in a wrapper": Program(
        X, after="own = Program.process\nProgram.process = lambda self, events: own(self, Events('a', 1))"
    ),
    "subscripts of its own": Program(X, "self.samples = First(self.samples)"),
    "what is missing": Program(X, "self.samples = Missing(a=self.samples['a'])"),
    "a default dict": Program(X, "self.samples = defaultdict(dict, self.samples)"),
    "an ordered dict": Program(X, "self.samples = OrderedDict(self.samples)"),
    "a user's dict": Program(X, "self.samples = UserDict(self.samples)"),
    "keys of its own": Program("return self.samples.get(d)", "self.samples = {Key('z'): self.samples['a']}"),
    "written to": Program("self.samples[d] = self.samples['a']\n" + X),
    "updated": Program("self.samples.update(b=self.samples['a'])\n" + X),
    "updated by another name": Program("self.s['b'] = self.s['a']\n" + X, "self.s = self.samples"),
    "a part updated": Program("self.samples[d].update(self.samples[self.other])\n" + X),
    "the attribute set": Program("self.samples = {'b': self.samples['a'], 'a': self.samples['a']}\n" + X),
    "a property": Program(
        "return self.s[d]['x']", methods="@property\ndef s(self):\n    return dict.fromkeys('ab', self.samples['a'])"
    ),
    "a cached property": Program(
        "return self.s[d]['x']",
        methods="@cached_property\ndef s(self):\n    return dict.fromkeys('ab', self.samples['a'])"
    ),
    "computed attributes": Program(
        "return self.s[d]['x']",
        methods="def __getattr__(self, name):\n    return dict.fromkeys('ab', self.samples['a'])"
    ),
    "an argument inside of the same name": Program("f = lambda: d\nreturn (lambda d: self.samples[d]['x'])('a'), f()"),
    "an argument further inside": Program(
        "f = lambda: d\ndef g(d):\n    return [self.samples[d]['x'] for _ in 'x']\nreturn g('a')"
    ),
    "a namespace of a class": Program(
        "class Inner(metaclass=Spaced):\n    x = self.samples[d]['x']\nreturn Inner.x",
        after="class Spaced(type):\n    @classmethod\n    def __prepare__(cls, *of):\n        return {'d': 'a'}"
    ),
    "a property with a default": Program(
        "return self.of_one(d)",
        methods="@property\ndef of_one(self, d='a'):\n    x = self.samples[d]['x']\n    return lambda _: x"
    ),
    "a cached property with a default": Program(
        "return self.of_one(d)",
        methods="@cached_property\ndef of_one(self, d='a'):\n    x = self.samples[d]['x']\n    return lambda _: x"
    ),
    "another kind of property": Program(
        "return self.one, self.samples[d]",
        methods="class Own(property):\n    def __get__(self, program, kind):\n        return program.samples['a']\n"
        "one = Own(lambda self: 1)"
    ),
    "another kind of cached property": Program(
        "return self.one, self.samples[d]",
        methods="class Own(cached_property):\n    def __get__(self, program, kind):\n"
        "        return program.samples['a']\none = Own(lambda self: 1)"
    ),
    "another kind of static method": Program(
        "return self.one(), self.samples[d]",
        methods="class Own(staticmethod):\n    def __get__(self, program, kind):\n"
        "        return lambda: program.samples['a']\none = Own(lambda: 1)"
    ),
    "a property that says it is not there": Program(
        "return self.one, self.samples[d]",
        methods="@property\ndef one(self):\n    raise AttributeError\n"
        "def __getattr__(self, name):\n    return self.samples['a']"
    ),
    "all variables": Program("return locals()['self'].samples['a'], self.samples[d]"),
    "a part that leads to another": Program("return self.samples[d]", "self.samples['b']['like'] = self.samples['a']"),
}  # fmt: skip
"""Those of which all samples count: most give something else for one data set after an edit of another's sample."""

_X = "return SAMPLES[d]['x']"
OF_VARIABLES: dict[str, Program] = {
    "a helper that takes all": Program(
        "return SAMPLES[d]['x'] + total()", after="def total():\n    return len(SAMPLES)", before=SAMPLES
    ),
    "a helper that gets the key": Program(
        "return SAMPLES[d]['x'] + weight('a')", after="def weight(d):\n    return SAMPLES[d]['x']", before=SAMPLES
    ),
    "a helper that writes": Program(
        f"spoil()\n{_X}", after="def spoil():\n    SAMPLES['b'] = SAMPLES['a']", before=SAMPLES
    ),
    "the class's own process": Program(
        "x = SAMPLES[d]['x']\nif events.metadata['number'] == 1:\n    return x\n"
        "return x + Program.process(self, Events('a', 1))",
        before=SAMPLES,
    ),
    "process by another name": Program(
        "x = SAMPLES[d]['x']\nreturn x if events.metadata['number'] == 1 else x + again(self, Events('a', 1))",
        after="again = Program.process", before=SAMPLES,
    ),
    "a method by its class": Program(
        "return self.first_of(d) + Program.first_of(self, 'a')",
        methods="def first_of(self, d):\n    return SAMPLES[d]['x']", before=SAMPLES,
    ),
    "bound again by a function": Program(
        f"spoil()\n{_X}",
        after="def spoil():\n    global SAMPLES\n    SAMPLES = dict.fromkeys('ab', SAMPLES['a'])", before=SAMPLES,
    ),
    "bound again by itself": Program(
        f"global SAMPLES\nSAMPLES = dict.fromkeys('ab', SAMPLES['a'])\n{_X}", before=SAMPLES
    ),
    "subscripts of its own": Program(_X, after="SAMPLES = First(SAMPLES)", before=SAMPLES),
    "a default dict": Program(_X, after="SAMPLES = defaultdict(dict, SAMPLES)", before=SAMPLES),
    "a wrapper": Program(
        _X, after="own = Program.process\nProgram.process = lambda self, events: own(self, Events('a', 1))",
        before=SAMPLES,
    ),
    "in a text for a library": Program(f"self.other.query('SAMPLES') if d == 'c' else 0\n{_X}", before=SAMPLES),
}  # fmt: skip
"""Those of which all samples count, since others than the method itself take them."""
