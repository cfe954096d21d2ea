"""A job as a site's agent runs it: its files, its process, what it sends back. Both agents' interpreters read this."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Payload:
    """A job in a folder of its own; `description` is its ClassAd, `boxes` are its input sandboxes."""

    def __init__(self, number: int, site: str, description: Any, boxes: Iterable[bytes]) -> None:
        self.number = number
        self.folder = Path(tempfile.mkdtemp(prefix=f"job{number}-"))
        for box in boxes:
            with tarfile.open(fileobj=io.BytesIO(box)) as archive:
                archive.extractall(self.folder, filter="data")
        self.outputs = description.getListFromExpression("OutputSandbox")
        program = f"./{description.getAttributeString('Executable')}"
        command = [program, *shlex.split(description.getAttributeString("Arguments"))]
        environment = {"PATH": os.environ.get("PAYLOAD_PATH", os.environ["PATH"]), "HOME": str(self.folder)}
        environment |= {"JOBID": str(number), "DIRACSITE": site}
        with (self.folder / "std.out").open("wb") as out, (self.folder / "std.err").open("wb") as err:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=out, stderr=err, start_new_session=True
            )

    def end(self) -> None:
        """Stop it and what it started."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def packed(self) -> bytes:
        """What it is to send back."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:bz2") as archive:
            for pattern in self.outputs:
                for path in self.folder.glob(pattern):
                    archive.add(path, path.name)
        return buffer.getvalue()
