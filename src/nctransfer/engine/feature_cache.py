"""Features that were computed before, on disk: no image goes through the same network twice.

A table belongs to one network: its weights, its architecture, its preprocessing, the precision. A row belongs to one image
as the network sees it, by the hash of its pixels. So every subset of a data set, and every verb, finds what any other has
computed, and a changed image or changed weights are never mistaken for the old ones. Of every table that is used, one row
is computed again and compared.

Tables lie under ``NCTRANSFER_CACHE`` (``~/.cache/nctransfer`` by default; ``off`` for none), all together at most
``NCTRANSFER_CACHE_GIB`` (4); those that were used longest ago go first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ..errors import NCTransferError
from ..models import Network, hash_weights
from ..runs import load_tensors, save_tensors
from .runtime import Runtime

__all__ = ["FeatureTable", "cache_folder", "open_table"]

Forward = Callable[[Tensor], dict[str, Tensor]]

_GIB = 1 << 30
_FLUSH = 256 << 20
_DIGEST = 16
_LOCK_SECONDS = 30.0


def cache_folder() -> Path | None:
    """Where features are kept, or None where they are not to be."""
    named = os.environ.get("NCTRANSFER_CACHE")
    if named is not None:
        return None if named.lower() in ("", "0", "off", "none") else Path(named) / "features"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "nctransfer" / "features"


def open_table(network: Network, runtime: Runtime, *, use: bool = True) -> FeatureTable | None:
    """The table of a network's features, or None where none can be kept.

    Features of a module that was passed as an object are not kept: nothing says what its forward does. Nor are they
    in runs of several processes, each of which sees a part of every batch.
    """
    folder = cache_folder() if use else None
    if folder is None or runtime.world_size > 1 or not network.provenance.get("arch"):
        return None
    return FeatureTable(folder, _key(network, runtime))


def _key(network: Network, runtime: Runtime) -> str:
    """Everything besides the pixels that a feature depends on."""
    facts = (
        network.provenance.get("arch"),
        network.provenance.get("arch_arguments"),
        network.size,
        network.mean_values,
        network.std_values,
        sorted((name, repr(layout)) for name, layout in network.layouts.items()),
        runtime.precision,
        runtime.device.type,
        torch.__version__,
        repr(network.encoder),  # twins that pad otherwise take the same weights
    )
    return hash_weights(network.encoder, repr(facts))


class FeatureTable:
    """Rows of features by image, of one network.

    Args:
        folder: Where all tables lie.
        key: Of the network.

    Attributes:
        hits, misses: Rows that were found and rows that were computed.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.path = folder, folder / key
        self.hits = self.misses = 0
        self._rows: dict[bytes, list[tuple[int, int]]] = {}
        self._shards: list[dict[str, Tensor]] = []
        self._new: dict[bytes, dict[str, Tensor]] = {}
        self._new_bytes = 0
        self._checked = False
        self._read()

    @property
    def temperature(self) -> str | None:
        """``cold``, ``warm`` or ``partly warm``: whether features were computed or found; None before any was taken."""
        if not self.hits:
            return "cold" if self.misses else None
        return "partly warm" if self.misses else "warm"

    def remembering(self, forward: Forward, names: Sequence[str]) -> Forward:
        """``forward`` that computes only the images of which ``names`` are not known.

        Args:
            forward: Maps uint8 images (B, 3, S, S) to features (B, d) by name; all of ``names``.
            names: The names that it returns.
        """

        def remembered(images: Tensor) -> dict[str, Tensor]:
            keys = _digests(images)
            known = [self._find(key, names) for key in keys]
            if not self._checked and any(row is not None for row in known):
                self._check(forward, images, known)
                known = [self._find(key, names) for key in keys]
            rest = [position for position, row in enumerate(known) if row is None]
            computed = forward(images if len(rest) == len(keys) else images[rest]) if rest else {}
            self.hits, self.misses = self.hits + len(keys) - len(rest), self.misses + len(rest)
            for place, position in enumerate(rest):
                self._add(keys[position], {name: computed[name][place] for name in names})
            if len(rest) == len(keys):
                return computed
            place_of = {position: place for place, position in enumerate(rest)}
            rows = {
                name: torch.stack(
                    [
                        computed[name][place_of[position]].float().cpu() if row is None else row[name]
                        for position, row in enumerate(known)
                    ]
                )
                for name in names
            }
            return {name: values.to(images.device) for name, values in rows.items()}

        return remembered

    def __enter__(self) -> FeatureTable:
        return self

    def __exit__(self, *exception: object) -> None:
        self.flush()

    def flush(self) -> None:
        """Write what was computed; where that is impossible, the features are only not kept."""
        if not self._new:
            return
        names = sorted({name for row in self._new.values() for name in row})
        groups: dict[tuple[str, ...], list[bytes]] = {}
        for key, row in self._new.items():
            groups.setdefault(tuple(name for name in names if name in row), []).append(key)
        with suppress(OSError, NCTransferError, Timeout):
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock", timeout=_LOCK_SECONDS):
                self.path.mkdir(exist_ok=True)
                for group, keys in groups.items():
                    tensors = {f"f/{name}": torch.stack([self._new[key][name] for key in keys]) for name in group}
                    tensors["keys"] = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).view(-1, _DIGEST)
                    save_tensors(self.path / f"{uuid.uuid4().hex}.safetensors", tensors)
                _evict(self.folder, keep=self.path)
        self._new, self._new_bytes = {}, 0

    def forget(self) -> None:
        """Remove the table."""
        self._rows, self._shards, self._new, self._new_bytes = {}, [], {}, 0
        shutil.rmtree(self.path, ignore_errors=True)

    def _read(self) -> None:
        for path in sorted(self.path.glob("*.safetensors")):
            try:
                tensors, _ = load_tensors(path)
                keys = tensors.pop("keys")
                rows = {len(values) for values in tensors.values()} | {len(keys)}
                if len(rows) != 1 or keys.shape[1] != _DIGEST:
                    raise ValueError
            except (NCTransferError, OSError, KeyError, ValueError, IndexError):
                continue  # damaged, half written, or just being evicted by another process: as if it were not there
            with suppress(OSError):
                os.utime(self.path)
            self._shards.append({name.removeprefix("f/"): values for name, values in tensors.items()})
            for row, key in enumerate(keys.numpy().tobytes()[i : i + _DIGEST] for i in range(0, keys.numel(), _DIGEST)):
                self._rows.setdefault(key, []).append((len(self._shards) - 1, row))

    def _find(self, key: bytes, names: Sequence[str]) -> dict[str, Tensor] | None:
        for shard, row in self._rows.get(key, ()):
            tensors = self._shards[shard]
            if all(name in tensors for name in names):
                return {name: tensors[name][row] for name in names}
        new = self._new.get(key)
        return new if new is not None and all(name in new for name in names) else None

    def _add(self, key: bytes, row: dict[str, Tensor]) -> None:
        kept = {name: values.detach().float().cpu().clone() for name, values in row.items()}
        if not all(bool(values.isfinite().all()) for values in kept.values()):
            return
        self._new[key] = kept
        self._new_bytes += sum(values.numel() * 4 for values in kept.values())
        if self._new_bytes > _FLUSH:
            self.flush()

    def _check(self, forward: Forward, images: Tensor, known: list[Any]) -> None:
        """Compute one known row again; a table that disagrees is not this network's, and goes."""
        self._checked = True
        position = next(place for place, row in enumerate(known) if row is not None)
        again = forward(images[position : position + 1])
        for name, values in known[position].items():
            size = float(values.abs().max()) + 1e-6
            if not torch.allclose(again[name][0].float().cpu(), values, rtol=1e-2, atol=1e-2 * size):
                self.forget()
                return


def _digests(images: Tensor) -> list[bytes]:
    pixels = images.detach().cpu().contiguous().numpy()
    return [hashlib.blake2b(image, digest_size=_DIGEST).digest() for image in pixels]


def _evict(folder: Path, keep: Path) -> None:
    """Remove the tables that were used longest ago until all together keep to the limit; and all if one alone does not."""
    try:
        limit = float(os.environ.get("NCTRANSFER_CACHE_GIB", "4")) * _GIB
    except ValueError:
        limit = 4 * _GIB
    tables = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in tables}
    for path in [path for path in tables if path != keep] + [keep]:
        if sum(sizes.values()) <= limit:
            return
        shutil.rmtree(path, ignore_errors=True)
        sizes.pop(path, None)
