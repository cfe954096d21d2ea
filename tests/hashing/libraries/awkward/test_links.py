"""What no store keeps of awkward arrays: transient attributes, and columns that were not read yet."""

from __future__ import annotations

import pickle

import awkward as ak

from cachingclient.hashing.libraries.awkward.links import link, loses_by_keeping, objection

EVENTS = object()


def jets(**attrs: object) -> ak.Array:
    """Two jets that are linked by the attributes whose names are given without their ``@``."""
    array = ak.zip({"pt": [30.0, 50.0]}, with_name="Jet")
    array.attrs = {f"@{name}": value for name, value in attrs.items()}
    return array


def test_loaded_records_get_the_links_of_the_arguments() -> None:
    """Whatever attribute awkward leaves out of a pickle is given back, by no list of names; numbers alone need none."""
    given = jets(events=EVENTS, made_up=(1, 2))
    for name in given.attrs:
        assert name not in pickle.loads(pickle.dumps(jets(made_up=0))).attrs
    loaded = link([jets(), ak.Array([1, 2])], [7, {"leading": given}])
    assert loaded[0].attrs["@events"] is EVENTS
    assert loaded[0].attrs["@made_up"] == (1, 2)
    assert not loaded[1].attrs


def test_records_with_links_of_their_own_are_refused() -> None:
    """Records that are linked to something that no argument is linked to can't be given that link again."""
    assert objection(jets(events=EVENTS), [jets(events=EVENTS)]) == ""
    assert "none of its arguments comes from" in objection(jets(events=EVENTS), [jets(events=object())])
    assert "none of its arguments comes from" in objection({"a": [jets(made_up=EVENTS)]}, [1.0])
    assert objection(ak.Array([1, 2], attrs={"@events": EVENTS}), []) == ""


def test_only_what_looks_the_same_when_loaded_is_handed_on_as_it_is() -> None:
    """Numbers stay as they are; records and attributes make a result one that is read back."""
    assert not loses_by_keeping([ak.Array([1, 2]), {"cut": 30}])
    assert loses_by_keeping(jets())
    assert loses_by_keeping(ak.Array([1, 2], attrs={"unit": "GeV"}))
