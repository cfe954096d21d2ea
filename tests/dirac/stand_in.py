"""A stand-in for DIRAC servers that answers what a test wants: real servers can't be made to answer nonsense."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from cachingclient.dirac.api.sandbox import pack

DATE = {"__dCls": "dt", "obj": "2026-11-20 10:00:00"}
JOB = {
    "JobID": 7,
    "Status": "Running",
    "MinorStatus": "Application",
    "ApplicationStatus": "Unknown",
    "Site": "LCG.RAL.uk",
    "JobName": "w",
    "JobGroup": "g",
    "Owner": "alice",
}
BOX = "SB:SandboxSE|/S3/sandboxes/a.tar.bz2"
LIST_OF_LINES = [["Received", "Job accepted", "Unknown", "2026-11-20 10:00:00", "JobManager"]]
WHOAMI = {"username": "alice", "group": "tests_user", "VO": "tests", "properties": ["NormalUser"]}

# What DIRAC's methods return, as recorded from a real server.
RETURNED: dict[str, Any] = {
    "whoami": WHOAMI,
    "submitJob": 7,
    "confirmBulkSubmission": [7],
    "getJobs": ["7"],
    "getJobsSummary": {"7": {**JOB, "SubmissionTime": DATE, "LastUpdateTime": DATE, "EndExecTime": None}},
    "killJob": [7],
    "deleteJob": [7],
    "rescheduleJob": [7],
    "getJobLoggingInfo": LIST_OF_LINES,
    "getSandboxesAssignedToEntity": {"Output": [BOX], "Input": [BOX]},
    "getJobParameter": {"StandardOutput": "so far"},
    "streamFromClient": BOX,
    "select": [["LCG.RAL.uk", "Active"]],
    "listDirectory": {"Successful": {"/tests": {"Files": {"a": {}}, "SubDirs": {"/tests/b": {}}}}, "Failed": {}},
    "getReplicas": {"Successful": {"/tests/a": {"RAL-disk": "root://a"}}, "Failed": {"/tests/b": "No such file"}},
    "removeFile": {"Successful": {"/tests/a": True}, "Failed": {}},
}
# What DiracX answers, by address.
USER = {"preferred_username": "alice", "dirac_group": "tests_user", "vo": "tests", "properties": ["NormalUser"]}
DATED = {**JOB, "SubmissionTime": "2026-11-20T10:00:00Z", "LastUpdateTime": "2026-11-20T10:00:00.5Z"}
LINE = {"Status": "Received", "MinorStatus": "", "ApplicationStatus": "", "StatusTime": "2026-11-20T10:00:00Z"}
ANSWERS: dict[str, Any] = {
    "/api/auth/userinfo": USER,
    "/api/jobs/jdl": [{"JobID": 7, "Status": "Received", "MinorStatus": "", "TimeStamp": "2026-11-20T10:00:00Z"}],
    "/api/jobs/search": [{**DATED, "LoggingInfo": [{**LINE, "Source": "JobManager"}]}],
    "/api/jobs/status": {"success": {"7": {}}, "failed": {}},
    "/api/jobs/reschedule": {"success": {"7": {}}, "failed": {"8": {"detail": "Not found"}}},
    "/api/jobs/summary": [{"Site": "LCG.RAL.uk", "count": 1}],
    "/api/rss/site": {"LCG.RAL.uk": {"all": {"allowed": True}}},
    "/api/jobs/7/sandbox/output": ["/S3/sandboxes/a.tar.bz2"],
    "/api/jobs/sandbox": {"pfn": BOX, "url": "", "fields": {}},
    "/.well-known/openid-configuration": {"token_endpoint": "", "device_authorization_endpoint": ""},
    "/token": {"access_token": "a.b.c", "refresh_token": "d.e.f", "expires_in": 1200},
}


class StandIn(ThreadingHTTPServer):
    """Answers as above, but for one method or address whatever ``instead`` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.instead: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.bodies: list[bytes] = []

    def handle_error(self, *_: object) -> None:
        """Clients break off what makes no sense."""

    def answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, bytes]:
        """The status and the body for a request."""
        what = form["method"][0] if "method" in form else path
        self.asked.append(what)
        if what in self.instead:
            return self.instead[what]
        if what in ("streamToClient", "/box"):
            return 200, pack({"std.out": b"hello"})
        if what in RETURNED:
            return 200, json.dumps({"OK": True, "Value": RETURNED[what]}).encode()
        if what not in ANSWERS:
            return 404, b'{"detail": "Not Found"}'
        return 200, json.dumps(self.recorded(what)).encode()

    def recorded(self, path: str) -> Any:
        """What DiracX answers, with the addresses of this server."""
        text = json.dumps(ANSWERS[path]).replace('"url": ""', f'"url": "{self.url}/box"')
        return json.loads(re.sub(r'("\w+_endpoint": )""', rf'\1"{self.url}/token"', text))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StandIn

    def log_message(self, *_: object) -> None:
        """Requests are kept by the server."""

    def reply(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.bodies.append(content)
        coded = self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        form = parse_qs(content.decode()) if coded else {}
        status, body = self.server.answer(self.path.partition("?")[0], form)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = reply


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """A server on loopback."""
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
