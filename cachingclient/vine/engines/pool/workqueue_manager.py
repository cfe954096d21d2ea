"""Work Queue's manager, in the process that is its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cachingclient.vine.engines.pool.commands import MEGABYTE
from cachingclient.vine.engines.pool.fork_server import COMMAND
from cachingclient.vine.engines.pool.manager import Backend, Done, Work
from cachingclient.vine.engines.pool.modes import mode_of
from cachingclient.vine.engines.pool.ports import for_library
from cachingclient.vine.engines.pool.runner import CREDENTIALS, STATUS, TASK, VALUE, credential_file
from cachingclient.worker.credentials import VARIABLES

MOST_RETRIES = 20
"""How often a task may lose its worker."""
LEARNT_FROM = 3
"""How many tasks of a name are measured on whole workers before those after them get what these took."""


class WorkQueueBackend(Backend):
    """Work Queue's manager: values are files here, which workers keep copies of.

    Parameters
    ----------
    folder
        For logs and values.
    password
        The password that workers show.
    ports
        The lowest and the highest port to listen on; zeros for any.
    extra_files
        Files that every task gets, by their names.
    modes
        How the library finds what tasks take, by their names.
    project, catalogue, monitor
        As `WorkQueueEngine` takes them.
    """

    def __init__(
        self,
        folder: Path,
        password: str,
        ports: tuple[int, int],
        extra_files: Mapping[str, Path],
        modes: Mapping[str, str],
        project: str | None,
        catalogue: str | None,
        monitor: bool,
    ) -> None:
        import work_queue

        self.library = work_queue
        self.credentials = folder / CREDENTIALS
        self.values = folder / "values"
        self.values.mkdir(exist_ok=True)
        logs = {name: str(folder / f"{name}.log") for name in ("stats", "transactions")}
        self.queue = work_queue.WorkQueue(
            for_library(ports),
            name=project,
            stats_log=logs["stats"],
            transactions_log=logs["transactions"],
            shutdown=True,
        )
        self.queue.specify_password(password)
        if catalogue is not None:
            self.queue.specify_catalog_servers(catalogue)
        if monitor:
            self.queue.enable_monitoring(str(folder / "monitor"))
            self.queue.tune("category-steady-n-tasks", LEARNT_FROM)
        self.port = self.queue.port
        self.extra_files = dict(extra_files)
        self.modes = dict(modes)
        self._modes_set: dict[str, str] = {}
        self.tasks: dict[str, Any] = {}
        self.keys: dict[int, str] = {}
        self._labels: dict[str, int] = {}

    def submit(self, work: Work) -> None:
        """Describe a task to the library."""
        lost = next((key for key in work.inputs.values() if not self._value(key).exists()), None)
        if lost is not None:
            raise KeyError(lost)
        task = self.library.Task(COMMAND)
        payload = self._payload(work.key)
        payload.write_bytes(work.payload)
        task.specify_input_file(str(payload), TASK, cache=False)
        for file, key in work.inputs.items():
            task.specify_input_file(str(self._value(key)), file, cache=True)
        task.specify_output_file(str(self._value(work.key)), VALUE, cache=True)
        task.specify_output_file(str(self._status(work.key)), STATUS, cache=False)
        for name, path in self.extra_files.items():
            task.specify_input_file(str(path), name, cache=True)
        for variable in VARIABLES.values():
            if (credential := self.credentials / variable).exists():  # sent as it is then, not as it is now
                task.specify_input_file(str(credential), credential_file(variable), cache=False)
        task.specify_category(work.category)
        self._set_mode(work)
        task.specify_max_retries(MOST_RETRIES)
        _ask_for(task, work)
        number = self.queue.submit(task)
        self.keys[number] = work.key
        self.tasks[work.key] = task

    def _set_mode(self, work: Work) -> None:
        """Tell the library how it finds what tasks of a name take; its own way is to trust what they ask for."""
        mode = mode_of(work.mode, work.category, self.modes)
        if mode is not None and self._modes_set.get(work.category) != mode:
            constant = getattr(self.library, f"WORK_QUEUE_ALLOCATION_MODE_{mode.upper().replace(' ', '_')}")
            self.queue.specify_category_mode(work.category, constant)
            self._modes_set[work.category] = mode

    def wait(self) -> Done | None:
        """Let the library work."""
        task = self.queue.wait(1)
        if task is None:
            return None
        key = self.keys.pop(task.id)
        done = self.tasks.pop(key)
        self._labels[done.category] = int(done.resources_allocated.memory) * MEGABYTE
        self._payload(key).unlink()
        path = self._status(key)
        if not path.exists():
            return Done(key, None, f"{task.result_str}, exit code {task.return_status}: {(task.output or '').strip()}")
        status = path.read_bytes()
        path.unlink()
        return Done(key, status)

    def cancel(self, key: str) -> None:
        """Take a task back."""
        task = self.tasks.pop(key)
        del self.keys[task.id]
        self.queue.cancel_by_taskid(task.id)
        del self.queue._task_table[task.id]  # where the library keeps it for ever
        self._payload(key).unlink()

    def waiting(self) -> int:
        """Return how many tasks wait for a worker."""
        return int(self.queue.stats.tasks_waiting)

    def put(self, key: str, path: Path) -> None:
        """Take a file."""
        path.rename(self._value(key))

    def fetch(self, key: str) -> Path | None:
        """Return the file of a value."""
        path = self._value(key)
        return path if path.exists() else None

    def release(self, key: str) -> None:
        """Delete a value here and at the workers."""
        path = self._value(key)
        if path.exists():
            if path.stat().st_size:
                self.queue.invalidate_cache_file(path)
            path.unlink()

    def describe(self) -> dict[str, Any]:
        """Return the library's counts."""
        running = [key for key, task in self.tasks.items() if self._runs(task)]
        counts = self.queue.stats
        return {
            "running": running,
            "values": sum(path.suffix == "" for path in self.values.iterdir()),
            "connected": int(counts.workers_connected),
            "bytes_sent": int(counts.bytes_sent),
            "bytes_received": int(counts.bytes_received),
            "memory": dict(self._labels),
        }

    def _runs(self, task: Any) -> bool:
        state = self.library.work_queue_task_state(self.queue._work_queue, task.id)
        return bool(state == self.library.WORK_QUEUE_TASK_RUNNING)

    def close(self) -> None:
        """Send the workers home."""
        self.queue.shutdown_workers(0)

    def _value(self, key: str) -> Path:
        return self.values / key

    def _payload(self, key: str) -> Path:
        return self.values / f"{key}.task"

    def _status(self, key: str) -> Path:
        return self.values / f"{key}.status"


def _ask_for(task: Any, work: Work) -> None:
    """Tell the library the cores, memory, disk and GPUs of a task."""
    task.specify_cores(math.ceil(work.cores))
    if work.gpus:
        task.specify_gpus(math.ceil(work.gpus))
    if work.memory:
        task.specify_memory(-(-work.memory // MEGABYTE))
    if work.disk:
        task.specify_disk(-(-work.disk // MEGABYTE))
    if work.site is not None:
        task.specify_feature(f"site={work.site}")
