"""Fronts that answer without torch: a room's public names are loaded on first use (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

__all__ = ["lazy_front"]


class _Front(ModuleType):
    """A package whose public names are imported when they are first asked for."""

    _homes: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        if name not in self._homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{self.__name__}.{self._homes[name]}"), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a submodule binds it to its package; the public function of the same name (`data.augment`,
        # `transfer.predict`) must not be hidden by it.
        if not (name in self._homes and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._homes})


def lazy_front(package: str, names: Mapping[str, Sequence[str]]) -> list[str]:
    """Turn a package into a front that imports its submodules on first use.

    Args:
        package: ``__name__`` of the package.
        names: Public names by the submodule that defines them.

    Returns:
        All of the names, sorted: the package's ``__all__``.

    Example:
        >>> import nctransfer.transfer
        >>> "probe" in dir(nctransfer.transfer), nctransfer.transfer.METHOD_NAMES[0]
        (True, 'linear')
    """
    module = sys.modules[package]
    module.__dict__["_homes"] = {name: home for home, group in names.items() for name in group}
    module.__class__ = _Front
    return sorted(module.__dict__["_homes"])
