"""The last step of a run on few images: the winner trained again, with the validation images among the training images."""

from __future__ import annotations

from ..runs import LayerRow
from .calibrating import Held
from .choose import Choice
from .desk import Desk, keep_method, reload_method
from .setbacks import recover, setback
from .tuning import Tuned, evaluate_method, evaluation_images, train_method
from .workbench import Workbench

__all__ = ["train_again"]

_KEPT = (
    "val_accuracy",
    "val_score",
    "history",
    "best_epoch",
    "out_of_fold_accuracy",
    "out_of_fold_interval",
    "out_of_fold_images",
    "seconds_per_step",
    "peak_memory_bytes",
    "step_memory_bytes",
    "cost_note",
    "skip_share",
    "skip_accuracy_on",
    "skip_accuracy_off",
)


def train_again(bench: Workbench, desk: Desk, name: str, tuned: Tuned, before: LayerRow) -> Tuned:
    """The winner trained again on training and validation images, at the settings that were chosen.

    Probes were fitted on both from the start. The row keeps the held-out numbers of the first training.
    """
    row = tuned.row
    weights = {rate: float(weight or 0.0) for rate, weight in row.mixture.items()}
    if not tuned.model.method.changes_features or sum(weights.values()) <= 0.0 or not bench.can_join:
        return _as_it_was(tuned)
    path = desk.checkpoints / f"{name}-again.safetensors"
    choice = Choice(row.unit, row.learning_rate, "", tuple(map(float, weights)))
    bench.stop.raise_if_noted()
    if f"again/{name}" in desk.ledger and path.is_file():
        return reload_method(bench, desk, f"again/{name}", choice, path)
    share = sum(weight > 0.0 for weight in weights.values()) / len(weights)
    num, num_train = len(bench.bundle.train) + len(bench.bundle.validation), len(bench.bundle.train)

    def needed() -> float:
        rest = evaluation_images(bench, tuned.model.method) * bench.pace.seconds_per_image
        return (row.seconds or 0.0) * share * num / num_train + rest

    if not bench.pace.allows(f"again/{name}", "training the winner again with the validation images", needed):
        return _as_it_was(tuned)
    failed = ""
    try:
        model, outcome = train_method(bench, name, choice, keeping=desk.keeping, again=weights, ends=desk.ends)
        held = Held(tuned.held, row.calibration, tuned.held_losses)
        found = evaluate_method(bench, model, choice, outcome, before, held)
    except Exception as error:
        reason = setback(error)
        if reason is None or bench.runtime.world_size > 1:
            raise
        failed = reason
    if failed:
        recover(bench.runtime)
        desk.done()
        bench.warn([f"training the winner again with the validation images is left out: {failed}"])
        return _as_it_was(tuned)
    update = {field: getattr(row, field) for field in _KEPT}
    note = f"after training again on all {num} training and validation images; {row.test_accuracy:.1%} before"
    why = f"It was then trained again on all {num} training and validation images."
    found.row = found.row.model_copy(update={**update, "why": why, "notes": {**found.row.notes, "test_accuracy": note}})
    keep_method(bench, desk, f"again/{name}", path, found)
    desk.done()
    bench.watch.say(
        f"{model.method.title}, trained again on {num} images: {found.row.test_accuracy:.1%} on test images"
    )
    return found


def _as_it_was(tuned: Tuned) -> Tuned:
    return Tuned(**{**vars(tuned), "row": tuned.row.model_copy(update={"why": ""})})
