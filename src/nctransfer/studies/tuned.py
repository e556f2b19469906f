"""Tuning cells that follow a named protocol: the rate chosen on validation, collapse of every layer, and what the skip does."""

from __future__ import annotations

from typing import Any

import torch

from ..transfer import (
    Choice,
    Diverged,
    FitOutcome,
    Protocol,
    TunedNetwork,
    Workbench,
    cached_accuracy,
    measure_features,
    model_mechanism,
    run_split,
    split_mechanism,
    train_method,
)

__all__ = ["tune_by_protocol"]


def tune_by_protocol(config: dict[str, Any], bench: Workbench, like: dict[str, Any] | None) -> dict[str, Any]:
    """Train a method by its protocol and say what came of it.

    Args:
        config: Of the cell.
        bench: Data, network, device.
        like: The values of the cell whose rate is used; where None, the rates of the configuration are tried.

    Returns:
        The cell's values. ``rates`` holds the validation accuracy that each rate led to, None where the loss diverged.
    """
    protocol = Protocol(**config["protocol"])
    rates = config["rates"] if like is None else [like["learning_rate"]]
    tried: list[tuple[float, TunedNetwork, FitOutcome]] = []
    accuracies: dict[str, float | None] = {}
    for rate in rates:
        try:
            model, outcome = train_method(bench, config["method"], Choice(config["unit"], rate, ""), protocol)
        except Diverged:
            accuracies[f"{rate:g}"] = None
            continue
        accuracies[f"{rate:g}"] = outcome.val_accuracy
        tried.append((rate, model, outcome))
    if not tried:
        raise Diverged("the loss turned infinite at every rate", where=config["method"], remedy="try smaller rates")
    rate, model, outcome = max(tried, key=lambda run: (run[2].val_accuracy, -run[0]))
    tuned, total = model.count_parameters()
    return {
        "unit": model.unit,
        "test_accuracy": _accuracy(bench, model, "test"),
        "val_accuracy": outcome.val_accuracy,
        "learning_rate": rate,
        "rates": accuracies,
        "best_epoch": outcome.best_epoch,
        "epochs": bench.epochs,
        "step_seconds": outcome.seconds / max(1, outcome.steps),
        "tuned_parameters": tuned,
        "total_parameters": total,
        **_collapse(bench, model),
        **_mechanism(bench, model),
        "num_train": len(bench.bundle.train),
        "num_validation": len(bench.bundle.validation),
        "peak_memory_bytes": int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None,
    }


def _accuracy(bench: Workbench, model: TunedNetwork, split: str) -> float:
    kept = bench.inputs.cached(model, split)
    if kept is not None:
        return cached_accuracy(model, kept, bench.inputs.labels(split), bench.runtime)
    logits, labels, _ = run_split(model, bench.inputs.loader(split), bench.runtime)
    return float((logits.argmax(1) == labels).float().mean())


def _collapse(bench: Workbench, model: TunedNetwork) -> dict[str, Any]:
    _, _, features = run_split(model, bench.inputs.loader("train"), bench.runtime, layers=bench.measured_layers)
    after = measure_features(features, bench.num_classes, permutations=0)
    return {"nc1": after[-1].nc1, "layers": [{"name": layer.name, "nc1": layer.nc1} for layer in after]}


def _mechanism(bench: Workbench, model: TunedNetwork) -> dict[str, Any]:
    """On the validation images, since the test images are there for the accuracy alone."""
    if model.skip is None:
        return split_mechanism(model, bench.inputs.loader("validation"), bench.runtime)
    kept = bench.inputs.cached(model, "validation")
    assert kept is not None, "a block that is tuned alone can be cut at"
    return model_mechanism(model, kept, bench.inputs.labels("validation"))
