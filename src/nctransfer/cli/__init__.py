"""The command line: one file a verb, which parses and prints and holds no logic."""

from __future__ import annotations

from .app import main

__all__ = ["main"]
