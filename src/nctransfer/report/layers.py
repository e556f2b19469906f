"""Collapse layer by layer: along depth, against probe accuracy, before and after tuning."""

from __future__ import annotations

from typing import Any

from .blocks import Block, Columns, Details, Figure, Note, Section, Table, reason
from .depth_figures import correlation, depth, depths, describe, line_through
from .figures import Series
from .source import method_name
from .text import count, mapping, number, percent, rows, significant, words

__all__ = ["layers_section"]


def layers_section(result: dict[str, Any]) -> Section:
    """The paper's Figures 5, 6 and 11 for this network and data set, and the numbers behind them."""
    layers = rows(result.get("layers"))
    if not layers:
        return Section("Layer by layer", [])
    names = [words(layer.get("name")) or f"layer {index}" for index, layer in enumerate(layers)]
    nc1 = [number(layer.get("nc1")) for layer in layers]
    accuracy = [number(layer.get("probe_val_accuracy")) for layer in layers]
    floor = [number(layer.get("nc1_null_mean")) for layer in layers]
    figures = []
    states = _states(result, names, nc1)
    measured = any(value is not None for value in nc1)
    tested = [number(layer.get("nc1_test")) for layer in layers]
    if drawing := depth(names, nc1, accuracy, floor, tested=tested, panel=2.5 if states else 2.0):
        shown = ["NC1"] * measured + ["linear-probe accuracy"] * any(value is not None for value in accuracy)
        text = f"{' and '.join(shown)} of every layer along depth (as Figures 5 and 6 of the paper, left)."
        text = text[0].upper() + text[1:]
        if measured and any(value is not None for value in floor):
            text += " The dotted line is what the same features give when the labels are shuffled."
        figures.append(Figure(drawing, text, f"NC1 and probe accuracy of {len(names)} layers, from input to output."))
    line = line_through(nc1, accuracy)
    if drawing := correlation(names, nc1, accuracy):
        text = "The same layers, one against the other (right); larger dots lie deeper."
        if line:
            text += f" The straight line through them has {describe(line)}."
        figures.append(
            Figure(drawing, text, f"Scatter of probe accuracy against NC1, one dot a layer. {describe(line)}")
        )
    if drawing := depths(names, states):
        text = "NC1 of every layer before and after tuning (as Figure 11, left)."
        figures.append(Figure(drawing, text, "Lines of NC1 along depth, before tuning and after each method."))
    blocks: list[Block] = [Columns(figures)] if figures else []
    undefined = [
        f"{name}: NC1 is not defined here" + (f" ({text})" if (text := reason(layer, "nc1")) else "")
        for name, layer, value in zip(names, layers, nc1, strict=True)
        if value is None
    ]
    if undefined and len(undefined) < len(layers):
        blocks.append(Note("; ".join(undefined[:5]) + (" …" if len(undefined) > 5 else "") + "."))
    blocks.append(Details(f"All {len(layers)} layers in numbers", [_table(names, layers, result)]))
    return Section("Layer by layer", blocks, _lead(names, nc1, accuracy, layers))


def _states(result: dict[str, Any], names: list[str], nc1: list[float | None]) -> list[Series]:
    after = {key: rows(value) for key, value in mapping(result.get("layers_after")).items() if rows(value)}
    if not after:
        return []
    states = [Series("Before tuning", nc1)]
    for key, layers in after.items():
        known = {words(layer.get("name")): number(layer.get("nc1")) for layer in layers}
        states.append(Series(method_name(key), [known.get(name) for name in names], key))
    return states


def _table(names: list[str], layers: list[dict[str, Any]], result: dict[str, Any]) -> Table:
    after = {
        key: {words(layer.get("name")): layer.get("nc1") for layer in rows(value)}
        for key, value in mapping(result.get("layers_after")).items()
        if rows(value)
    }
    more = [
        (title, field, show)
        for title, field, show in (
            ("NC1, test images", "nc1_test", significant),
            ("Probe accuracy", "probe_val_accuracy", percent),
        )
        if any(number(layer.get(field)) is not None for layer in layers)
    ]
    columns = ["Layer", "Width", "NC1", "NC1, shuffled labels", "CDNV", "Numerical rank", *(item[0] for item in more)]
    columns += [f"NC1 after {method_name(key)}" for key in after]
    body, notes = [], []
    for name, layer in zip(names, layers, strict=True):
        null = significant(layer.get("nc1_null_mean"))
        if (deviation := number(layer.get("nc1_null_std"))) is not None:
            null += f" ± {significant(deviation, 2)}"
        body.append(
            [
                name,
                count(layer.get("dim")),
                significant(layer.get("nc1")),
                null,
                significant(layer.get("cdnv")),
                significant(layer.get("numerical_rank")),
                *(show(layer.get(field)) for _, field, show in more),
                *(significant(column.get(name)) for column in after.values()),
            ]
        )
        notes += [
            f"{name}, {field.replace('_', ' ')}: {text}."
            for field in layer
            if layer[field] is None and (text := reason(layer, field).rstrip("."))
        ]
    when = "after pre-training" if result.get("kind") == "pretrain" else "before tuning"
    return Table(columns, body, f"Features of the training images {when}", notes=notes)


def _lead(names: list[str], nc1: list[float | None], accuracy: list[float | None], layers: list[dict[str, Any]]) -> str:
    lowest = min((i for i, value in enumerate(nc1) if value is not None), key=lambda i: nc1[i] or 0, default=None)
    highest = max((i for i, v in enumerate(accuracy) if v is not None), key=lambda i: accuracy[i] or 0, default=None)
    parts = []
    if lowest is not None and lowest == highest:
        parts.append(
            f"The most collapsed layer, {names[lowest]} (NC1 {significant(nc1[lowest])}), is also the one on which a "
            f"linear probe does best ({percent(accuracy[lowest])} of the validation images)."
        )
    else:
        if lowest is not None:
            parts.append(f"The most collapsed layer is {names[lowest]} (NC1 {significant(nc1[lowest])}).")
        if highest is not None:
            parts.append(f"A linear probe does best on {names[highest]} ({percent(accuracy[highest])}, validation).")
    line = line_through(nc1, accuracy)
    if line and line.slope < 0 and line.r2 >= 0.5:
        parts.append(f"Layers that are more collapsed transfer better here ({describe(line)}), as the paper finds.")
    elif line:
        parts.append(f"NC1 says little about probe accuracy across the layers of this network ({describe(line)}).")
    return " ".join(parts)
