"""The tuning methods side by side: accuracy, cost, collapse, and why each was set up as it was."""

from __future__ import annotations

from ..runs import Member, MethodRow, Result
from .blocks import Block, Cell, Columns, Details, Figure, Section, Table, Tile
from .figures import Method, Series, curves, methods, scatter
from .footnotes import Footnotes
from .headline import best_method
from .lead import Lead, lead_of
from .source import method_name, method_phrase
from .text import DASH, amount, count, duration, join, mebibytes, percent, significant, spaced

__all__ = ["methods_section", "rate", "tiles", "trials_section"]


def tiles(record: Result) -> list[Tile]:
    """The winner's few numbers for the head of the page."""
    best = best_method(record)
    if best is None:
        return []
    row, lead = record.methods[best], lead_of(record)
    found = lead.interval(row)
    made = [
        Tile(
            lead.title,
            percent(lead.value(row)),
            f"95\u00a0% interval {_ends(found)}" if found else row.reason("test_accuracy"),
        )
    ]
    if lead.balanced:
        plain = row.test_accuracy_interval
        made += [
            Tile("Macro F1", percent(row.macro_f1), "averaged over classes"),
            Tile("Test accuracy", percent(row.test_accuracy), f"95\u00a0% interval {_ends(plain)}" if plain else ""),
        ]
    tuned, total = row.tuned_parameters, row.total_parameters
    if tuned is not None:
        made.append(Tile("Parameters tuned", amount(tuned), f"{percent(tuned / total)} of all" if total else ""))
    if row.nc1_after is not None:
        before = row.nc1_before
        made.append(
            Tile(
                "Penultimate NC1",
                significant(row.nc1_after),
                ("unchanged" if before == row.nc1_after else f"was {significant(before)}") if before else "",
            )
        )
    if row.seconds is not None:
        whole = record.cost.whole if record.cost else None
        made.append(Tile("Tuning time", duration(row.seconds), f"{duration(whole)} for the whole run" if whole else ""))
    return made


def methods_section(record: Result) -> Section:
    """Accuracy with intervals as figure, everything else as table, the grounds of each choice below."""
    listed, best, lead = record.methods, best_method(record), lead_of(record)
    points = [
        Method(key, method_name(key, row), row.mark, lead.value(row), lead.interval(row), row.nc1_after)
        for key, row in listed.items()
    ]
    blocks: list[Block] = []
    drawings = []
    if drawing := methods(points, best, lead.phrase):
        said = join(f"{item.title} {percent(item.accuracy)}" for item in points if item.accuracy is not None)
        which = f"{lead.title} on the test images" if lead.balanced else lead.title
        text = which + (" with its 95\u00a0% interval." if any(item.interval for item in points) else ".")
        drawings.append(Figure(drawing, text, f"{lead.title}: {said}."))
    if drawing := scatter(points, best, lead.phrase):
        text = (
            f"{lead.title} against penultimate NC1 after tuning (compare Figure 11 of the paper, right). "
            "Bars are 95\u00a0% intervals."
        )
        drawings.append(Figure(drawing, text, f"Scatter of {len(points)} methods: NC1 after tuning and {lead.phrase}."))
    if drawings:
        blocks.append(Columns(drawings))
    if listed:
        blocks += [_table(listed, best, lead), _setup(listed), *_extras(listed)]
    histories = [
        Series(method_name(key, row), [epoch.val_accuracy for epoch in row.history], row.mark)
        for key, row in listed.items()
        if len(row.history) > 1  # what is fitted has no curve
    ]
    first = min((row.history[0].epoch for row in listed.values() if row.history), default=0)
    longest = max((len(row.history) for row in listed.values()), default=0)
    if drawing := curves(histories, "history", steps=range(first, first + longest)):
        alt = "Lines of validation accuracy over the epochs of tuning, one for each method."
        text = "Validation accuracy after each epoch of the final training; epoch 0 is the probe that it starts from."
        blocks.append(Details("Training curves", [Columns([Figure(drawing, text, alt)])]))
    return Section("Methods side by side", blocks, _verdict(listed, best, lead))


