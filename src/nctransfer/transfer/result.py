"""The return value of `auto`, `probe` and `tune`: the run's result as an object."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from ..runs import Result, Summary
from .tuned import TunedNetwork

__all__ = ["RunResult"]


class RunResult:
    """A finished run.

    Attributes:
        record: The run's typed record, as :func:`nctransfer.load_run` reads it.
        folder: Where it lies, or None when it was not written.
        models: Tuned networks by method, where the run tuned any in this process.

    Every key of ``result``, which is what stands in ``result.json``, is an attribute too: ``run.best_method``,
    ``run.layers``, ``run.methods["scl"]``.
    """

    def __init__(
        self, record: Result | Summary, folder: Path | None = None, models: dict[str, TunedNetwork] | None = None
    ) -> None:
        self.record, self.folder, self.models = record, folder, models or {}

    @cached_property
    def result(self) -> dict[str, Any]:
        """The content of ``result.json``, as plain values."""
        return self.record.plain()

    def __getattr__(self, name: str) -> Any:
        if name in ("record", "folder", "models") or name.startswith("__") or name not in self.result:
            raise AttributeError(name)
        return self.result[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.result]

    def __repr__(self) -> str:
        best = self.result.get("best_method")
        return f"RunResult(kind={self.record.kind!r}, best_method={best!r}, folder={str(self.folder)!r})"

    @property
    def best(self) -> TunedNetwork:
        """The tuned network that validation chose."""
        return self.models[self.result["best_method"]]
