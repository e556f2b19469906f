"""How thorough a run is, by one word: what each preset fills in where nothing is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .methods import METHODS, default_methods

__all__ = ["PRESETS", "Preset", "fill"]

_SECOND_RATE = 0.3


@dataclasses.dataclass(frozen=True)
class Preset:
    """The settings that a preset changes; explicit settings win.

    Attributes:
        tunes: Whether networks are tuned, or probes end the run.
        step_cost: Whether time and memory of a training step are measured.
        passes: Factor of the number of epochs.
        every_rate: Whether every method is trained at its base rate and at 0.3 of it, whatever the recipe says.
    """

    tunes: bool = True
    step_cost: bool = True
    passes: float = 1.0
    every_rate: bool = False

    def rates(self, base: float, recipe: tuple[float, ...]) -> tuple[float, ...]:
        """The rates that are trained to the end, where the recipe has ``recipe``.

        Example:
            >>> PRESETS["best"].rates(1e-3, (1e-3,)), PRESETS["balanced"].rates(1e-3, (1e-3,))
            ((0.001, 0.0003), (0.001,))
        """
        if not self.every_rate:
            return recipe
        return tuple(dict.fromkeys((*recipe, base, round(_SECOND_RATE * base, 12))))


PRESETS: dict[str, Preset] = {
    "fast": Preset(tunes=False, step_cost=False),
    "balanced": Preset(),
    "best": Preset(passes=1.5, every_rate=True),
}
"""Every preset by name."""


def fill(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with those that the preset among them implies and that are not given.

    Example:
        >>> fill({"preset": "fast"})["methods"], fill({"preset": "fast", "methods": ("full",)})["methods"]
        (('linear', 'deep'), ('full',))
        >>> fill({"preset": "balanced"})
        {'preset': 'balanced'}
    """
    preset = PRESETS.get(str(given.get("preset", "balanced")), PRESETS["balanced"])
    implied: dict[str, Any] = {}
    if not preset.tunes:
        implied["methods"] = tuple(name for name in default_methods() if not METHODS[name].changes_features)
    if not preset.step_cost or given.get("budget") is not None:
        implied["step_cost"] = False
    return {**implied, **given}
