"""The tuning methods: one file each, which makes one object and registers it. Every file of this package is read.

To add a method, add a file here; nothing else changes. From outside the package, :func:`register` does the same.
"""

from __future__ import annotations

import importlib
import pkgutil

from .base import (
    ENSEMBLE,
    METHODS,
    Adapter,
    TuningMethod,
    default_methods,
    find_method,
    inner_probe,
    method_names,
    register,
    registered,
)

__all__ = [
    "ENSEMBLE",
    "METHODS",
    "Adapter",
    "TuningMethod",
    "default_methods",
    "find_method",
    "inner_probe",
    "method_names",
    "register",
    "registered",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
