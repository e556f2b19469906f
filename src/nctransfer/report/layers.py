"""Collapse layer by layer: along depth, against probe accuracy, before and after tuning."""

from __future__ import annotations

from collections.abc import Sequence

from ..runs import LayerRow, MetricFacts, PretrainRecord, Result
from .blocks import Block, Columns, Details, Figure, Note, Section, Table
from .depth_figures import correlation, depth, depths, describe, line_through
from .figures import Series
from .footnotes import Footnotes
from .source import method_name
from .text import count, percent, significant

__all__ = ["layers_section"]

_MOST_NAMED = 5
_LEAST_LAYERS = 5


def layers_section(record: Result | PretrainRecord) -> Section:
    """The paper's Figures 5, 6 and 11 for this network and data set, and the numbers behind them."""
    layers = record.layers
    if not layers:
        return Section("Layer by layer", [])
    names = [layer.name or f"layer {index}" for index, layer in enumerate(layers)]
    blocks: list[Block] = []
    if figures := _figures(record, names):
        blocks.append(Columns(figures))
    if note := _undefined(names, layers):
        blocks.append(Note(note))
    blocks.append(Details(f"All {len(layers)} layers in numbers", [_table(names, record)]))
    return Section("Layer by layer", blocks, _lead(names, layers))


def _figures(record: Result | PretrainRecord, names: list[str]) -> list[Figure]:
    layers = record.layers
    nc1 = [layer.nc1 for layer in layers]
    accuracy = [layer.probe_val_accuracy for layer in layers]
    floor = [layer.nc1_null_mean for layer in layers]
    figures = []
    states = _states(record, names, nc1)
    measured, probed = _any(nc1), _any(accuracy)
    tested = [layer.nc1_test for layer in layers]
    if drawing := depth(names, nc1, accuracy, floor, tested=tested, panel=2.5 if states else 2.0):
        shown = ["NC1"] * measured + ["linear-probe accuracy"] * probed
        text = f"{' and '.join(shown)} of every layer along depth (compare Figures 5 and 6 of the paper, left)."
        text = text[0].upper() + text[1:]
        if measured and _any(floor):
            text += " The dotted line shows NC1 of the same features with shuffled labels."
        figures.append(Figure(drawing, text, f"NC1 and probe accuracy of {len(names)} layers, from input to output."))
    line = line_through(nc1, accuracy)
    if drawing := correlation(names, nc1, accuracy):
        text = "Probe accuracy against NC1 of the same layers (right); larger dots lie deeper."
        if line:
            text += f" The straight line through them has {describe(line)}."
        alt = f"Scatter of probe accuracy against NC1, one dot for each layer. {describe(line)}"
        figures.append(Figure(drawing, text, alt))
    if drawing := depths(names, states):
        text = "NC1 of every layer before and after tuning (compare Figure 11 of the paper, left)."
        figures.append(Figure(drawing, text, "Lines of NC1 along depth, before tuning and after each method."))
    return figures


def _any(values: Sequence[float | None]) -> bool:
    return any(value is not None for value in values)


def _undefined(names: list[str], layers: Sequence[LayerRow]) -> str:
    """Which layers have no NC1, and why."""
    reasons = {
        name: layer.notes.get("nc1", "").rstrip(".")
        for name, layer in zip(names, layers, strict=True)
        if layer.nc1 is None
    }
    said = [f"{name}: NC1 is undefined here" + (f" ({why})" if why else "") for name, why in reasons.items()]
    if not said:
        return ""
    if len(said) == len(layers) and len(set(reasons.values())) == 1:
        why = next(iter(reasons.values()))
        return "NC1 is undefined at every layer" + (f": {why}" if why else "") + "."
    return "; ".join(said[:_MOST_NAMED]) + (" …" if len(said) > _MOST_NAMED else "") + "."


def _states(record: Result | PretrainRecord, names: list[str], nc1: list[float | None]) -> list[Series]:
    if not isinstance(record, Result) or not record.layers_after:
        return []
    states = [Series("Before tuning", nc1)]
    for key, layers in record.layers_after.items():
        row = record.methods.get(key)
        known = {layer.name: layer.nc1 for layer in layers}
        states.append(Series(method_name(key, row), [known.get(name) for name in names], row.mark if row else None))
    return states


