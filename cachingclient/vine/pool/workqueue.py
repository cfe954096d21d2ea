"""Work Queue's manager, in the process that is its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from cachingclient.vine.pool.commands import MEGABYTE
from cachingclient.vine.pool.manager import Backend, Done, Work
from cachingclient.vine.pool.runner import STATUS, TASK, VALUE
from cachingclient.vine.pool.serving import COMMAND

MOST_RETRIES = 20
"""How often a task may lose its worker."""


class WorkQueueBackend(Backend):
    """Work Queue's manager: values are files here, which workers keep copies of.

    Parameters
    ----------
    folder
        For logs and values.
    password
        What workers have to know.
    project, catalogue, monitor
        As `WorkQueueEngine` takes them.
    """

    def __init__(self, folder: Path, password: str, project: str | None, catalogue: str | None, monitor: bool) -> None:
        import work_queue

        self.library = work_queue
        self.values = folder / "values"
        self.values.mkdir(exist_ok=True)
        logs = {name: str(folder / f"{name}.log") for name in ("stats", "transactions")}
        self.queue = work_queue.WorkQueue(
            0, name=project, stats_log=logs["stats"], transactions_log=logs["transactions"], shutdown=True
        )
        self.queue.specify_password(password)
        if catalogue is not None:
            self.queue.specify_catalog_servers(catalogue)
        if monitor:
            self.queue.enable_monitoring(str(folder / "monitor"))
        self.port = self.queue.port
        self.tasks: dict[str, Any] = {}
        self.keys: dict[int, str] = {}

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
        task.specify_category(work.category)
        task.specify_max_retries(MOST_RETRIES)
        _ask_for(task, work)
        number = self.queue.submit(task)
        self.keys[number] = work.key
        self.tasks[work.key] = task

    def wait(self) -> Done | None:
        """Let the library work."""
        task = self.queue.wait(1)
        if task is None:
            return None
        key = self.keys.pop(task.id)
        del self.tasks[key]
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
        """Return what the library counts."""
        running = [key for key, task in self.tasks.items() if self._runs(task)]
        counts = self.queue.stats
        return {
            "running": running,
            "values": sum(path.suffix == "" for path in self.values.iterdir()),
            "connected": int(counts.workers_connected),
            "bytes_sent": int(counts.bytes_sent),
            "bytes_received": int(counts.bytes_received),
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
    """Tell the library what a task needs."""
    task.specify_cores(math.ceil(work.cores))
    if work.gpus:
        task.specify_gpus(math.ceil(work.gpus))
    if work.memory:
        task.specify_memory(-(-work.memory // MEGABYTE))
    if work.disk:
        task.specify_disk(-(-work.disk // MEGABYTE))
    if work.site is not None:
        task.specify_feature(f"site={work.site}")
