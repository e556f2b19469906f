"""A run is a folder: its configuration, environment, metrics, result, checkpoints and page."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from .atomic import raise_if_full, to_plain, write_json
from .environment import describe_environment
from .lock import LOCK_FILES, FolderLock
from .record import Cost, Record
from .spent import mark, spent_before

__all__ = ["RunFolder"]

_REPLACED = ".replaced"
_NO_CONTENT = (*LOCK_FILES, _REPLACED)
_AT_THE_START = ("config.json", "environment.json", "data.json", "skipped.csv", "checkpoints")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class RunFolder:
    """A run's folder, opened for writing under a lock, or read-only.

    Example:
        >>> import tempfile
        >>> with RunFolder.create(tempfile.mkdtemp() + "/run", config={"seed": 0}) as run:
        ...     run.log(step=1, loss=0.5)
        ...     run.write_result({"best_method": "scl"})
        >>> RunFolder(run.path).result()["best_method"]
        'scl'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = FolderLock(self.path)
        self._made: list[Path] = []  # folders that this run made, the innermost first
        self._began_empty = self._writes = False
        self._before = 0.0  # seconds of earlier processes

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        config: dict[str, Any],
        resume: bool = False,
        overwrite: bool = False,
        free: Collection[str] = (),
    ) -> RunFolder:
        """Make the folder (or reopen it), take its lock, and write the configuration and the environment.

        Args:
            path: The folder; its parents are made.
            config: What the run was asked to do, JSON-able. With ``resume`` it must equal the stored one.
            resume: Go on with a run that stands there.
            free: Keys of ``config`` that may differ from the stored one, because the result does not hang on them.
            overwrite: Remove a *run* that stands there. A folder that holds anything else is never removed.

        A run that is refused before it has computed anything (a misspelt layer, data that cannot be read) leaves the disk
        as it was: leaving the ``with`` block by an exception takes the folder back, or puts the overwritten run back.

        Raises:
            UsageError: the folder is not empty and neither flag was given; or the stored configuration differs.
            LockedError: a live process works in it.
        """
        run = cls(path)
        run._made = [folder for folder in (run.path, *run.path.parents) if not folder.exists()]
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run._lock.acquire()
        except OSError as error:
            raise_if_full(error, run.path)
            raise UsageError(
                f"a run cannot be written there: {error.strerror or error}",
                where=str(path),
                remedy="choose another --out",
            ) from error
        try:
            run._prepare(config, resume, overwrite, free)
        except BaseException:
            run._lock.release()
            raise
        return run

    def _prepare(self, config: dict[str, Any], resume: bool, overwrite: bool, free: Collection[str]) -> None:
        present = [entry.name for entry in self.path.iterdir() if entry.name not in _NO_CONTENT]
        stored = self._read("config.json")
        if present and overwrite and not resume:
            if stored is None:
                raise UsageError(
                    "the folder is not empty and holds no run, so it is not removed",
                    where=str(self.path),
                    remedy="choose another --out",
                )
            self._set_aside(present)
            stored, present = None, []
        if present and not resume:
            raise self._occupied(stored, config)
        self._began_empty, self._writes = not present, True
        plain = to_plain(config)
        changed = [] if stored is None else [key for key in {*stored, *plain} if stored.get(key) != plain.get(key)]
        changed = sorted(set(changed).difference(free))
        if changed:
            if "verb" in changed:
                raise self._occupied(stored, config)
            raise UsageError(
                f"the run was started with other settings: {', '.join(changed)}",
                where=str(self.path / "config.json"),
                remedy="resume with the same settings, or choose another --out",
            )
        (self.path / "checkpoints").mkdir(exist_ok=True)
        self._before = spent_before(self.path) if present else 0.0
        write_json(self.path / "config.json", plain)
        write_json(self.path / "environment.json", {**describe_environment(), "seconds_before": self._before})

    def _occupied(self, stored: Any, config: dict[str, Any]) -> UsageError:
        """An error that names the run in the folder and the ways out."""
        if not isinstance(stored, dict):
            return UsageError("the folder is not empty", where=str(self.path), remedy="choose another --out")
        there, asked = stored.get("verb", "other"), config.get("verb")
        if asked is not None and there != asked:
            return UsageError(
                f"the folder is not empty: it holds a run of `{there}`, not of `{asked}`",
                where=str(self.path),
                remedy="choose another --out, or replace that run with --overwrite",
            )
        state = "finished" if (self.path / "result.json").is_file() else "unfinished"
        return UsageError(
            f"the folder is not empty: it holds {'an' if state == 'unfinished' else 'a'} {state} run",
            where=str(self.path),
            remedy="choose another --out, go on with --resume, or replace it with --overwrite",
        )

    def _set_aside(self, names: list[str]) -> None:
        """Keep the run that is to be overwritten until the new one has begun."""
        aside = self.path / _REPLACED
        _remove(aside)
        aside.mkdir()
        for name in names:
            (self.path / name).rename(aside / name)

    def _is_untouched(self) -> bool:
        """Whether nothing was computed yet: only what every run writes at its start lies here."""
        names = {entry.name for entry in self.path.iterdir()} - {*_NO_CONTENT, *_AT_THE_START}
        return not names and not any(self.checkpoints.iterdir() if self.checkpoints.is_dir() else ())

    def _take_back(self) -> None:
        """Leave the disk as it was before this run."""
        for name in _AT_THE_START:
            _remove(self.path / name)
        aside = self.path / _REPLACED
        if aside.is_dir():
            for entry in aside.iterdir():
                entry.rename(self.path / entry.name)
            aside.rmdir()
        self._lock.release()
        if self.path in self._made:
            for name in LOCK_FILES:
                _remove(self.path / name)
            for folder in self._made:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def config(self) -> dict[str, Any]:
        """The stored configuration."""
        return self._need("config.json")

    def result(self) -> dict[str, Any]:
        """The stored result."""
        return self._need("result.json")

    def write_result(self, result: Record | dict[str, Any]) -> None:
        """Write ``result.json`` atomically."""
        write_json(self.path / "result.json", result.plain() if isinstance(result, Record) else result)

    def cost(self, seconds: float, **rest: Any) -> Cost:
        """The cost of the run, of whose last process ``seconds`` are; ``rest`` are further fields."""
        return Cost(seconds=seconds, total_seconds=self._before + seconds, **rest)

    def mark(self) -> None:
        """Leave behind that the run is at work, so that its time until now counts should it be killed."""
        mark(self.path)

    def log(self, **record: Any) -> None:
        """Append one JSON line to ``metrics.jsonl``.

        Raises:
            ResourceError: the disk is full.
        """
        path = self.path / "metrics.jsonl"
        line = json.dumps(to_plain(record), allow_nan=False) + "\n"
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise_if_full(error, path)
            raise

    def metrics(self) -> list[dict[str, Any]]:
        """All records of ``metrics.jsonl``; a last line that was cut off by a kill is left out."""
        path = self.path / "metrics.jsonl"
        records = []
        if path.is_file():
            for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
                try:
                    records.append(json.loads(line))
                except ValueError:
                    continue
        return records

    def close(self) -> None:
        """Release the lock, and drop the run that this one replaced."""
        if self._writes:
            _remove(self.path / _REPLACED)
        self._lock.release()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: object = None, *exception: object) -> None:
        if kind is not None and self._began_empty and self._is_untouched():
            self._take_back()
        self.close()

    def _read(self, name: str) -> Any:
        path = self.path / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
        except ValueError as error:
            raise DataError(f"{name} is not JSON", where=str(path), remedy="start the run anew") from error

    def _need(self, name: str) -> dict[str, Any]:
        value = self._read(name)
        if value is None:
            raise DataError(f"{name} not found", where=str(self.path), remedy="name the folder of a finished run")
        return value