def trials_section(record: Result) -> Section:
    """The short trials that chose blocks and learning rates."""
    trials = record.trials
    if not trials:
        return Section("Trials", [])
    purposes = {"unit": "block", "learning_rate": "learning rate"}
    notes = Footnotes()
    body: list[list[Cell | str]] = []
    for trial in trials:
        accuracy = notes.cell(percent(trial.val_accuracy), trial.note if trial.val_accuracy is None else None)
        body.append(
            [
                method_name(trial.method, record.methods.get(trial.method)),
                purposes.get(trial.purpose, trial.purpose),
                trial.unit or "",
                rate(trial.learning_rate),
                count(trial.epochs),
                Cell(accuracy, strong=trial.chosen),
                notes.cell(significant(trial.nc1), trial.note if trial.nc1 is None else None),
                Cell("✓\u00a0chosen", strong=True) if trial.chosen else Cell(" "),
            ]
        )
    table = Table(
        ["Method", "To choose", "Block", "Learning rate", "Epochs", "Validation accuracy", "NC1", ""],
        body,
        caption="Short trials, in the order they ran",
        words=frozenset({1, 2, 7}),
        notes=notes.lines,
    )
    chosen = dict.fromkeys(f"the {purposes.get(trial.purpose, trial.purpose)}" for trial in trials)
    lead = (
        f"Short trials, scored on the validation images, chose {join(chosen)}; NC1 is that of the penultimate training "
        "features. Test images played no part."
    )
    return Section("Trials", [Details(f"All {len(trials)} trials", [table])], lead)


def _table(listed: dict[str, MethodRow], best: str | None, lead: Lead) -> Table:
    columns = [
        "Method",
        *(
            ["Balanced accuracy", "Macro F1", "Test accuracy"]
            if lead.balanced
            else ["Test accuracy", "Balanced accuracy"]
        ),
        "Validation accuracy",
        "Tuned parameters",
        "Time",
        "Per step",
        "Peak memory",
        "NC1 before → after",
    ]
    body: list[list[Cell | str]] = []
    notes = Footnotes()
    for key, row in listed.items():
        first = percent(lead.value(row)) + (f" ({_ends(found)})" if (found := lead.interval(row)) else "")
        plain = notes.cell(percent(row.test_accuracy) if lead.balanced else first, _why(row, "test_accuracy"))
        balanced = notes.cell(
            first if lead.balanced else percent(row.balanced_accuracy), _why(row, "balanced_accuracy")
        )
        f1 = notes.cell(percent(row.macro_f1), _why(row, "macro_f1"))
        shown = (balanced, f1, plain) if lead.balanced else (plain, balanced)
        body.append(
            [
                Cell(method_name(key, row), strong=key == best),
                Cell(shown[0], strong=key == best),
                *shown[1:],
                notes.cell(percent(row.val_accuracy), _why(row, "val_accuracy")),
                _share(row),
                notes.cell(duration(row.seconds), _why(row, "seconds")),
                notes.cell(duration(row.seconds_per_step), _why(row, "seconds_per_step")),
                notes.cell(mebibytes(row.peak_memory_bytes), _why(row, "peak_memory_bytes")),
                notes.cell(_change(row), row.reason("nc1_after") or row.reason("nc1_before")),
            ]
        )
    place = next((index for index, key in enumerate(listed) if key == best), None)
    bracketed = [f"the 95\u00a0% interval of the {lead.phrase}"] * any(map(lead.interval, listed.values()))
    bracketed += ["the fraction of all parameters"] * any(row.total_parameters for row in listed.values())
    lines = [f"In brackets: {join(bracketed)}."] if bracketed else []
    lines.append("Time: the final training. Per step and peak memory: one training step in a process of its own.")
    title = "What each method reaches and costs"
    return Table(columns, body, title, stack=True, highlight=place, notes=[*lines, *notes.lines])


def _why(row: MethodRow, field: str) -> str:
    """Why a number is missing, where it is."""
    return row.reason(field) if getattr(row, field) is None else ""


def _setup(listed: dict[str, MethodRow]) -> Table:
    body = [
        [
            method_name(key, row),
            row.tunes,
            row.unit or "",
            rate(row.learning_rate),
            _epochs(row),
            spaced(row.why),
        ]
        for key, row in listed.items()
    ]
    columns = ["Method", "What learns", "Tuned block", "Learning rate", "Epochs", "Why"]
    return Table(columns, body, "How each method was set up", frozenset({1, 2, 5}), stack=True)


def _epochs(row: MethodRow) -> str:
    """Epochs and the one that was kept; a dash for what is fitted and not trained by steps."""
    if not row.epochs:
        return DASH
    return count(row.epochs) + (f" (best: {count(row.best_epoch)})" if row.best_epoch is not None else "")


