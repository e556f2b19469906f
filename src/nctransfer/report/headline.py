"""The finding of a run, in a sentence or two of plain words that do not claim more than the numbers do."""

from __future__ import annotations

from ..runs import LayerRow, MethodSummary, Result
from .lead import ACCURACY, Lead, lead_of, of_classes
from .source import method_phrase
from .text import amount, count, percent, points, significant

__all__ = ["best_method", "better_layer", "headline", "probe_headline", "versus"]

_BASELINE = "linear"


def best_method(record: Result) -> str | None:
    """The method that the run hands over; the one of highest validation accuracy where the record lost its name."""
    if record.best_method is not None:
        return record.best_method
    known = {key: row.val_accuracy for key, row in record.methods.items() if row.val_accuracy is not None}
    return max(known, key=lambda key: known[key]) if known else next(iter(record.methods), None)


def headline(record: Result) -> str:
    """The model that was handed over, its accuracy, and the gap to the linear probe."""
    best = best_method(record)
    if best is None:
        return "This run tuned no method."
    row = record.methods[best]
    phrase, place = method_phrase(best, row), row.unit or record.model.name
    subject = phrase[:1].upper() + phrase[1:] + (f" of {place}" if place else "")
    if row.test_accuracy is None:
        why = row.reason("test_accuracy")
        return f"{subject} was chosen; its test accuracy was not measured{f' ({why})' if why else ''}."
    images, lead = record.splits.test, lead_of(record)
    text = f"{subject} reaches {percent(lead.value(row))}"
    if lead.balanced:
        text += f" balanced accuracy ({of_classes(row)})"
    text += f" on {f'{count(images)} ' if images else 'the '}test images"
    if best == _BASELINE:
        others = [other.val_accuracy or 0.0 for key, other in record.methods.items() if key != best]
        if others and row.val_accuracy is not None and max(others) <= row.val_accuracy:
            text += ", and no other method did better on held-out images"
        return text + "."
    text += versus(row, record.methods.get(_BASELINE), lead)
    tuned, total = row.tuned_parameters, row.total_parameters
    if tuned and total and tuned < 0.995 * total:
        digits = 0 if tuned >= 0.095 * total else 1
        text += f", while tuning {percent(tuned / total, digits)} of the parameters"
    elif tuned and total:
        text += f", tuning all {amount(total)} parameters"
    return text + "."


def better_layer(record: Result) -> str:
    """A sentence where the linear probe of a layer is more accurate on held-out images than what is handed over, else empty.

    Only accuracies of the same images are compared, and those that the choice rests on: of a layer whose probe was a candidate
    itself the out-of-fold ones of both, or those of validation where there are no others; of other layers those of the
    probes, which few images make cross-validated. A tuned network has none of that kind.
    """
    best = best_method(record)
    scored = [(layer.probe_val_accuracy, layer.name) for layer in record.layers if layer.probe_val_accuracy is not None]
    if best is None or not scored:
        return ""
    accuracy, name = max(scored, key=lambda pair: pair[0])
    ours: float | None = None
    if tried := next((other for key, other in record.methods.items() if key.endswith(f"@{name}")), None):
        handed = record.methods[best]
        if handed.out_of_fold_images is None:
            accuracy, ours = tried.val_accuracy or 0.0, handed.val_accuracy
        elif handed.out_of_fold_images == tried.out_of_fold_images:
            accuracy, ours = tried.out_of_fold_accuracy or 0.0, handed.out_of_fold_accuracy
    elif best == _BASELINE:
        ours = record.layers[-1].probe_val_accuracy
    if ours is None or accuracy <= ours or tried is record.methods[best]:
        return ""
    return (
        f"A linear probe of {name} does better on held-out images ({percent(accuracy)} against {percent(ours)}), but it "
        "is not the model that this run hands over."
    )


def versus(row: MethodSummary, probe: MethodSummary | None, lead: Lead = ACCURACY) -> str:
    """How a method stands to the linear probe; a difference inside the intervals is called that."""
    if probe is None or (ours := lead.value(row)) is None or (theirs := lead.value(probe)) is None:
        return ""
    difference = ours - theirs
    if abs(difference) < 0.0005:
        return ", the same as a linear probe"
    text = f", {points(difference)} {'above' if difference > 0 else 'below'} a linear probe"
    mine, other = lead.interval(row), lead.interval(probe)
    if mine and other and mine[0] <= other[1] and other[0] <= mine[1]:
        text += " (within the uncertainty of the test set)"
    return text


def probe_headline(record: Result) -> str:
    """The result of a run that only measured: the most accurate layer, and whether it is the most collapsed one."""
    scored = [(layer.probe_val_accuracy, layer) for layer in record.layers if layer.probe_val_accuracy is not None]
    collapsed = [(layer.nc1, layer) for layer in record.layers if layer.nc1 is not None]
    if not scored:
        if not collapsed:
            return "This run measured no layer."
        nc1, lowest = min(collapsed, key=lambda pair: pair[0])
        return f"The features of {lowest.name} are the most collapsed (NC1 {significant(nc1)})."
    accuracy, top = max(scored, key=lambda pair: pair[0])
    text = f"A linear probe does best on the features of {top.name}: {percent(accuracy)} of the held-out images"
    return text + _collapse_of(top, collapsed)


def _collapse_of(top: LayerRow, collapsed: list[tuple[float, LayerRow]]) -> str:
    if top.nc1 is None:
        return "."
    text = f" (NC1 {significant(top.nc1)})"
    if len(collapsed) < 2:
        return text + "."
    nc1, lowest = min(collapsed, key=lambda pair: pair[0])
    if lowest is top:
        return text + ". They are also the most collapsed."
    return f"{text}. The most collapsed features are those of {lowest.name} (NC1 {significant(nc1)})."
