"""Whether a call may change its arguments is found once for each function, and anew when its code is other."""

from __future__ import annotations

from typing import Any

import pytest

from cachingclient.hashing import content_keys
from cachingclient.hashing.content_keys import may_change_arguments
from cachingclient.hashing.step_keys import Merkle


def helper(values: list[int]) -> int:
    return len(values)


def clear(values: list[int]) -> int:
    values[:] = []
    return 0


def call(values: list[int]) -> int:
    """Hand the values on."""
    return helper(values)


def asked() -> bool:
    """Ask as each run of a step does, with a new look at its code."""
    return may_change_arguments(Merkle({}).code(call), call, ([1],))


def test_it_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the function runs."""
    looks: list[Any] = []
    found = content_keys.may_store_into
    monkeypatch.setattr(content_keys, "may_store_into", lambda *given: looks.append(given) or found(*given))
    assert [asked() for _ in range(3)] == [False] * 3
    assert len(looks) <= 1


def test_another_helper_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that changes what it is given, put in the place of one that does not, and back."""
    assert not asked()
    with monkeypatch.context() as patched:
        patched.setitem(globals(), "helper", clear)
        assert asked()
    assert not asked()


def test_another_body_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same function."""
    assert not asked()
    monkeypatch.setattr(helper, "__code__", clear.__code__)
    assert asked()
