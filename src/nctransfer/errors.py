"""The few exception types of the package, and the exit code that the command line gives each.

Every error carries three things: what is wrong, where it was seen, and how to fix it. The command line prints them as
``error: what | where | how to fix it``; from Python they read as one sentence.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "DataError",
    "LockedError",
    "NCTransferError",
    "PreemptedError",
    "ResourceError",
    "SetupError",
    "UsageError",
    "near_names",
]


class NCTransferError(Exception):
    """Base of all errors that this package raises on purpose.

    Args:
        what: What is wrong, with the value that was asked for and the one that arrived.
        where: The file, option, argument, layer or row at which it was seen.
        remedy: What the user can do about it.

    Example:
        >>> error = DataError("only 1 class", where="folder 'cats'", remedy="add a second class folder")
        >>> str(error)
        "only 1 class (folder 'cats'); add a second class folder"
        >>> error.exit_code
        3
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what + (f" ({where})" if where else "") + (f"; {remedy}" if remedy else ""))

    def line(self) -> str:
        """The error as one line of the command line: ``what | where | how to fix it``."""
        return " | ".join(part for part in (self.what, self.where, self.remedy) if part)

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[NCTransferError], what: str, where: str, remedy: str) -> NCTransferError:
    return kind(what, where=where, remedy=remedy)


class UsageError(NCTransferError, ValueError):
    """A name, option or setting that is unknown or invalid. Exit code 2."""

    exit_code = 2


class DataError(NCTransferError, ValueError):
    """Data that is missing, damaged or does not fit what was asked of it. Exit code 3."""

    exit_code = 3


class CheckpointError(NCTransferError, RuntimeError):
    """A checkpoint that is damaged, altered, or holds code instead of weights. Exit code 4."""

    exit_code = 4


class ResourceError(NCTransferError, RuntimeError):
    """Memory, disk or numbers ran out: out of memory, disk full, a loss that turned NaN. Exit code 5."""

    exit_code = 5


class SetupError(NCTransferError, RuntimeError):
    """Something that this machine lacks: a device, an extra, a file that must be downloaded first. Exit code 6."""

    exit_code = 6


class LockedError(NCTransferError, RuntimeError):
    """Another live process works in the same run folder; try again later. Exit code 75."""

    exit_code = 75


class PreemptedError(NCTransferError, RuntimeError):
    """The run was told to stop, saved its state and can be resumed. Exit code 75."""

    exit_code = 75


def near_names(name: str, known: list[str] | tuple[str, ...]) -> str:
    """A remedy for an unknown name: the near ones, or all when none is near.

    Example:
        >>> near_names("resnet19", ["resnet18", "resnet50", "vit"])
        'did you mean resnet18, resnet50?'
    """
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {', '.join(near)}?"
    return f"known: {', '.join(known)}" if len(known) <= 30 else f"{len(known)} names are known"