def _extras(listed: dict[str, MethodRow]) -> list[Block]:
    """Quantities that only some runs measure; a column or a table that would be empty is left out."""
    wanted = {
        "Out-of-fold accuracy": [
            percent(row.out_of_fold_accuracy) + (f" ({_ends(ends)})" if (ends := row.out_of_fold_interval) else "")
            for row in listed.values()
        ],
        "Images judged": [count(row.out_of_fold_images) for row in listed.values()],
        "Temperature": [
            significant(row.calibration.temperature) if row.calibration else DASH for row in listed.values()
        ],
        "Calibration error": [
            _arrow(percent, row.calibration.ece_before, row.calibration.ece_after) if row.calibration else DASH
            for row in listed.values()
        ],
        "Brier score": [
            _arrow(significant, row.calibration.brier_before, row.calibration.brier_after) if row.calibration else DASH
            for row in listed.values()
        ],
        "Share of the output from inner layers": [percent(row.skip_share) for row in listed.values()],
        "Validation accuracy with → without them": [
            _arrow(percent, row.skip_accuracy_on, row.skip_accuracy_off) for row in listed.values()
        ],
        "Members, with their weights": [", ".join(map(_member, row.members)) or DASH for row in listed.values()],
        "Forward passes": [count(row.passes) for row in listed.values()],
        "All parameters": [amount(row.total_parameters) if row.passes else DASH for row in listed.values()],
        "Milliseconds an image": [significant(row.milliseconds) for row in listed.values()],
    }
    kept = {title: cells for title, cells in wanted.items() if any(cell != DASH for cell in cells)}
    blocks: list[Block] = []
    if kept:
        body = [
            [method_name(key, row), *(cells[place] for cells in kept.values())]
            for place, (key, row) in enumerate(listed.items())
        ]
        blocks.append(Table(["Method", *kept], body, "Further measurements", stack=True))
    spent = [
        [method_name(key, row), point.what, duration(point.seconds), percent(point.accuracy)]
        for key, row in listed.items()
        for point in row.frontier
    ]
    if spent:
        columns = ["Method", "Done until then", "Time spent", "Validation accuracy"]
        table = Table(columns, spent, "Accuracy against time", frozenset({1}), stack=True)
        blocks.append(Details("Accuracy against time", [table]))
    return blocks


def _member(member: Member) -> str:
    return member.name if member.weight is None else f"{member.name} ({percent(member.weight, 0)})"


def _arrow(show: object, before: float | None, after: float | None) -> str:
    assert callable(show)
    return DASH if before is None and after is None else f"{show(before)} → {show(after)}"


def _ends(interval: tuple[float, float]) -> str:
    return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def _change(row: MethodRow) -> str:
    return _arrow(significant, row.nc1_before, row.nc1_after)


def _share(row: MethodRow) -> str:
    tuned, total = row.tuned_parameters, row.total_parameters
    return amount(tuned) + (
        f" ({percent(tuned / total, 0 if tuned > 0.0995 * total else 1)})" if tuned is not None and total else ""
    )


def rate(value: float | None) -> str:
    """A learning rate in as many digits as it has, at most three.

    Example:
        >>> rate(0.01), rate(3e-5), rate(None)
        ('0.01', '3×10⁻⁵', '–')
    """
    if value is None:
        return DASH
    return f"{float(f'{value:.2e}'):g}" if 1e-4 <= abs(value) < 1e4 else significant(value)


def _verdict(listed: dict[str, MethodRow], best: str | None, lead: Lead) -> str:
    """Which methods cannot be told from the winner on these test images."""
    mine = lead.interval(listed[best]) if best else None
    if best is None or mine is None:
        return ""
    others = {key: other for key, row in listed.items() if key != best and (other := lead.interval(row))}
    if not others:
        return ""
    close = [
        method_phrase(key, listed[key]) for key, other in others.items() if mine[0] <= other[1] and other[0] <= mine[1]
    ]
    phrase = method_phrase(best, listed[best])
    text = (
        f"{phrase[:1].upper()}{phrase[1:]} was chosen on held-out images; the test images played no part in the choice. On "
        f"them the 95\u00a0% interval of its {lead.phrase} "
    )
    if not close:
        return text + "is clear of all others."
    those = "that" if len(close) == 1 else "those"
    return text + f"overlaps with {those} of {join(close)}, so the order of these may be luck."
