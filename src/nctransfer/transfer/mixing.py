"""A tuned network as a mixture: trained at one or more rates from one start, then set between start and ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..runs import load_tensors, save_tensors
from .averaging import choose_mixture, mix_states
from .task import FitOutcome
from .tuned import TunedNetwork

__all__ = ["Ends", "train_mixture"]


class Ends:
    """Where each rate of a method in progress led: kept on disk until the method is done, so that a kill loses one at most.

    Args:
        folder: Where they lie.
        write: Whether this process writes.
    """

    def __init__(self, folder: Path, *, write: bool = True) -> None:
        self.folder, self.writes = Path(folder), write

    def load(self, label: str, rate: float) -> tuple[dict[str, Tensor], FitOutcome] | None:
        """State and outcome of a rate that was finished before."""
        path = self._path(label, rate)
        if not path.with_suffix(".json").is_file():
            return None
        try:
            tensors, manifest = load_tensors(path)
        except CheckpointError:  # a kill between the two files; the rate is trained again
            return None
        return tensors, FitOutcome(**manifest["outcome"])

    def save(self, label: str, rate: float, state: Mapping[str, Tensor], outcome: FitOutcome) -> None:
        """Keep where a rate led."""
        if self.writes:
            save_tensors(self._path(label, rate), dict(state), {"outcome": dataclasses.asdict(outcome)})

    def done(self) -> None:
        """The method is finished and stands in the ledger: its ends go."""
        if self.writes:
            for path in self.folder.glob("end-*"):
                path.unlink(missing_ok=True)

    def _path(self, label: str, rate: float) -> Path:
        return self.folder / f"end-{label}-{rate:g}.safetensors"


def train_mixture(
    model: TunedNetwork,
    rates: tuple[float, ...],
    train: Callable[[float], FitOutcome],
    judge: Callable[[TunedNetwork], Tensor],
    labels: Tensor,
    *,
    label: str,
    again: Mapping[str, float] | None = None,
    ends: Ends | None = None,
    finished: Callable[[], None] = lambda: None,
    go_on: Callable[[float, FitOutcome], bool] = lambda rate, last: True,
    balanced: bool = False,
) -> FitOutcome:
    """Train ``model`` from where it stands at each rate, and leave it at the mixture that the held-out images prefer.

    Args:
        model: At the start.
        rates: Peak learning rates.
        train: Trains the model at a rate, to the last epoch.
        judge: Logits ``(M, K)`` of held-out images.
        labels: Of these images, ``(M,)``.
        label: Of this training, for the files of its ends.
        again: Weight of each rate's end, where an earlier training chose them; nothing is judged then.
        ends: Where finished rates are kept.
        finished: Called when a rate is finished and kept.
        go_on: Asked before every rate but the first, with what the one before came to; no ends the training.
        balanced: Whether all classes count the same where the mixture is chosen.

    Returns:
        The history is that of the rate that counts most; seconds and steps are those of all.
    """
    start, device = model.tuned_state(), next(model.parameters()).device
    states: list[dict[str, Tensor]] = []
    outcomes: list[FitOutcome] = []
    used = rates if again is None else tuple(rate for rate in rates if again.get(f"{rate:g}", 0.0) > 0.0)
    for rate in used:
        if outcomes and not go_on(rate, outcomes[-1]):
            break
        state, outcome = _end(model, start, rate, train, label, ends)
        finished()
        states.append({name: value.to(device) for name, value in state.items()})
        outcomes.append(outcome)
    used = used[: len(outcomes)]
    if again is None:

        def logits(state: Mapping[str, Tensor]) -> Tensor:
            model.load_tuned_state(dict(state))
            return judge(model)

        state, chosen, _ = choose_mixture(start, states, logits, labels, balanced=balanced)
        weights, accuracy = chosen.weights, chosen.accuracy
    else:
        weights = tuple(float(again[f"{rate:g}"]) for rate in used)
        state, accuracy = mix_states([start, *states], [1.0 - sum(weights), *weights]), float("nan")
    model.load_tuned_state(state)
    model.eval()
    main = outcomes[int(torch.tensor(weights).argmax())] if outcomes else FitOutcome(0, accuracy, [], 0.0, 0)
    return dataclasses.replace(
        main,
        val_accuracy=accuracy,
        seconds=sum(outcome.seconds for outcome in outcomes),
        steps=sum(outcome.steps for outcome in outcomes),
        weights={f"{rate:g}": weight for rate, weight in zip(used, weights, strict=True)},
    )


def _end(
    model: TunedNetwork,
    start: dict[str, Tensor],
    rate: float,
    train: Callable[[float], FitOutcome],
    label: str,
    ends: Ends | None,
) -> tuple[dict[str, Tensor], FitOutcome]:
    """Where a rate leads from ``start``: from the disk if it was finished before."""
    found = ends.load(label, rate) if ends is not None else None
    if found is None:
        model.load_tuned_state(start)
        outcome = train(rate)
        found = model.tuned_state(), outcome
        if ends is not None:
            ends.save(label, rate, *found)
    return found
