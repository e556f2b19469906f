"""The tuning methods side by side: accuracy, cost, collapse, and why each was set up as it was."""

from __future__ import annotations

from typing import Any

from .blocks import Block, Cell, Columns, Details, Figure, Section, Table, Tile, reason
from .figures import Method, Series, curves, methods, scatter
from .headline import best_method, interval
from .source import METHOD_NAMES, method_name, method_phrase
from .text import DASH, amount, count, duration, join, mapping, mebibytes, number, percent, rows, significant, words

__all__ = ["methods_section", "ordered", "rate", "tiles", "trials_section"]


def ordered(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The methods of a result in their usual order, unknown ones last.

    Example:
        >>> [key for key, _ in ordered({"methods": {"full": {}, "linear": {}, "x": None}})]
        ['linear', 'full']
    """
    known = mapping(result.get("methods"))
    order = [key for key in METHOD_NAMES if key in known] + [key for key in known if key not in METHOD_NAMES]
    return [(key, known[key]) for key in order if isinstance(known[key], dict)]


def tiles(result: dict[str, Any]) -> list[Tile]:
    """The winner's few numbers for the head of the page."""
    best = best_method(result)
    if best is None:
        return []
    method = mapping(mapping(result.get("methods")).get(best))
    found = interval(method)
    made = [
        Tile(
            "Test accuracy",
            percent(method.get("test_accuracy")),
            f"95 % interval {100 * found[0]:.1f} to {100 * found[1]:.1f}" if found else "",
        )
    ]
    tuned, total = number(method.get("tuned_parameters")), number(method.get("total_parameters"))
    if tuned is not None:
        made.append(Tile("Parameters tuned", amount(tuned), f"{percent(tuned / total)} of all" if total else ""))
    before, after = number(method.get("nc1_before")), number(method.get("nc1_after"))
    if after is not None:
        made.append(Tile("Penultimate NC1", significant(after), f"was {significant(before)}" if before else ""))
    if number(method.get("seconds")) is not None:
        cost = number(mapping(result.get("cost")).get("seconds"))
        made.append(
            Tile("Tuning time", duration(method["seconds"]), f"{duration(cost)} for everything" if cost else "")
        )
    return made


def methods_section(result: dict[str, Any]) -> Section:
    """Accuracy with intervals as figure, everything else as table, the grounds of each choice below."""
    listed, best = ordered(result), best_method(result)
    points = [
        Method(key, method_name(key), number(item.get("test_accuracy")), interval(item), number(item.get("nc1_after")))
        for key, item in listed
    ]
    blocks: list[Block] = []
    drawings = []
    if drawing := methods(points, best):
        said = join(f"{item.title} {percent(item.accuracy)}" for item in points if item.accuracy is not None)
        drawings.append(Figure(drawing, _whiskers(points), f"Test accuracy: {said}."))
    if drawing := scatter(points, best):
        text = (
            "Penultimate NC1 against test accuracy across methods (as Figure 11, right). Bars are 95\u00a0% intervals."
        )
        drawings.append(Figure(drawing, text, f"Scatter of {len(points)} methods: NC1 after tuning and test accuracy."))
    if drawings:
        blocks.append(Columns(drawings))
    if listed:
        blocks += [_table(listed, best), _setup(listed)]
    if drawing := curves([Series(method_name(key), _history(item), key) for key, item in listed], "history"):
        alt = "Lines of validation accuracy over the epochs of tuning, one for each method."
        figure = Figure(drawing, "Validation accuracy after each epoch of the final training.", alt)
        blocks.append(Details("Training curves", [Columns([figure])]))
    return Section("Methods side by side", blocks, _verdict(result, listed, best))


def trials_section(result: dict[str, Any]) -> Section:
    """The short trials that chose units and learning rates."""
    trials = rows(result.get("trials"))
    if not trials:
        return Section("Trials", [])
    purposes = {"unit": "which unit", "learning_rate": "learning rate"}
    body: list[list[Cell | str]] = [
        [
            method_name(words(trial.get("method"))),
            purposes.get(words(trial.get("purpose")), words(trial.get("purpose"))),
            words(trial.get("unit")),
            rate(trial.get("learning_rate")),
            count(trial.get("epochs")),
            Cell(percent(trial.get("val_accuracy")), strong=trial.get("chosen") is True),
            significant(trial.get("nc1")),
            Cell("✓ chosen", strong=True) if trial.get("chosen") is True else Cell(" "),
        ]
        for trial in trials
    ]
    table = Table(
        ["Method", "To choose", "Unit", "Learning rate", "Epochs", "Validation accuracy", "NC1", ""],
        body,
        caption="Short trials, in the order they ran",
        words=frozenset({1, 2, 7}),
    )
    lead = (
        "Units and learning rates were chosen by short trials, scored on the validation images; NC1 is that of the "
        "penultimate training features. Test images played no part."
    )
    return Section("Trials", [Details(f"All {len(trials)} trials", [table])], lead)


def _table(listed: list[tuple[str, dict[str, Any]]], best: str | None) -> Table:
    columns = [
        "Method",
        "Test accuracy",
        "Balanced accuracy",
        "Tuned parameters",
        "Time",
        "Per step",
        "Peak memory",
        "NC1 before → after",
    ]
    body: list[list[Cell | str]] = []
    notes = []
    for key, item in listed:
        body.append(
            [
                Cell(method_name(key), strong=key == best),
                Cell(_accuracy(item), strong=key == best),
                percent(item.get("balanced_accuracy")),
                _share(item),
                duration(item.get("seconds")),
                duration(item.get("seconds_per_step")),
                mebibytes(item.get("peak_memory_bytes")),
                _change(item),
            ]
        )
        notes += [
            f"{method_name(key)}, {field.replace('_', ' ')}: {text}."
            for field in item
            if item[field] is None and (text := reason(item, field).rstrip("."))
        ]
    row = next((index for index, (key, _) in enumerate(listed) if key == best), None)
    bracketed = ["the 95\u00a0% interval of the test accuracy"] * any(interval(item) for _, item in listed)
    bracketed += ["the share of all parameters"] * any(number(item.get("total_parameters")) for _, item in listed)
    if bracketed:
        notes.insert(0, f"In brackets: {join(bracketed)}.")
    return Table(columns, body, "What each method reaches and costs", stack=True, highlight=row, notes=notes)


def _whiskers(points: list[Method]) -> str:
    return "Test accuracy" + (" with its 95\u00a0% interval." if any(point.interval for point in points) else ".")


def _setup(listed: list[tuple[str, dict[str, Any]]]) -> Table:
    body = [
        [
            method_name(key),
            words(item.get("unit")),
            rate(item.get("learning_rate")),
            _epochs(item),
            words(item.get("why")),
        ]
        for key, item in listed
    ]
    columns = ["Method", "Tuned unit", "Learning rate", "Epochs", "Why"]
    return Table(columns, body, "How each method was set up", frozenset({1, 4}), stack=True)


def _epochs(item: dict[str, Any]) -> str:
    best = number(item.get("best_epoch"))
    return count(item.get("epochs")) + (f" (best: {count(best)})" if best is not None else "")


def _accuracy(item: dict[str, Any]) -> str:
    found = interval(item)
    return percent(item.get("test_accuracy")) + (f" ({100 * found[0]:.1f} to {100 * found[1]:.1f})" if found else "")


def _change(item: dict[str, Any]) -> str:
    before, after = number(item.get("nc1_before")), number(item.get("nc1_after"))
    return DASH if before is None and after is None else f"{significant(before)} → {significant(after)}"


def _share(item: dict[str, Any]) -> str:
    tuned, total = number(item.get("tuned_parameters")), number(item.get("total_parameters"))
    return amount(tuned) + (
        f" ({percent(tuned / total, 0 if tuned > 0.0995 * total else 1)})" if tuned is not None and total else ""
    )


def rate(value: Any) -> str:
    """A learning rate in as many digits as it has, at most three.

    Example:
        >>> rate(0.01), rate(3e-5), rate(None)
        ('0.01', '3×10⁻⁵', '–')
    """
    plain = number(value)
    if plain is None:
        return DASH
    return f"{float(f'{plain:.2e}'):g}" if 1e-4 <= abs(plain) < 1e4 else significant(plain)


def _history(item: dict[str, Any]) -> list[float | None]:
    return [number(epoch.get("val_accuracy")) for epoch in rows(item.get("history"))]


def _verdict(result: dict[str, Any], listed: list[tuple[str, dict[str, Any]]], best: str | None) -> str:
    """Which methods cannot be told from the winner on these test images."""
    winner = mapping(mapping(result.get("methods")).get(best)) if best else {}
    mine = interval(winner)
    if best is None or mine is None:
        return ""
    others = {key: other for key, item in listed if key != best and (other := interval(item))}
    if not others:
        return ""
    close = [method_phrase(key) for key, other in others.items() if mine[0] <= other[1] and other[0] <= mine[1]]
    text = f"{method_name(best)} won on the validation images, which alone decide. On the test images its 95\u00a0% "
    if not close:
        return text + "interval stands clear of all others."
    those = "that" if len(close) == 1 else "those"
    return text + f"interval overlaps with {those} of {join(close)}, so their order there may be luck."
