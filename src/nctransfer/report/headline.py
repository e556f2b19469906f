"""What a run found, in a sentence of plain words that does not claim more than the numbers do."""

from __future__ import annotations

from typing import Any

from .source import method_name
from .text import amount, count, mapping, number, percent, points, significant, words

__all__ = ["best_method", "headline", "interval", "probe_headline", "versus"]


def best_method(result: dict[str, Any]) -> str | None:
    """The method that the run names as its best, else the one of highest validation accuracy.

    Example:
        >>> best_method({"methods": {"linear": {"val_accuracy": 0.9}, "scl": {"val_accuracy": 0.95}}})
        'scl'
    """
    methods = {key: value for key, value in mapping(result.get("methods")).items() if isinstance(value, dict)}
    named = result.get("best_method")
    if isinstance(named, str) and named in methods:
        return named
    for field in ("val_accuracy", "test_accuracy"):
        known = {key: score for key, value in methods.items() if (score := number(value.get(field))) is not None}
        if known:
            return max(known, key=lambda key: known[key])
    return next(iter(methods), None)


def interval(method: dict[str, Any]) -> tuple[float, float] | None:
    """A method's 95 % interval, if it has a whole one.

    Example:
        >>> interval({"test_accuracy_interval": [0.9, 0.95]}), interval({"test_accuracy_interval": [0.9, None]})
        ((0.9, 0.95), None)
    """
    ends = method.get("test_accuracy_interval")
    if not isinstance(ends, list) or len(ends) != 2:
        return None
    low, high = number(ends[0]), number(ends[1])
    return None if low is None or high is None else (low, high)


def headline(result: dict[str, Any]) -> str:
    """The result of a run of tuning methods in a sentence.

    Example:
        >>> result = {"best_method": "scl", "splits": {"test": 360}, "methods": {
        ...     "linear": {"test_accuracy": 0.95, "test_accuracy_interval": [0.93, 0.97]},
        ...     "scl": {"unit": "blocks.4", "test_accuracy": 0.981, "test_accuracy_interval": [0.972, 0.99],
        ...             "tuned_parameters": 12, "total_parameters": 100}}}
        >>> print(headline(result).replace("\\xa0", " "))
        SCL fine-tuning of blocks.4 reaches 98.1 % on 360 test images, 3.1 points above a linear probe, while tuning
        12 % of the parameters.
    """
    methods = mapping(result.get("methods"))
    best = best_method(result)
    if best is None:
        return "This run tuned no method."
    method = mapping(methods.get(best))
    subject = method_name(best)
    if best == "linear":
        subject = f"A linear probe on {words(mapping(result.get('model')).get('name')) or 'the network'}"
    elif words(method.get("unit")):
        subject += f" of {words(method.get('unit'))}"
    accuracy = number(method.get("test_accuracy"))
    if accuracy is None:
        return f"{subject} was chosen; no test accuracy was measured."
    images = number(mapping(result.get("splits")).get("test"))
    sentence = f"{subject} reaches {percent(accuracy)} on {f'{count(images)} ' if images else 'the '}test images"
    others = [key for key, value in methods.items() if key != best and isinstance(value, dict)]
    if best == "linear":
        if others:
            sentence += ", and no tuning method did better on the validation images"
        return sentence + "."
    sentence += versus(method, mapping(methods.get("linear")))
    tuned, total = number(method.get("tuned_parameters")), number(method.get("total_parameters"))
    if tuned and total and tuned < 0.995 * total:
        digits = 0 if tuned >= 0.095 * total else 1
        sentence += f", while tuning {percent(tuned / total, digits)} of the parameters"
    elif tuned and total:
        sentence += f", tuning all {amount(total)} parameters"
    return sentence + "."


def versus(method: dict[str, Any], probe: dict[str, Any]) -> str:
    """How a method stands to the linear probe; a difference inside the intervals is called that.

    Example:
        >>> versus({"test_accuracy": 0.91, "test_accuracy_interval": [0.88, 0.94]},
        ...        {"test_accuracy": 0.90, "test_accuracy_interval": [0.87, 0.93]})
        ', 1.0 point above a linear probe (within the uncertainty of the test set)'
    """
    ours, theirs = number(method.get("test_accuracy")), number(probe.get("test_accuracy"))
    if ours is None or theirs is None:
        return ""
    if abs(ours - theirs) < 0.0005:
        return ", the same as a linear probe"
    text = f", {points(ours - theirs)} {'above' if ours > theirs else 'below'} a linear probe"
    mine, other = interval(method), interval(probe)
    if mine and other and mine[0] <= other[1] and other[0] <= mine[1]:
        text += " (within the uncertainty of the test set)"
    return text


def probe_headline(result: dict[str, Any], layers: list[dict[str, Any]]) -> str:
    """The result of a run that only measured: the most accurate layer, and whether it is the most collapsed one.

    Example:
        >>> print(probe_headline({}, [{"name": "a", "nc1": 2.0, "probe_val_accuracy": 0.5}]).replace("\\xa0", " "))
        The features of a carry the most: a linear probe on them reaches 50.0 % on the validation images (NC1 2.00).
    """
    scored = [layer for layer in layers if number(layer.get("probe_val_accuracy")) is not None]
    collapsed = [layer for layer in layers if number(layer.get("nc1")) is not None]
    if not scored:
        if not collapsed:
            return "This run measured no layer."
        lowest = min(collapsed, key=lambda layer: layer["nc1"])
        return f"The features of {words(lowest.get('name'))} are the most collapsed (NC1 {significant(lowest['nc1'])})."
    top = max(scored, key=lambda layer: layer["probe_val_accuracy"])
    images = number(mapping(result.get("splits")).get("validation"))
    text = (
        f"The features of {words(top.get('name'))} carry the most: a linear probe on them reaches "
        f"{percent(top['probe_val_accuracy'])} on {f'{count(images)} ' if images else 'the '}validation images"
    )
    if number(top.get("nc1")) is None:
        return text + "."
    text += f" (NC1 {significant(top['nc1'])})"
    if len(collapsed) > 1:
        lowest = min(collapsed, key=lambda layer: layer["nc1"])
        if lowest is top:
            return text + ", and they are the most collapsed."
        return (
            f"{text}; the most collapsed are those of {words(lowest.get('name'))} (NC1 {significant(lowest['nc1'])})."
        )
    return text + "."
