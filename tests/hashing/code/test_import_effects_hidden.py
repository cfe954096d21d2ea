"""What sets something in libraries on import counts however it is reached; what a module makes for itself does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Identity = Callable[..., str]


def _cases(text: str) -> dict[str, str]:
    return dict(part.split("\n", 1) for part in text.split("\n## ")[1:])


HIDDEN = _cases(
    """
## a name for the result
def install():
    decimal.getcontext().prec = 9
done = install()
## an assertion
def install():
    decimal.getcontext().prec = 9
    return True
assert install()
## a condition
def install():
    decimal.getcontext().prec = 9
    return True
if install():
    done = 1
## a condition around
MODE = 9
if MODE == 9:
    decimal.getcontext().prec = 4
## a loop
for digits in (9,):
    decimal.getcontext().prec = digits
## a loop over functions
def new(self): return 9
for name, each in {'of_tests': new}.items():
    setattr(decimal, name, each)
## setattr
setattr(decimal.getcontext(), 'prec', 9)
## setattr among others
[setattr(decimal.getcontext(), name, 9) for name in ('prec',)]
## a method
class Settings:
    digits = 9
    def apply(self): decimal.getcontext().prec = self.digits
Settings().apply()
## a method of an object
class Settings:
    def __init__(self, digits): self.digits = digits
    def apply(self): decimal.getcontext().prec = self.digits
settings = Settings(9)
settings.apply()
## a class
class Settings:
    def __init__(self): decimal.getcontext().prec = 9
settings = Settings()
## the body of a class
class Settings:
    decimal.getcontext().prec = 9
## a decorator
def patch(f):
    setattr(decimal, 'of_tests', f)
    return f
@patch
def new(self): return 9
## a decorator with arguments
def patch(kind):
    def give(f):
        kind.of_tests = f
        return f
    return give
@patch(decimal)
def new(self): return 9
## a decorator of a class
def mix(c):
    decimal.of_tests = c.new
    return c
@mix
class Extra:
    def new(self): return 9
## a manager
import contextlib
@contextlib.contextmanager
def setup():
    decimal.getcontext().prec = 9
    yield
with setup():
    done = 1
## another name
context = decimal.getcontext()
context.prec = 9
## another name in a function
def install():
    context = decimal.getcontext()
    context.prec = 9
done = install()
## an import in a function
def install():
    import decimal as d
    d.getcontext().prec = 9
done = install()
## a base
class Base:
    def __init_subclass__(cls): decimal.of_tests = cls
class Cut(Base):
    digits = 9
## a metaclass
class Meta(type):
    def __init__(cls, *args):
        super().__init__(*args)
        decimal.of_tests = cls
class Cut(metaclass=Meta):
    def new(self): return 9
## several at once
decimal.of_tests, other = 9, 1
## a library's metaclass
import yaml
class Cut(yaml.YAMLObject):
    yaml_tag = '!of_tests'
    def apply(self): return 9
"""
)


@pytest.mark.parametrize("how", HIDDEN)
def test_what_is_set_by_more_than_a_statement_counts(identity: Identity, how: str) -> None:
    """A step that names nothing of it gives something else."""
    text = "import decimal\n" + HIDDEN[how]
    first = identity(text)
    assert identity(text + "  # layout") == first
    assert identity(text.replace("9", "5")) != first


NOTHING = _cases(
    """
## a table
def make():
    table = {}
    table['pt'] = 9
    return table
TABLE = make()
## a registry
class Registry:
    def __init__(self): self.known = {}
    def add(self, f):
        self.known[f] = f
        return f
registry = Registry()
@registry.add
def new(): return 9
## a histogram
import hist
def make():
    filled = hist.Hist.new.Reg(9, 0, 1).Double()
    filled.fill([0.5])
    return filled
TEMPLATE = make()
## a decorator
import functools
def timed(f):
    @functools.wraps(f)
    def inner(*args): return f(*args)
    return inner
@timed
def new(): return 9
## a dataclass
import dataclasses
@dataclasses.dataclass(frozen=True)
class Config:
    digits: int = 9
CONFIG = Config()
## an enum
import enum
class Digits(enum.Enum):
    MANY = 9
## a frame
import pandas as pd
def make():
    frame = pd.DataFrame({'pt': [1]})
    frame['eta'] = 9
    return frame
FRAME = make()
## a method that has the name of a function
import abc
def add(): return 1
class Base(abc.ABC):
    @abc.abstractmethod
    def add(self): return 9
## a model
import pydantic
class Config(pydantic.BaseModel):
    digits: int = 9
CONFIG = Config()
## a processor
from coffea import processor
class P(processor.ProcessorABC):
    def process(self, e): return 9
    def postprocess(self, a): return a
P0 = P()
"""
)


@pytest.mark.parametrize("what", NOTHING)
def test_what_a_module_makes_for_itself_counts_where_it_is_used(identity: Identity, what: str) -> None:
    """A step beside it that uses nothing of it stays as it was."""
    assert identity(NOTHING[what]) == identity(NOTHING[what].replace("9", "5"))
