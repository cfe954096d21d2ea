"""The page ``/cache`` of dask's dashboard: hits and misses, bytes and seconds saved, as workers tell of them.

Workers send sums, a few times a second; the scheduler keeps the last of them as it keeps its other events. They are
read when somebody looks at the page, so it costs nothing while nobody does.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import time
from collections.abc import Iterable
from html import escape
from typing import Any

import dask

from cachingclient import units
from cachingclient.plan.sums import SUMS

PATH = "/cache"
SECONDS = 300
"""How far back the page looks."""
MOST_SLOW = 10
EVERY = 1000
"""Milliseconds after which the page is drawn again."""
COLUMNS = ("hits", "misses", "loaded", "kept")
TEMPLATE = """
{% extends base %}
{% block postamble %}
<style>body { font-family: sans-serif; padding: 0 1em; }</style>
{% endblock %}
{% block contents %}
<p><a href="status">dask's dashboard</a></p>
{{ super() }}
{% endblock %}
"""


class Seen:
    """What was told so far: totals, and the last minutes by second.

    Examples
    --------
    >>> seen = Seen()
    >>> seen.take([(100.5, {"hits": 3, "misses": 1, "loaded": 8, "kept": 0, "saved": 2.0, "slow": [("fill", 0.1, 8)]})])
    >>> seen.totals["hits"], seen.columns(now=101.0)["hits"][-2:], seen.slow
    (3, [3, 0], {'fill': (0.1, 8)})
    """

    def __init__(self) -> None:
        self.totals = {**dict.fromkeys(COLUMNS, 0), "saved": 0.0}
        self.slow: dict[str, tuple[float, int]] = {}
        self._by_second: dict[int, dict[str, int]] = {}
        self._latest = 0.0

    def take(self, events: Iterable[tuple[float, dict[str, Any]]]) -> None:
        """Add what is new among events, which are in the order of their times."""
        latest = self._latest
        for when, sums in events:
            if when <= self._latest:
                continue
            latest = max(latest, when)
            second = self._by_second.setdefault(int(when), dict.fromkeys(COLUMNS, 0))
            for name in COLUMNS:
                second[name] += sums[name]
                self.totals[name] += sums[name]
            self.totals["saved"] += sums["saved"]
            for name, seconds, nbytes in sums["slow"]:
                self.slow[name] = max(self.slow.get(name, (0.0, 0)), (seconds, nbytes))
        self.slow = dict(heapq.nlargest(MOST_SLOW, self.slow.items(), key=lambda each: each[1]))
        self._latest = latest

    def columns(self, now: float) -> dict[str, list[Any]]:
        """Return the last minutes as columns, a row a second."""
        seconds = range(int(now) - SECONDS, int(now) + 1)
        self._by_second = {second: row for second, row in self._by_second.items() if second >= seconds.start}
        nothing = dict.fromkeys(COLUMNS, 0)
        rows = [self._by_second.get(second, nothing) for second in seconds]
        return {"second": [1000 * second for second in seconds]} | {
            name: [row[name] for row in rows] for name in COLUMNS
        }

    def text(self) -> str:
        """Return the totals as HTML."""
        told = self.totals
        share = f" ({told['hits'] / (told['hits'] + told['misses']):.0%})" if told["hits"] + told["misses"] else ""
        return (
            f"<p><b>{told['hits']:,} hits{share}, {told['misses']:,} misses</b>; loaded {units.size(told['loaded'])}, "
            f"kept {units.size(told['kept'])}; saved about {units.duration(told['saved'])}</p>"
        )

    def table(self) -> str:
        """Return the slowest load of each step name as HTML, those that took longest."""
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{units.duration(seconds)}</td><td>{units.size(nbytes)}</td></tr>"
            for name, (seconds, nbytes) in self.slow.items()
        )
        return f"<table><tr><th>slowest loads</th><th>took</th><th>size</th></tr>{rows}</table>" if rows else ""


class Page:
    """The plots of one browser that looks, fed from the scheduler's events."""

    def __init__(self, scheduler: Any) -> None:
        from bokeh.layouts import column
        from bokeh.models.sources import ColumnDataSource
        from bokeh.models.widgets import Div

        self.events = functools.partial(scheduler.get_events, SUMS)
        self.seen = Seen()
        self.source = ColumnDataSource({"second": [], **{name: [] for name in COLUMNS}})
        self.text, self.table = (Div(text="", sizing_mode="stretch_width") for _ in range(2))
        counts = _plot("steps a second", self.source, {"hits": "#2e7d32", "misses": "#c62828"})
        nbytes = _plot("bytes a second", self.source, {"loaded": "#2e7d32", "kept": "#1565c0"}, counts.x_range)
        self.root = column(self.text, counts, nbytes, self.table, sizing_mode="stretch_width")
        self.update()

    def update(self) -> None:
        """Take what is new, and draw it."""
        self.seen.take(self.events())
        self.source.data = self.seen.columns(time.time())
        self.text.text, self.table.text = self.seen.text(), self.seen.table()


def _plot(title: str, source: Any, colours: dict[str, str], x_range: Any = None) -> Any:
    from bokeh.models import DataRange1d, NumeralTickFormatter
    from bokeh.plotting import figure

    shared = {} if x_range is None else {"x_range": x_range}
    plot = figure(
        title=title, x_axis_type="datetime", height=220, sizing_mode="stretch_width", toolbar_location=None, **shared
    )
    for name, colour in colours.items():
        plot.step("second", name, source=source, color=colour, line_width=2, mode="after", legend_label=name)
    plot.y_range = DataRange1d(start=0)
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[0] b" if "bytes" in title else "0,0")
    plot.legend.location = "top_left"
    plot.legend.orientation = "horizontal"
    return plot


def _document(scheduler: Any, document: Any) -> None:
    from bokeh.core.templates import FILE
    from jinja2 import Environment

    page = Page(scheduler)
    document.title = "Dask: Cache"
    document.add_root(page.root)
    document.template = Environment(autoescape=True).from_string(TEMPLATE)
    document.template_variables["base"] = FILE
    document.add_periodic_callback(page.update, EVERY)


def show_page(dask_scheduler: Any = None) -> None:
    """Add the page to the dashboard, if the scheduler has one; run on the scheduler, whoever asked for it before."""
    pages = getattr(dask_scheduler, "http_application", None)
    if pages is None or not pages.applications or any(_is_ours(each) for each in pages.applications):
        return  # without bokeh, or with dashboard=False, it has none
    with contextlib.suppress(ImportError):
        pages.add_application(_application(dask_scheduler))


def _is_ours(application: Any) -> bool:
    return PATH in getattr(application, "app_paths", ())


def _application(scheduler: Any) -> Any:
    from bokeh.application import Application
    from bokeh.application.handlers.function import FunctionHandler
    from bokeh.server.tornado import BokehTornado
    from bokeh.server.util import create_hosts_allowlist
    from tornado.ioloop import IOLoop

    # Who may open a connection is the dashboard's setting, and so is how long one lives.
    options = dict(dask.config.get("distributed.scheduler.dashboard.bokeh-application"))
    origins = create_hosts_allowlist(options.pop("allow_websocket_origin"), scheduler.http_server.port)
    pages = {PATH: Application(FunctionHandler(functools.partial(_document, scheduler)))}
    application = BokehTornado(pages, use_index=False, extra_websocket_origins=origins, absolute_url="", **options)
    application.initialize(IOLoop.current())
    application.start()
    return application
