"""How often noise alone decides a claim: every rule of every study, run on simulated seeds without an effect.

The cells of a study get values in which nothing depends on anything: logarithms of NC1 and accuracies are drawn independently.
Whatever rule then says *holds* or *does not hold* was decided by noise. Rules that claim an absence or a bound (``alike``,
``no worse``, ``at least``) answer rightly there; for them, and for X, effects are drawn around the value at which the answer
turns (:func:`turning_rates`).

``python -m nctransfer.studies.noise`` writes ``noise.json``, from which the page takes the rates.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .catalogue import STUDIES
from .cells import Cell
from .scales import Scale, get_scale
from .study import Outcome, Study
from .verdicts import decide

__all__ = ["RATES", "noise_rates", "simulated", "turning_rates"]

RATES = Path(__file__).with_name("noise.json")
DRAWS = 400
_NC1_SPREAD, _ACCURACY_SPREAD = 0.2, 0.01
_LAYERS = 9


def noise_rates(study: Study, scale: Scale, num_seeds: int, draws: int = DRAWS, seed: int = 0) -> dict[str, float]:
    """For each claim of an effect the fraction of draws in which noise decides it.

    Args:
        study: The study.
        scale: The scale.
        num_seeds: Seeds of each draw.
        draws: How many.
        seed: Of the draws.

    Returns:
        By statement.
    """
    rng = np.random.default_rng(seed)
    cells = {number: study.cells(scale, number) for number in range(num_seeds)}
    decided: Counter[str] = Counter()
    seen: set[str] = set()
    for _ in range(draws):
        for claim in study.findings(simulated(scale, cells, rng)).claims:
            if claim.rule in ("difference", "both"):
                seen.add(claim.statement)
                decided[claim.statement] += claim.verdict in ("holds", "does not hold")
    return {statement: decided[statement] / draws for statement in sorted(seen)}


def turning_rates(num_seeds: int, spread: float, draws: int = 2000, seed: int = 0) -> dict[str, float]:
    """Rates of wrong answers where the effect is 0, and where it is X = 1, with this standard deviation over seeds.

    Returns:
        ``decided``: *holds* or *does not hold* at 0; ``none``: *no difference* at X.
    """
    rng = np.random.default_rng(seed)
    drawn = spread * rng.standard_normal((draws, num_seeds))
    words = [[decide("", (row + true).tolist(), "", margin=1.0).verdict for row in drawn] for true in (0.0, 1.0)]
    return {
        "decided": sum(word in ("holds", "does not hold") for word in words[0]) / draws,
        "none": words[1].count("no difference") / draws,
    }


def simulated(scale: Scale, cells: dict[int, dict[str, Cell]], rng: np.random.Generator) -> Outcome:
    """An outcome in which nothing depends on anything."""
    units = [unit for backbone in scale.backbones for unit in backbone.units] + list(scale.tuned_units)
    values = {seed: {label: _value(cell, units, rng) for label, cell in made.items()} for seed, made in cells.items()}
    return Outcome(scale, values)


def _value(cell: Cell, units: Sequence[str], rng: np.random.Generator) -> dict[str, Any]:
    config = cell.config
    if cell.kind == "encoder":
        accuracies = {name: _accuracy(rng) for name in ("train_accuracy", "test_accuracy", "robust_accuracy")}
        return {"final": {"nc1": _nc1(rng), "cdnv": _nc1(rng), "head_nc1": _nc1(rng), **accuracies}, "history": []}
    if cell.kind == "transfer":
        names = [*dict.fromkeys(units), *(f"layer {place}" for place in range(_LAYERS))] if config["layers"] else []
        return {"layers": [_layer(name, rng) for name in [*names, "penultimate"]], "scores": {}}
    rows = [{"name": name, "nc1": _nc1(rng)} for name in [*dict.fromkeys(units), "layer 0", "penultimate"]]
    return {
        "unit": config["unit"],
        "test_accuracy": _accuracy(rng),
        "val_accuracy": _accuracy(rng),
        "nc1": rows[-1]["nc1"],
        "layers": rows,
        "num_train": 1,
        "tuned_parameters": 1,
        "total_parameters": 1,
        "skip_share": abs(_accuracy(rng)),
        "skip_accuracy_on": _accuracy(rng),
        "skip_accuracy_off": _accuracy(rng),
    }


def _layer(name: str, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "name": name,
        "dim": 64,
        "penultimate": name == "penultimate",
        "nc1": _nc1(rng),
        "nc1_null_mean": 10 * _nc1(rng),
        "numerical_rank": _nc1(rng),
        "nc1_calibrated": _nc1(rng),
        "cdnv": _nc1(rng),
        "class_separation": _accuracy(rng),
        "probe_accuracy": _accuracy(rng),
    }


def _nc1(rng: np.random.Generator) -> float:
    return float(np.exp(_NC1_SPREAD * rng.standard_normal()))


def _accuracy(rng: np.random.Generator) -> float:
    return 0.5 + _ACCURACY_SPREAD * float(rng.standard_normal())


def main() -> None:
    """Write the rates of every study at the scale of the committed results."""
    scale = get_scale("mini")
    made = {
        "draws": DRAWS,
        "claims": {name: noise_rates(study, scale, study.seeds_at(scale)) for name, study in STUDIES.items()},
        "turning": {
            f"{num} seeds, spread {spread:g} X": turning_rates(num, spread)
            for num in (3, 5)
            for spread in (0.25, 0.5, 1.0, 2.0)
        },
    }
    RATES.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
