"""A Prometheus server that scrapes the addresses that it is given, once a second."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path

from tests.services.service import Service, free_port, needs

CONFIGURATION = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: test
    static_configs:
      - targets: [{targets}]
"""


class Prometheus(Service):
    """Answers at a port of loopback."""

    def __init__(self, folder: Path, *targets: str) -> None:
        super().__init__(folder)
        self.targets = targets
        self.port = free_port()

    def start(self) -> None:
        needs("prometheus", package="prometheus")
        configuration = self.folder / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(targets=", ".join(map(repr, self.targets))))
        address = f"--web.listen-address=127.0.0.1:{self.port}"
        data = f"--storage.tsdb.path={self.folder / 'data'}"
        self.run(["prometheus", f"--config.file={configuration}", data, address])
        self.wait(self.answers, "Prometheus does not answer")

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2).close()
        except OSError:
            return False
        return True

    def query(self, expression: str) -> dict[str, float]:
        """The values of now, by the site, step or address that they are of."""
        words = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{words}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return {_of(each["metric"]): float(each["value"][1]) for each in found}


def _of(labels: dict[str, str]) -> str:
    return labels.get("site") or labels.get("step") or labels.get("instance") or " ".join(labels.values())
