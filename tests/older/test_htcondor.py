"""The submit description of HTCondor's jobs, as HTCondor's own bindings read it; its daemons can't be had here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import pytest

from cachingclient.vine import VineCluster
from cachingclient.vine.launch.launch import worker_spec

ADVERTISE = """
import htcondor, json, sys
description = htcondor.Submit(sys.argv[1])
(job,) = description.jobs(count=1)
names = "Cmd", "Arguments", "RequestCpus", "RequestMemory", "RequestDisk", "DaskWorkerCores", "JobUniverse"
print(json.dumps({name: job.eval(name) for name in names}))
"""

pytestmark = pytest.mark.slow


def test_the_job_asks_for_what_the_site_says(run_in: Callable[..., str]) -> None:
    """The bindings make one job of the description: a shell that runs a worker of the site with its share."""
    site = {"workers": 0, "how": "htcondor", "nthreads": 2, "options": {"memory": "2GB", "disk": "1GB"}}
    with VineCluster({"Bristol": site}, host="127.0.0.1", dashboard_address=None) as cluster:
        spec = worker_spec(cluster.sites["Bristol"], cluster)
        script = spec["cls"](cluster.scheduler_address, name="Bristol-0", **spec["options"]).job_script()
        address = cluster.scheduler_address
    job = json.loads(run_in("htcondor", "-c", ADVERTISE, script).splitlines()[-1])
    assert (job["Cmd"], job["JobUniverse"]) == ("/bin/sh", 5)
    assert (job["RequestCpus"], job["DaskWorkerCores"]) == (2, 2)
    assert 1900 <= job["RequestMemory"] <= 2048  # megabytes, of which there are two kinds
    assert job["RequestDisk"] > 900_000
    (option, command) = shlex.split(job["Arguments"])
    assert option == "-c"
    assert address in command
    assert "site:Bristol=2" in command
