"""The ttbar example on a local folder, S3 and Rucio, beside each other in one run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
AGC = ROOT / "examples" / "agc"


@contextmanager
def stores(folder: Path) -> Iterator[dict[str, str]]:
    """A URL of each kind, with its server running and the environment that its users have."""
    from tests.services.rucio import Rucio
    from tests.services.s3 import KEY, SECRET, best_available

    with ExitStack() as stack:
        s3 = stack.enter_context(best_available(folder / "agc-s3"))
        s3.make_bucket("agc")
        rucio = stack.enter_context(Rucio(folder / "agc-rucio"))
        environment = {
            "AWS_ENDPOINT_URL": s3.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "RUCIO_CONFIG": str(rucio.client_cfg),
            "XDG_CACHE_HOME": str(folder / "agc-home"),
        }
        stack.enter_context(mock.patch.dict(os.environ, environment))
        yield {"file": (folder / "agc-file").as_uri(), "s3": "s3://agc/cache", "rucio": rucio.url("agc")}


def measure(folder: Path, scale: float) -> Iterator[tuple[str, Any, Any]]:
    """Each run's name with its outcome and the plain one's; the plain runs are interleaved with the others."""
    sys.path[:0] = [str(AGC), str(ROOT / "benchmarks" / "agc")]
    from generator.make_data import make_data, usual_folder
    from phase import Phase, run
    from run import same

    manifest = str(make_data(usual_folder(scale), scale))
    with stores(folder) as urls:
        for policy in ("auto", "all"):
            plain = run(Phase("plain", str(AGC), manifest))
            for kind, url in urls.items():
                for name in ("cold", "warm"):
                    cache = url.replace("agc", f"agc-{policy}") if kind != "s3" else f"{url}-{policy}"
                    outcome = run(Phase(name, str(AGC), manifest, cache, policy))
                    if not same(plain.histograms, outcome.histograms):
                        raise AssertionError(f"the {name} run on {kind} differs from the plain one")
                    yield f"{kind}, {policy}, {name}", outcome, plain
