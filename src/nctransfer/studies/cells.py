"""Cells: the pieces of work that studies are made of, each a plain configuration with a key.

Two studies that name the same configuration share one cell; a cell is computed once. There are three kinds:

- ``encoder``: an encoder pre-trained on a source data set (or, with 0 epochs, left untrained);
- ``transfer``: collapse and linear probes of a frozen network's features on a data set;
- ``tuning``: a network tuned on a downstream data set by one method at one block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..transfer import Protocol

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
        network = config["network"]
        if any(needed.key == network for needed in self.needs):
            network = f"encoder {network[:6]}"
        to = f"{network} to {config['data']['name']}, seed {config['seed']}"
        if self.kind == "transfer":
            return f"transfer of {to}"
        return f"{config['method']} {config['unit'] or ''} of {to}{_said(config.get('protocol'))}".replace("  ", " ")


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
    protocol: Protocol | None = None,
    rates: Sequence[float] = (),
    rate_of: Cell | None = None,
) -> Cell:
    """A network tuned on ``data`` by ``method`` at ``unit``.

    Args:
        network: An encoder cell, or a network by name.
        data: The data set.
        seed: Of its splits, the order and the initialisation.
        method: By name.
        unit: The tuned block.
        image_size: Side of the input in pixels; the network's own where None.
        epochs: Passes over the training images; by their number where None.
        protocol: How it is trained. Without one, as ``tune`` does it, its learning rate chosen by short trials.
        rates: Learning rates, of which that with the best validation accuracy at the end of training is kept.
        rate_of: Another tuning whose chosen rate is used, in place of ``rates``.
    """
    rest: dict[str, Any] = {"method": method, "unit": unit, "image_size": image_size, "epochs": epochs}
    if protocol is not None:
        chosen = {"rate_of": rate_of.key} if rate_of else {"rates": list(rates)}
        rest |= {"protocol": protocol.plain(), **chosen}
    needs = () if rate_of is None else (rate_of,)
    return _on_network("tuning", network, {"data": data, "seed": seed, **rest}, needs)


def in_order(cells: Iterable[Cell]) -> list[Cell]:
    """Every cell once, after those that it needs; cells of one network on one data set stand together.

    Example:
        >>> made = encoder({"name": "digits"}, 0, arch="mlp")
        >>> [cell.kind for cell in in_order([transfer(made, {"name": "digits"}, 0), made])]
        ['encoder', 'transfer']
    """
    found: dict[Cell, None] = {}

    def add(cell: Cell) -> None:
        for needed in cell.needs:
            add(needed)
        found.setdefault(cell)

    for cell in cells:
        add(cell)
    places = {cell.key: number for number, cell in enumerate(found) if cell.kind == "encoder"}

    def place(cell: Cell) -> tuple[int, int, str]:
        config = cell.config
        network = cell.key if cell.kind == "encoder" else config["network"]
        return (cell.kind == "tuning", places.get(network, -1), str(config["data"]))

    # Stable, and an encoder comes right before what is measured on it; the long tail of tunings stands last.
    return sorted(found, key=lambda cell: (place(cell)[0], place(cell)[1], cell.kind != "encoder", place(cell)[2]))


def _said(protocol: dict[str, Any] | None) -> str:
    """A protocol and what an arm changes of it, in words."""
    if protocol is None:
        return ""
    changes = [f"{name} {value}" for name, value in Protocol(**protocol).changes().items()]
    return f", protocol {protocol['name']}" + (f" with {', '.join(changes)}" if changes else "")


def _on_network(kind: Kind, network: Cell | str, config: dict[str, Any], needs: tuple[Cell, ...] = ()) -> Cell:
    if isinstance(network, Cell):
        return _cell(kind, {"network": network.key, **config}, (network, *needs))
    return _cell(kind, {"network": network, **config}, needs)


def _cell(kind: Kind, config: dict[str, Any], needs: tuple[Cell, ...] = ()) -> Cell:
    return Cell(kind, json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False), needs)
