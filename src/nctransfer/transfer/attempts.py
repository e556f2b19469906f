"""The methods of a run one after the other: each chosen for, trained and tested, taken from the disk, or left out and named."""

from __future__ import annotations

import math

from ..engine import Watch
from ..errors import UsageError
from ..runs import LayerRow
from .choose import Choice, Chooser
from .desk import Desk, keep_method, reload_method
from .forecast import evaluation_seconds, least_seconds, rate_seconds, trials_seconds
from .methods import TuningMethod, find_method
from .setbacks import recover, setback
from .tuning import Tuned, evaluate_method, fit_probe, train_method
from .workbench import Workbench

__all__ = ["attempt"]


def attempt(
    bench: Workbench, chooser: Chooser, desk: Desk, names: list[str], unit: str | None, layers: list[LayerRow]
) -> tuple[dict[str, Tuned], dict[str, str]]:
    """The finished methods, and those that are left out with the reasons: out of memory, diverged, no time.

    Raises:
        ResourceError: no method came to an end.
        UsageError: the budget has room for none.
    """
    finished: dict[str, Tuned] = {}
    left_out: dict[str, str] = {}
    order = names if bench.pace.budget is None else _by_worth(names)
    sure = order[0] if bench.settings.fits(find_method(order[0])) else None  # what a run cannot do without
    for place, name in enumerate(order):
        bench.pace.reserve *= place == 0
        try:
            found = _method(bench, chooser, desk, name, unit, layers, sure=name == sure)
        except Exception as error:
            reason = setback(error)
            last = place == len(order) - 1 and not finished
            # Processes of one run fail apart; going on in some of them would leave the others waiting.
            if reason is None or last or bench.runtime.world_size > 1:
                raise
            found = None
            left_out[name] = reason
        if found is not None:
            finished[name] = found
        elif name in left_out:
            recover(bench.runtime)
            desk.done()
            bench.warn([f"{find_method(name).title} is left out: {left_out[name]}"])
        else:
            left_out[name] = bench.pace.why
    if not finished:
        raise UsageError(
            f"no method fits into the budget: {bench.pace.why}",
            where="--budget",
            remedy="use a larger --budget, or --preset fast",
        )
    return {name: finished[name] for name in names if name in finished}, left_out


def _by_worth(names: list[str]) -> list[str]:
    """Probes first, and of these the one that held-out images like best; then the dearest methods, which usually gain most.

    The probe of an inner layer is among the methods where its layer's is the best of all single layers, so that a run which
    has time for one probe alone tests and hands over the best that it has measured.

    Example:
        >>> _by_worth(["linear", "deep", "layer", "scl", "full", "linear@a"])
        ['linear@a', 'linear', 'deep', 'full', 'layer', 'scl']
    """

    def rank(name: str) -> tuple[bool, float]:
        method = find_method(name)
        if not method.changes_features:
            return False, -1.0 if method.inner_layer else 0.0
        return True, -method.step_share

    return sorted(names, key=rank)


def _method(
    bench: Workbench,
    chooser: Chooser,
    desk: Desk,
    name: str,
    unit: str | None,
    layers: list[LayerRow],
    *,
    sure: bool,
) -> Tuned | None:
    """Choose, train and test one method, or take it from the disk where that was done before; None where time is short."""
    method = find_method(name)
    choice = chooser.choose(name, unit) if sure else _choose(bench, chooser, method, unit)
    if choice is None:
        return None
    path = desk.checkpoints / f"{name}.safetensors"
    bench.stop.raise_if_noted()
    if f"method/{name}" in desk.ledger and path.is_file():
        return reload_method(bench, desk, f"method/{name}", choice, path)
    if bench.settings.fits(method):
        model, outcome, held = fit_probe(bench, method)
    else:
        (model, outcome), held = train_method(bench, name, choice, keeping=desk.keeping, ends=desk.ends), None
    tuned = evaluate_method(bench, model, choice, outcome, layers[-1], held)
    keep_method(bench, desk, f"method/{name}", path, tuned)
    bench.pace.note(name)
    desk.done()
    _say(bench.watch, tuned)
    return tuned


def _choose(bench: Workbench, chooser: Chooser, method: TuningMethod, unit: str | None) -> Choice | None:
    """Block and rates of a method; None where the budget has no room for it."""
    pace, phrase, unit = bench.pace, method.phrase or method.title, unit if method.needs_unit else None
    if bench.settings.fits(method):
        if method.layered and method.inner_layer is None:
            allowed = _deep(bench)
        else:  # the probes of single layers are there already
            allowed = pace.allows(method.name, phrase, lambda: evaluation_seconds(bench, method))
        return chooser.choose(method.name, unit) if allowed else None
    if not _deep(bench) or not _mirrors(bench):  # where tuning starts, and what it sees
        return None
    if (
        method.needs_unit
        and unit is None
        and not pace.allows("trials", "the trials that choose the block", lambda: trials_seconds(bench))
    ):
        return None
    choice = chooser.choose(method.name, unit)

    def needed() -> float:
        rest, least = evaluation_seconds(bench, method), least_seconds(bench, method)
        if not pace.has(least + rest):  # timing real steps takes time itself
            return least + rest
        pace.expected = rate_seconds(bench, method, choice.unit)
        return pace.expected + rest

    return choice if pace.allows(method.name, phrase, needed) else None


def _deep(bench: Workbench) -> bool:
    """Whether there is time for the deep probe, which costs at most half of what the probes of all layers did."""
    method = find_method("deep")
    return bench.pace.allows(
        method.name, method.phrase, lambda: bench.pace.probe_seconds / 2 + evaluation_seconds(bench, method)
    )


def _mirrors(bench: Workbench) -> bool:
    """Whether there is time to ask the validation images whether a mirror image keeps its class."""
    if bench.pace.budget is None or bench.settings.augment != "auto":
        return True
    images = len(bench.bundle.validation) * bench.pace.seconds_per_image
    probe = 2 * bench.pace.probe_seconds / max(1, len(bench.probing.layers))
    return bench.pace.allows("mirrors", "asking whether mirror images keep their class", lambda: images + probe)


def _say(watch: Watch, tuned: Tuned) -> None:
    row, model = tuned.row, tuned.model
    low, high = row.test_accuracy_interval or (math.nan, math.nan)
    watch.say(
        f"{model.method.title}: {row.test_accuracy:.1%} on {len(tuned.labels)} test images "
        f"({low:.1%} to {high:.1%}){f', block {model.unit}' if model.unit else ''}, {row.seconds:.0f} s"
        + (
            "; no epoch beat the probe that it starts from"
            if row.best_epoch == 0 and model.method.changes_features
            else ""
        )
    )
