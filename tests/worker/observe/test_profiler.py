"""The workers' profiler, which runs beside the steps."""

import linecache
import sys

from distributed import profile

from cachingclient.worker.observe import current, install
from cachingclient.worker.observe.callers import callers
from cachingclient.worker.observe.record import Observed


def test_the_profiler_of_dask_looks_for_no_caller(monkeypatch):
    """Also where what the user's code does outside of steps is observed: it asks on the workers' event loop."""
    install()
    asked: list[list[str]] = []

    def is_by_user_outside():
        try:
            raise LookupError
        except LookupError as error:  # to ask for the frame is an event as well
            asked.append([frame.f_code.co_filename for frame in callers(error.__traceback__.tb_frame)])
        return False

    monkeypatch.setattr(current, "outside", Observed())
    monkeypatch.setattr(current, "is_by_user_outside", is_by_user_outside)
    linecache.getline(__file__, 1)
    assert asked
    state = profile.create()
    profile.process(sys._getframe(), None, state)
    (outermost,) = state["children"].values()
    assert outermost["description"]["filename"]
    assert not any(profile.__file__ in files for files in asked)
