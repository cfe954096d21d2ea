"""``cachectl serve``, by requests over HTTP as a browser and others send them."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from cachingclient.cli.serve import Pages
from cachingclient.cli.treemap import treemap
from cachingclient.plan.history import Counts, Run, history_of
from cachingclient.storage import Entry, Store, encode
from tests.cli.entries import key


@pytest.fixture
def pages(store: Store) -> Iterator[Pages]:
    """A server that shows this test's store."""
    with Pages(store) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(pages: Pages, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    """Send one request; return status, text and headers of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", pages.server_port)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, dict(answer.getheaders())


def look(pages: Pages, path: str) -> str:
    """Return a page as it is shown to who has the token."""
    status, text, _ = ask(pages, path, Cookie=f"{pages.cookie}={pages.token}")
    assert status == 200, text
    return text


def steps_in(text: str) -> list[str]:
    """The names of steps in the table of entries, from above."""
    return re.findall(r"</code></a></td><td>([^<]*)</td>", text)


def test_the_printed_address_leads_to_the_entries(pages: Pages) -> None:
    """The token becomes a cookie and leaves the address."""
    status, _, headers = ask(pages, pages.address.partition(str(pages.server_port))[2])
    assert (status, headers["Location"]) == (303, "/")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
    status, text, _ = ask(pages, "/", Cookie=cookie)
    assert (status, "4 entries" in text, steps_in(text)) == (200, True, ["merge", "fill", "select", "select"])


@pytest.mark.parametrize(
    "cookie",
    ["", "{name}=wrong", "{name}=", "\x01=;;", "a=b"],
)
def test_without_the_token_nothing_is_told(pages: Pages, cookie: str) -> None:
    """Neither of the store nor of its entries."""
    for path in ("/", "/runs", f"/entry/{key(0)}", "/?token=", "/?token=wrong", "/?token=%C3%BC", "/nowhere"):
        status, text, _ = ask(pages, path, **({"Cookie": cookie.format(name=pages.cookie)} if cookie else {}))
        assert (status, "cache" in text.replace("cachectl", ""), "select" in text) == (403, False, False)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""])
def test_a_name_that_leads_here_by_anothers_doing_is_refused(pages: Pages, host: str) -> None:
    """Even with the token: a page of another site may have had its name lead to this machine."""
    status, text, _ = ask(pages, "/", Host=host.format(port=pages.server_port), Cookie=f"{pages.cookie}={pages.token}")
    assert (status, "select" in text) == (421, False)
    assert ask(pages, "/", Host=f"localhost:{pages.server_port}", Cookie=f"{pages.cookie}={pages.token}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(pages: Pages, store: Store, method: str) -> None:
    """No other method is known."""
    before = {info.key for info in store.scan()}
    assert ask(pages, f"/entry/{key(0)}", method, Cookie=f"{pages.cookie}={pages.token}")[0] == 501
    assert {info.key for info in store.scan()} == before


def test_it_listens_on_this_machine_alone(pages: Pages) -> None:
    """And tells browsers to run nothing, and to show it in no frame."""
    assert pages.server_address[0] == "127.0.0.1"
    _, _, headers = ask(pages, "/", Cookie=f"{pages.cookie}={pages.token}")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")


def test_entries_are_filtered_and_sorted(pages: Pages) -> None:
    """As ``cachectl list`` does; what is none is told with what it takes."""
    assert steps_in(look(pages, "/?step=sel*")) == ["select", "select"]
    assert steps_in(look(pages, "/?newer=3h")) == ["merge", "fill"]
    assert steps_in(look(pages, "/?older=3h&larger=50kB")) == ["select"]
    assert steps_in(look(pages, "/?sort=size")) == ["merge", "select", "select", "fill"]
    assert steps_in(look(pages, "/?sort=size&reverse=1")) == ["fill", "select", "select", "merge"]
    for path, said in (
        ("/?sort=colour", "sort is &#x27;colour&#x27;; it takes created"),
        ("/?newer=x", "is not an age"),
    ):
        status, text, _ = ask(pages, path, Cookie=f"{pages.cookie}={pages.token}")
        assert (status, said in text) == (400, True), text


def test_one_entry_and_the_runs(pages: Pages, store: Store) -> None:
    """All that ``cachectl show`` and ``cachectl runs`` tell."""
    text = look(pages, f"/entry/{key(0)}")
    assert all(each in text for each in ("80 kB (80,", "alice", "4.0 s", key(0)))
    for path in ("/entry/nothing", f"/entry/{'e' * 32}", "/entry/../..", "/elsewhere"):
        assert ask(pages, path, Cookie=f"{pages.cookie}={pages.token}")[0] == 404
    assert "No runs are remembered" in look(pages, "/runs")
    history_of(store).append(
        Run("20260314-092653-00", 1.0, {"fill": Counts(4, 1, 3, 0.5, 2.0)}, {"fill": "<b>cut</b>"})
    )
    text = look(pages, "/runs")
    assert ("20260314-092653-00" in text, "&lt;b&gt;cut&lt;/b&gt;" in text, "<b>cut" in text) == (True, True, False)


def test_what_stands_in_entries_is_text(pages: Pages, store: Store) -> None:
    """Whoever wrote them: names and details run nothing in a browser, in attributes neither."""
    evil = "\"'><script>alert(1)</script>\x1b[2J"
    store.write(Entry(("e" * 32,), "result", evil, 1.0, {"user": evil, evil: "x"}, encode(b"1" * 90_000_000)))
    for path in ("/", "/?step=%22%3E%3Cscript%3E", f"/entry/{'e' * 32}", "/?sort=size&x=%22%3E%3Cscript%3E"):
        text = look(pages, path)
        assert "<script" not in text
        assert not re.search(r"""=["'][^"'<>]*["']?'>""", text)
        assert "\x1b" not in text
    assert "&lt;script&gt;alert(1)" in look(pages, "/")
    assert steps_in(look(pages, "/?step=%5B*%5Dx")) == []


def test_areas_of_the_map_are_shares_of_the_bytes() -> None:
    """They fill it, lie beside each other and are no strips."""
    sizes = [5.0, 0.0, 40.0, 20.0, 20.0, 10.0, 5.0]
    boxes = list(treemap(sizes, 100, 50))
    assert [box.number for box in boxes] == [2, 3, 4, 5, 0, 6]
    for box in boxes:
        assert box.width * box.height == pytest.approx(50 * sizes[box.number])
        assert max(box.width / box.height, box.height / box.width) < 4
        assert box.x + box.width <= 100.001
        assert box.y + box.height <= 50.001
    for one in boxes:
        for other in boxes[boxes.index(one) + 1 :]:
            beside = one.x + one.width <= other.x + 1e-6 or other.x + other.width <= one.x + 1e-6
            above = one.y + one.height <= other.y + 1e-6 or other.y + other.height <= one.y + 1e-6
            assert beside or above


def test_the_command_serves_until_it_is_interrupted(store: Store) -> None:
    """It prints the address, and ends without a traceback."""
    command = [sys.executable, "-u", "-m", "cachingclient.cli", "serve", "--store", store.url]
    served = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert served.stdout is not None
    assert served.stderr is not None
    assert served.stdout.readline() == f"{store.url} is at\n"
    port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)\n", served.stdout.readline()).groups()
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    connection.request("GET", "/", headers={"Cookie": f"cachectl-{port}={token}"})
    assert "4 entries" in connection.getresponse().read().decode()
    served.send_signal(signal.SIGINT)
    assert "Traceback" not in served.communicate(timeout=300)[1]
