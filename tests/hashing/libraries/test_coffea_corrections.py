"""coffea's factories of corrected jets, which hold names out of a set."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("coffea")


def test_corrected_jets_are_the_same_in_every_process(tmp_path: Path) -> None:
    """A stack of corrections makes its table of names out of a set; what the names and settings are counts."""
    program = tmp_path / "told.py"
    text = (
        "from coffea.jetmet_tools import CorrectedJetsFactory, JECStack\n"
        "from cachingclient.hashing.identify import identify\n"
        "names = {'JetPt': 'pt', 'JetMass': 'mass', 'JetEta': 'eta', 'ptGenJet': 'gen', 'Rho': 'rho'}\n"
        "factory = CorrectedJetsFactory({name: names[name] for name in set(names)}, JECStack({}))\n"
        "print(identify(factory).digest, *factory.name_map)\n"
    )

    def run(seed: int, text: str = text) -> list[str]:
        program.write_text(text)
        paths = ":".join(filter(None, sys.path))
        environment = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": paths, "HOME": str(tmp_path)}
        command = [sys.executable, "-W", "ignore", str(program)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.split(maxsplit=1)

    digests, orders = zip(*map(run, range(3)), strict=True)
    assert len(set(digests)) == 1
    assert len(set(orders)) > 1
    edits = text.replace("'pt',", "'pt_nom',"), text.replace("\nprint", "\nfactory.treat_pt_as_raw = False\nprint")
    assert len({digests[0], *(run(0, edit)[0] for edit in edits)}) == 3
