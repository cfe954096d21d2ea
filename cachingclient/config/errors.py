"""What is wrong with a setting."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """A setting has a value that it does not take: the text names both, and what it takes."""
