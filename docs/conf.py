"""Sphinx: the pages of this folder as HTML (`make docs`)."""

from __future__ import annotations

project = "cachingclient"
author = "the cachingclient developers"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = project
exclude_patterns = ["_build"]
