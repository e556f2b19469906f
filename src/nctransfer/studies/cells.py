"""Cells: the pieces of work that studies are made of, each a plain configuration with a key.

Two studies that name the same configuration share one cell; a cell is computed once. There are three kinds:

- ``encoder``: an encoder pre-trained on a source data set (or, with 0 epochs, left untrained);
- ``transfer``: collapse and linear probes of a frozen network's features on a data set;
- ``tuning``: a network tuned on a downstream data set by one method at one unit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Cell", "Kind", "encoder", "in_order", "transfer", "tuning"]

Kind = Literal["encoder", "transfer", "tuning"]


@dataclass(frozen=True)
class Cell:
    """One piece of work.

    Args:
        kind: What is done.
        text: The configuration as canonical JSON, so that cells compare and hash by what they do.
        needs: Cells that must be there first.

    Example:
        >>> source = {"name": "digits"}
        >>> first, second = (encoder(source, seed, arch="mlp", epochs=1) for seed in (0, 0))
        >>> first == second, first.key == encoder(source, 1, arch="mlp", epochs=1).key
        (True, False)
    """

    kind: Kind
    text: str
    needs: tuple[Cell, ...] = field(default=())

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, as plain values."""
        return json.loads(self.text)

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that follow from kind and configuration."""
        return hashlib.sha256(f"{self.kind} {self.text}".encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """Name of the cell's folder."""
        return f"{self.kind}-{self.key}"

    def title(self) -> str:
        """The cell in a few words, for progress and messages.

        Example:
            >>> transfer("resnet18", {"name": "digits"}, 0).title()
            'transfer of resnet18 to digits, seed 0'
        """
        config = self.config
        if self.kind == "encoder":
            shown = ("arch", "loss", "head", "head_layers", "augment", "adversarial", "epochs")
            said = [f"{name} {config['settings'][name]}" for name in shown if name in config["settings"]]
            return f"encoder on {config['data']['name']}: {', '.join(said)}, seed {config['seed']}"
        network = config["network"] if not self.needs else f"encoder {self.needs[0].key[:6]}"
        to = f"{network} to {config['data']['name']}, seed {config['seed']}"
        if self.kind == "transfer":
            return f"transfer of {to}"
        return f"{config['method']} {config['unit'] or ''} of {to}".replace("  ", " ")


def encoder(data: dict[str, Any], seed: int, **settings: Any) -> Cell:
    """An encoder to be pre-trained on ``data`` with these fields of ``PretrainSettings``."""
    return _cell("encoder", {"data": data, "seed": seed, "settings": settings})


def transfer(
    network: Cell | str,
    data: dict[str, Any],
    seed: int,
    *,
    layers: bool = False,
    probe: bool = True,
    scores: bool = False,
    image_size: int | None = None,
) -> Cell:
    """Collapse of a frozen network's features on ``data``.

    Args:
        network: An encoder cell, or a network by name.
        data: The data set.
        seed: Of its splits.
        layers: Whether every layer is measured, or the penultimate features alone.
        probe: Whether a linear probe is fitted to each and tested.
        scores: Whether transferability scores of the penultimate features are computed.
        image_size: Side of the input in pixels; the network's own where None.
    """
    rest = {"layers": layers, "probe": probe, "scores": scores, "image_size": image_size}
    return _on_network("transfer", network, {"data": data, "seed": seed, **rest})


def tuning(
    network: Cell | str,
    data: dict[str, Any],
    seed: int,
    *,
    method: str,
    unit: str | None = None,
    image_size: int | None = None,
    epochs: int | None = None,
) -> Cell:
    """A network tuned on ``data`` by ``method`` at ``unit``, its learning rate chosen on validation."""
    rest = {"method": method, "unit": unit, "image_size": image_size, "epochs": epochs}
    return _on_network("tuning", network, {"data": data, "seed": seed, **rest})


def in_order(cells: Iterable[Cell]) -> list[Cell]:
    """Every cell once, after those that it needs; cells of one network on one data set stand together.

    Example:
        >>> made = encoder({"name": "digits"}, 0, arch="mlp")
        >>> [cell.kind for cell in in_order([transfer(made, {"name": "digits"}, 0), made])]
        ['encoder', 'transfer']
    """
    found: dict[Cell, None] = {}
    for cell in cells:
        for needed in cell.needs:
            found.setdefault(needed)
        found.setdefault(cell)
    ordered = list(found)

    def place(cell: Cell) -> tuple[int, int, str]:
        config = cell.config
        network = ordered.index(cell.needs[0]) if cell.needs else ordered.index(cell)
        return (cell.kind == "tuning", network if cell.needs or cell.kind == "encoder" else -1, str(config["data"]))

    # Stable, and an encoder comes right before what is measured on it; the long tail of tunings stands last.
    return sorted(ordered, key=lambda cell: (place(cell)[0], place(cell)[1], cell.kind != "encoder", place(cell)[2]))


def _on_network(kind: Kind, network: Cell | str, config: dict[str, Any]) -> Cell:
    if isinstance(network, Cell):
        return _cell(kind, {"network": network.key, **config}, (network,))
    return _cell(kind, {"network": network, **config})


def _cell(kind: Kind, config: dict[str, Any], needs: tuple[Cell, ...] = ()) -> Cell:
    return Cell(kind, json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False), needs)