def _table(names: list[str], record: Result | PretrainRecord) -> Table:
    layers = record.layers
    after = record.layers_after if isinstance(record, Result) else {}
    methods = record.methods if isinstance(record, Result) else {}
    shown = [
        name
        for name in record.metrics
        # A standard deviation stands beside its mean.
        if not (name.endswith("_std") and f"{name.removesuffix('_std')}_mean" in record.metrics)
        and any(layer.value(name) is not None or name in layer.notes for layer in layers)
    ]
    tested, probed = _any([layer.nc1_test for layer in layers]), _any([layer.probe_val_accuracy for layer in layers])
    columns = ["Layer", "Width", *(record.metrics[name].title for name in shown)]
    columns += ["NC1, test images"] * tested + ["Probe accuracy"] * probed
    columns += [f"NC1 after {_phrase(key, methods)}" for key in after]
    notes = Footnotes()
    body = []
    for name, layer in zip(names, layers, strict=True):
        row = [name, count(layer.dim), *(_measured(layer, metric, notes) for metric in shown)]
        if tested:
            row.append(notes.cell(significant(layer.nc1_test), layer.notes.get("nc1_test")))
        if probed:
            row.append(notes.cell(percent(layer.probe_val_accuracy), layer.notes.get("probe_val_accuracy")))
        for column in after.values():
            found = next((item for item in column if item.name == layer.name), None)
            row.append(notes.cell(significant(found.nc1 if found else None), found.note if found else None))
        body.append(row)
    lines = [line for name in shown if (line := _reading(record.metrics[name]))]
    lines += dict.fromkeys(layer.notes["counts"] for layer in layers if "counts" in layer.notes)
    when = "after pre-training" if record.kind == "pretrain" else "before tuning"
    return Table(columns, body, f"Features of the training images {when}", notes=[*notes.lines, *lines])


def _measured(layer: LayerRow, metric: str, notes: Footnotes) -> str:
    """A number of a layer, with the standard deviation that belongs to it, and its remark or the reason that it is missing."""
    value, note = layer.value(metric), layer.notes.get(metric, "")
    text = significant(value)
    deviation = layer.value(f"{metric.removesuffix('_mean')}_std") if metric.endswith("_mean") else None
    if deviation is not None:
        text += f" ± {significant(deviation, 2)}"
    if value is not None and note.startswith("standard error"):
        return f"{text} ({note})"
    return notes.cell(text, note)


def _reading(facts: MetricFacts) -> str:
    """How to read a metric, in a line."""
    if not facts.meaning:
        return ""
    direction = {"down": "; smaller is more collapsed", "up": "; larger is more collapsed"}.get(facts.collapsed, "")
    return f"{facts.title}: {facts.meaning}{direction}."


def _phrase(key: str, methods: dict) -> str:
    row = methods.get(key)
    return row.phrase if row is not None and row.phrase else key


def _lead(names: list[str], layers: Sequence[LayerRow]) -> str:
    nc1 = [layer.nc1 for layer in layers]
    accuracy = [layer.probe_val_accuracy for layer in layers]
    lowest = min(((value, place) for place, value in enumerate(nc1) if value is not None), default=None)
    highest = max(((value, -place) for place, value in enumerate(accuracy) if value is not None), default=None)
    parts = []
    if lowest and highest and lowest[1] == -highest[1]:
        parts.append(
            f"The most collapsed layer, {names[lowest[1]]} (NC1 {significant(lowest[0])}), is also the one on which a "
            f"linear probe does best ({percent(highest[0])} of the held-out images)."
        )
    else:
        if lowest:
            parts.append(f"The most collapsed layer is {names[lowest[1]]} (NC1 {significant(lowest[0])}).")
        if highest:
            parts.append(
                f"A linear probe does best on {names[-highest[1]]} ({percent(highest[0])} of the held-out images)."
            )
    line = line_through(nc1, accuracy)
    if line and line.num_points < _LEAST_LAYERS:
        line = None  # so few points lie near a line by chance
    if line and line.slope < 0 and line.r2 >= 0.5:
        parts.append(f"Layers that are more collapsed transfer better here ({describe(line)}), as the paper finds.")
    elif line and line.r2 >= 0.5:
        parts.append(f"Layers that are more collapsed transfer worse here ({describe(line)}), against the paper.")
    elif line:
        parts.append(f"NC1 says little about probe accuracy across the layers of this network ({describe(line)}).")
    return " ".join(parts)
