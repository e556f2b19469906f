"""The one place of the version: the package, the wheel and the record of a run take it from here."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
