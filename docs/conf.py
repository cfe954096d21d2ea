"""Sphinx: the pages of this folder as HTML (`make docs`)."""

from __future__ import annotations

project = "cachingclient"
author = "the cachingclient developers"
extensions = ["myst_parser"]
myst_heading_anchors = 3  # links may lead to headings
html_theme = "furo"
html_title = project
exclude_patterns = ["_build"]
