"""From what the user wrote to the list of networks: names, patterns, run folders, weights files, what is installed."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError, near_names
from ..models import Network, known_networks, load_network, offline_networks

__all__ = ["Candidate", "find_candidates"]

_FILES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network that can be loaded: its name in the table, and what loads it."""

    name: str
    source: str
    arch: str | None = None
    weights: str | None = None

    def load(self, image_size: int | None) -> Network:
        """The network; errors as those of ``load_network``."""
        return load_network(self.source, weights=self.weights, arch=self.arch, image_size=image_size)


def find_candidates(
    words: Sequence[str], *, arch: str | None = None, weights: str | None = None
) -> tuple[list[Candidate], list[str]]:
    """The candidates that ``words`` name, each once, in their order, and remarks on what was left out.

    Args:
        words: Names, patterns with ``*``, ``?`` or ``[``, run folders, weights files, ``offline``.
        arch: Architecture of weights files without a manifest.
        weights: ``"random"`` for untrained networks.

    Raises:
        UsageError: a word names or matches nothing; near names are given.

    Example:
        >>> [candidate.name for candidate in find_candidates(["resnet1[08]", "resnet18"])[0]]
        ['resnet18']
    """
    found: dict[str, Candidate] = {}
    notes: list[str] = []
    for word in words:
        for source in _matching(word):
            path = Path(source)
            if path.suffix in _FILES:
                one = Candidate(path.stem, source, arch=arch)
            else:
                one = Candidate(path.name if path.exists() else source, source, weights=weights)
            twin = found.get(one.name)
            if twin is not None and twin.source != one.source:
                one = dataclasses.replace(one, name=source)
            found.setdefault(one.name, one)
    if len(found) == 1:
        notes.append("one candidate alone: there is nothing to compare it with")
    return list(found.values()), notes


def _matching(word: str) -> list[str]:
    if word == "offline":
        installed = list(offline_networks())
        if not installed:
            raise UsageError(
                "no network is installed", where="--models offline", remedy="pip install 'nctransfer[offline]'"
            )
        return installed
    if not any(letter in word for letter in "*?["):
        return [word]
    files = [
        path for path in sorted(glob.glob(word)) if Path(path).suffix in _FILES or (Path(path) / "checkpoints").is_dir()
    ]
    matched = files or known_networks(word)
    if not matched:
        plain = word.translate(str.maketrans("", "", "*?[]"))
        near = [name for name in known_networks("*") if plain and name.startswith(plain[: max(3, len(plain) - 2)])]
        raise UsageError(
            f"nothing matches {word!r}",
            where="--models",
            remedy=f"near: {', '.join(near[:3])}" if near else near_names(plain, known_networks("*")),
        )
    return matched
