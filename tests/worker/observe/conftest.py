"""A file to be read."""

import pytest


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "jec.json"
    path.write_text('{"sf": 2}')
    return path
