"""TaskVine's manager, in the process that is its own."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cachingclient.tunnel.certificates import make_security
from cachingclient.vine.engines.pool.commands import MEGABYTE
from cachingclient.vine.engines.pool.manager import Backend, Done, Work
from cachingclient.vine.engines.pool.modes import mode_of
from cachingclient.vine.engines.pool.ports import for_library
from cachingclient.vine.engines.pool.runner import STATUS, TASK, VALUE, call

MOST_RETRIES = 20
"""How often a task may lose its worker."""
RESTART_AFTER = 1
"""Seconds before a worker's process for calls is started again."""
MOST_GIVEN_UP = 3
"""How often that process may fail everywhere before there is no hope."""
LIBRARY = "cachingclient"
COMMAND = "python3 -m cachingclient.vine.engines.pool.runner"


class TaskVineBackend(Backend):
    """TaskVine's manager: values are temporary files of the workers, which pass them to each other.

    Parameters
    ----------
    folder
        For logs and values on their way.
    password
        The password that workers show.
    ports
        The lowest and the highest port to listen on; zeros for any.
    extra_files
        Files that every task gets, by their names.
    modes
        How the library finds what tasks take, by their names.
    project, catalogue, ssl, environment, replicas
        As `TaskVineEngine` takes them.
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
        ssl: bool | tuple[str, str],
        environment: Path | None,
        replicas: int,
    ) -> None:
        import ndcctools.taskvine as vine

        self.vine = vine
        self.folder = folder
        files = _certificate(folder) if ssl is True else ssl
        self.manager = vine.Manager(
            for_library(ports), name=project, run_info_path=str(folder / "runs"), ssl=files, shutdown=True
        )
        self.manager.set_password(password)
        if catalogue is not None:
            self.manager.set_catalog_servers(catalogue)
        self.manager.tune("immediate-recovery", 1)
        self.manager.tune("temp-replica-count", replicas)
        self.manager.tune("transient-error-interval", RESTART_AFTER)
        self.manager.tune("max-library-retries", 1)
        self.modes = dict(modes)
        if modes:
            self.manager.enable_monitoring()
        self.port = self.manager.port
        self.environment = (
            self.manager.declare_poncho(str(environment), cache="forever") if environment is not None else None
        )
        self.files: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}
        self.keys: dict[int, str] = {}
        self._own_files: dict[str, tuple[Any, Any]] = {}
        self.extra_files = {
            name: self.manager.declare_file(str(path), cache="workflow") for name, path in extra_files.items()
        }
        self._modes_set: dict[str, str] = {}
        self._given_up = 0
        self._install_library()

    def _install_library(self) -> None:
        """Have each worker keep a process that has loaded what tasks need, for calls that ask for nothing special."""
        library = self.manager.create_library_from_functions(
            LIBRARY, call, poncho_env="none", add_env=False, exec_mode="fork"
        )
        if self.environment is not None:
            library.add_environment(self.environment)
        self.manager.install_library(library)

    def _look_after_library(self) -> None:
        """Install the library again once it was given up: its failures at lost workers are counted for ever.

        Raises
        ------
        RuntimeError
            If nothing has ended since it was given up several times: calls would wait for ever.
        """
        if self.manager.check_library_exists(LIBRARY):
            return
        self._given_up += 1
        if self._given_up > MOST_GIVEN_UP:
            raise RuntimeError("no worker can start the process that calls run in: does its Python have cachingclient?")
        self._install_library()

    def submit(self, work: Work) -> None:
        """Describe a task to the library."""
        inputs = {name: self.files[key] for name, key in work.inputs.items()}
        asks = work.cores != 1 or work.gpus or work.memory or work.disk
        task = self._command(work) if asks or self.modes else self._call(work)
        inputs |= self.extra_files
        for name, file in inputs.items():
            task.add_input(file, name)
        self.files[work.key] = value = self.manager.declare_temp()
        task.add_output(value, VALUE)
        task.set_retries(MOST_RETRIES)
        if work.site is not None:
            task.add_feature(f"site={work.site}")
        self.keys[self.manager.submit(task)] = work.key
        self.tasks[work.key] = task

    def _call(self, work: Work) -> Any:
        """Return a call in the process that each worker keeps."""
        self._look_after_library()
        return self.vine.FunctionCall(LIBRARY, call.__name__, work.payload)

    def _command(self, work: Work) -> Any:
        """Return a task that runs in a process of its own, and so can have resources of its own."""
        task = self.vine.Task(COMMAND)
        payload = self.manager.declare_buffer(work.payload)
        record = self.manager.declare_file(str(self.folder / f"{work.key}.status"))
        self._own_files[work.key] = payload, record
        task.add_input(payload, TASK)
        task.add_output(record, STATUS)
        if self.environment is not None:
            task.add_environment(self.environment)
        task.set_category(work.category)
        mode = mode_of(work.mode, work.category, self.modes)
        if mode is None or mode == "fixed":
            task.set_cores(math.ceil(work.cores))
        if mode is not None and self._modes_set.get(work.category) != mode:
            self._modes_set[work.category] = mode
            self.manager.set_category_mode(work.category, mode)
        if work.gpus:
            task.set_gpus(math.ceil(work.gpus))
        if work.memory:
            task.set_memory(-(-work.memory // MEGABYTE))
        if work.disk:
            task.set_disk(-(-work.disk // MEGABYTE))
        return task

    def wait(self) -> Done | None:
        """Let the library work."""
        task = self.manager.wait(1)
        key = self.keys.pop(task.id, None) if task is not None else None
        if key is None:  # nothing has ended, or one that was taken back
            self._look_after_library()
            return None
        status = self._end(key)
        if status is None:
            return Done(key, None, f"{task.result}, exit code {task.exit_code}: {(task.std_output or '').strip()}")
        self._given_up = 0
        return Done(key, status)

    def _end(self, key: str) -> bytes | None:
        """Let go of a task and its own files; return the record that it left, whatever the library says of it."""
        task = self.tasks.pop(key)
        own = self._own_files.pop(key, None) or (task.output_file,)
        path = Path(own[-1].source())
        data = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        for file in own:
            self.manager.undeclare_file(file)
        if data is None or len(own) > 1:
            return data
        # The result of a call is wrapped; if the call itself failed, the text of an error stands in its place.
        record: bytes | None = pickle.loads(data)["Result"]
        return record

    def cancel(self, key: str) -> None:
        """Take a task back."""
        number = self.tasks[key].id
        del self.keys[number]
        self.manager.cancel_by_task_id(number)
        self._end(key)

    def waiting(self) -> int:
        """Return how many tasks wait for a worker."""
        return int(self.manager.stats.tasks_waiting)

    def put(self, key: str, path: Path) -> None:
        """Take a file."""
        self.files[key] = self.manager.declare_file(str(path), cache=True, unlink_when_done=True)

    def fetch(self, key: str) -> Path | None:
        """Have a value sent here."""
        file = self.files.get(key)
        if file is None or self.manager.fetch_file(file) is None:
            return None
        path = self.folder / f"fetched-{key}"
        if not path.exists():
            path.write_bytes(file.contents())
        return path

    def release(self, key: str) -> None:
        """Delete a value at the workers."""
        file = self.files.pop(key, None)
        if file is not None:
            self.manager.undeclare_file(file)
            (self.folder / f"fetched-{key}").unlink(missing_ok=True)

    def describe(self) -> dict[str, Any]:
        """Return the library's counts."""
        counts = self.manager.stats
        return {
            "running": [key for key, task in self.tasks.items() if task.state == "RUNNING"],
            "values": len(self.files),
            "connected": int(counts.workers_connected),
            "bytes_sent": int(counts.bytes_sent),
            "bytes_received": int(counts.bytes_received),
            "logs": self.manager.logging_directory,
        }

    def close(self) -> None:
        """Send the workers home, and write the logs' last lines."""
        del self.manager


def _certificate(folder: Path) -> tuple[str, str]:
    """Make the files of a key and a certificate, which takes the library itself several seconds."""
    made: Any = make_security()
    found = folder / "key.pem", folder / "certificate.pem"
    for path, text in zip(found, (made.tls_scheduler_key, made.tls_scheduler_cert), strict=True):
        path.touch(0o600)
        path.write_text(text)
    return str(found[0]), str(found[1])
