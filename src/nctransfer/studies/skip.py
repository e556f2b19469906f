"""Which part of a protocol makes the skip connection work: an ablation of SCL less layer FT. Beyond the paper's tables.

Cells: layer FT and SCL FT of one block of a released network under the protocol ``paper`` and with one thing of it changed (the
start of the classifier, the scale at which the skip starts, the optimiser, BatchNorm, the image size), and under ``practical``;
the linear probe and full FT beside them. An arm that keeps the optimiser keeps the learning rate that was chosen for ``paper``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..transfer import METHODS as TUNING
from ..transfer import Protocol, get_protocol
from .cells import Cell, tuning
from .effects import gaps, log_ratios
from .families import RATES, protocol_of
from .panels import axis, over_seeds, plot, series, table
from .scale import Backbone, Scale, seeded
from .study import Findings, Outcome, Study, at
from .verdicts import NC1_MARGIN, POINT, POINTS, RATIO, Verdict, above, at_least, decide, half_of, no_worse

__all__ = ["ARMS", "PAPER", "STUDY"]

PAPER = {"SCL FT less layer FT": (17.30, 3.99, 1.10, 1.42), "layer FT": (65.03, 80.84, 82.00, 71.66)}
"""Table 3, ResNet18 on CIFAR-10 by block, in points and in per cent."""

ARMS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "scale": ("skip starts at scale 0", {"skip_scale": 0.0}, False),
    "optimizer": ("AdamW", {"optimizer": "adamw"}, True),
    "start": ("classifier starts at the probe", {"classifier": "probe"}, False),
    "random": ("classifier starts at random", {"classifier": "random"}, False),
    "batchnorm": ("pretrained BatchNorm trained", {"batchnorm": "trained"}, False),
}
"""By label what an arm changes, the fields of the protocol, and whether its learning rates are chosen anew."""
METHODS = ("layer", "scl")
MARGIN = half_of(0.0283)
"""Half of the paper's gain on CIFAR-10 in Table 2, 2.83 points."""


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    if scale.skip is None:
        return {}
    made = {}
    for method in METHODS:
        made[f"paper | {method}"] = _cell(scale, seed, method, "paper")
        for label in _arms(scale):
            made[f"{label} | {method}"] = _cell(scale, seed, method, label)
    for method in ("linear", "full"):
        made[method] = _cell(scale, seed, method, "paper")
    return made


def _arms(scale: Scale) -> list[str]:
    sized = ["size"] if scale.skip_size else []
    return [*ARMS, *sized, "practical"]


def _cell(scale: Scale, seed: int, method: str, label: str) -> Cell:
    """A tuning of the ablation; its rate is chosen on the first seed, by the arm itself or by the arm ``paper``."""
    if label == "scale" and method != "scl":
        label = "paper"  # nothing but a skip has a scale
    backbone = _backbone(scale)
    protocol, rates = _protocol(label, method)
    size = scale.skip_size if label == "size" else backbone.image_size
    network: Cell | str | None = backbone.network
    if network is None:
        from .families import by_loss

        network, size = by_loss(scale.at(seed), seed, scale.network, "ce", 0), None
    chooses = bool(rates) and seed == 0
    first = None if chooses else _cell(scale, 0, method, label if rates else "paper")
    return tuning(
        network,
        seeded(next(iter(backbone.data.values())), seed),
        seed,
        method=method,
        unit=backbone.units[0] if method in METHODS else None,
        image_size=size,
        epochs=backbone.epochs,
        protocol=protocol,
        rates=rates if chooses else (),
        rate_of=first,
    )


def _backbone(scale: Scale) -> Backbone:
    assert scale.skip is not None
    return scale.skip


def _protocol(label: str, method: str) -> tuple[Protocol, tuple[float, ...]]:
    if label == "practical":
        return get_protocol("practical"), RATES["practical"]
    protocol = protocol_of("paper", method)
    if label in ("paper", "size"):
        return protocol, RATES["paper"] if label == "paper" else ()
    _, changes, anew = ARMS[label]
    return replace(protocol, **changes), RATES["practical"] if anew else ()


def findings(outcome: Outcome) -> Findings:
    if outcome.scale.skip is None:
        return Findings([], [])
    labels = ["paper", *_arms(outcome.scale)]
    accuracy = {
        (label, method): outcome.each(f"{label} | {method}", "test_accuracy") for label in labels for method in METHODS
    }
    gain = {label: gaps(accuracy[label, "scl"], accuracy[label, "layer"]) for label in labels}
    panels = [_ablation(outcome, labels, accuracy, gain), _plot(outcome, labels, gain), _small_table(outcome)]
    return Findings(_claims(outcome, labels, accuracy, gain), panels, _notes(outcome))


def _title(outcome: Outcome, label: str) -> str:
    if label == "size":
        return f"{outcome.scale.skip_size} pixels instead of {_backbone(outcome.scale).image_size}"
    return {"paper": "protocol paper", "practical": "protocol practical"}.get(label) or ARMS[label][0]


def _claims(
    outcome: Outcome, labels: list[str], accuracy: dict[tuple[str, str], list[Any]], gain: dict[str, list[float | None]]
) -> list[Verdict]:
    name = "SCL FT less layer FT"
    made = [
        decide("Under the protocol paper SCL FT beats layer FT", gain["paper"], name, margin=MARGIN, unit=POINTS),
        decide(
            "Under the protocol practical SCL FT beats layer FT", gain["practical"], name, margin=MARGIN, unit=POINTS
        ),
    ]
    made += [
        decide(
            f"The gain of SCL over layer FT depends on this: {_title(outcome, label)}",
            gaps(gain["paper"], gain[label]),
            "gain under the protocol paper less gain with this change",
            margin=MARGIN,
            unit=POINTS,
        )
        for label in labels
        if label not in ("paper", "practical")
    ]
    linear, full = (outcome.each(method, "test_accuracy") for method in ("linear", "full"))
    made += [
        above(
            "Layer FT beats the linear probe",
            accuracy["paper", "layer"],
            linear,
            "layer FT less linear probe",
            margin=0.02,
        ),
        no_worse(
            "SCL FT is at most 1 point behind full FT",
            gaps(accuracy["paper", "scl"], full),
            "SCL FT less full FT",
            margin=POINT,
            unit=POINTS,
        ),
        decide(
            "SCL FT collapses what the classifier sees more than layer FT",
            log_ratios(outcome.each("paper | layer", "nc1"), outcome.each("paper | scl", "nc1")),
            "NC1 after layer FT over NC1 after SCL FT",
            margin=NC1_MARGIN,
            unit=RATIO,
        ),
        at_least(
            "Under the protocol paper the deep layers still have a say: the skip's share of the logits is under nine tenths",
            [None if share is None else 1 - share for share in outcome.each("paper | scl", "skip_share")],
            0.1,
            "1 less the share of the skip in the logits",
            margin=0.05,
        ),
    ]
    return made


def _ablation(
    outcome: Outcome, labels: list[str], accuracy: dict[tuple[str, str], list[Any]], gain: dict[str, list[float | None]]
) -> dict[str, Any]:
    rows = [
        [
            _title(outcome, label),
            over_seeds(accuracy[label, "layer"], percent=True),
            over_seeds(accuracy[label, "scl"], percent=True),
            over_seeds(gain[label], percent=True),
            over_seeds(outcome.each(f"{label} | scl", "skip_share")),
            over_seeds(outcome.each(f"{label} | scl", "skip_accuracy_on"), percent=True),
            over_seeds(outcome.each(f"{label} | scl", "skip_accuracy_off"), percent=True),
            over_seeds(outcome.each(f"{label} | layer", "nc1")),
            over_seeds(outcome.each(f"{label} | scl", "nc1")),
            str(sum(value is not None for value in gain[label])),
        ]
        for label in labels
    ]
    columns = [
        "What is changed of the protocol paper",
        "Layer FT (%)",
        "SCL FT (%)",
        "SCL less layer (points)",
        "Share of the skip in the logits",
        "Validation accuracy with the skip (%)",
        "with it switched off (%)",
        "NC1 after layer FT",
        "NC1 after SCL FT",
        "Seeds",
    ]
    backbone = _backbone(outcome.scale)
    return table(
        f"{backbone.title} at {backbone.image_size} pixels on {next(iter(backbone.data))}, block {backbone.units[0]}: what each "
        "choice does to SCL FT against layer FT.",
        columns,
        rows,
        notes=[
            "The share is the standard deviation of the skip's part of the logits over that of all logits, on validation."
        ],
    )


def _plot(outcome: Outcome, labels: list[str], gain: dict[str, list[float | None]]) -> dict[str, Any]:
    places = [float(place + 1) for place in range(len(labels))]
    return plot(
        "Test accuracy of SCL FT less that of layer FT under each arm, mean and standard deviation over seeds.",
        "Points of the gain of SCL FT over layer FT, one for each arm.",
        axis("", names=[_title(outcome, label) for label in labels]),
        axis("SCL less layer (points)", percent=True),
        [series("gain", places, [gain[label] for label in labels], line=False)],
    )


def _small_table(outcome: Outcome) -> dict[str, Any]:
    """Table 2 in small: one block, one data set."""
    rows = []
    for title, label in (
        ("Linear probe", "linear"),
        ("Layer FT", "paper | layer"),
        ("SCL FT", "paper | scl"),
        ("Full FT", "full"),
    ):
        rows.append(
            [
                title,
                over_seeds(outcome.each(label, "test_accuracy"), percent=True),
                over_seeds(outcome.each(label, "nc1")),
                over_seeds(outcome.each(label, "tuned_parameters")),
                over_seeds([None if step is None else 1000 * step for step in outcome.each(label, "step_seconds")]),
                over_seeds(outcome.each(label, "learning_rate")),
            ]
        )
    columns = ["Method", "Test accuracy (%)", "NC1 after", "Tuned parameters", "Time of a step (ms)", "Learning rate"]
    return table("Table 2 in small, under the protocol paper.", columns, rows)


def _notes(outcome: Outcome) -> list[str]:
    gains = ", ".join(f"{value:g}" for value in PAPER["SCL FT less layer FT"])
    return [
        f"The paper's Table 3, ResNet18 on CIFAR-10, has SCL FT ahead of layer FT by {gains} points at blocks 1, 3, 5 and 7.",
        "Each learning rate is the best of three on the first seed's validation images; an arm that keeps the optimiser keeps "
        "the rate of the protocol paper. Seeds share no training or validation image; the test images are CIFAR-10's 10,000.",
        *_edges(outcome),
        "A.2 does not say whether pretrained BatchNorm statistics move, where the classifier starts and how long tuning lasts.",
    ]


def _edges(outcome: Outcome) -> list[str]:
    """Arms whose best rate was the smallest or the largest tried: a better one may lie beyond."""
    found = []
    for label in ("paper", *_arms(outcome.scale)):
        for method in METHODS:
            rates = at(outcome.values.get(0, {}).get(f"{label} | {method}"), "rates") or {}
            chosen = at(outcome.values.get(0, {}).get(f"{label} | {method}"), "learning_rate")
            tried = sorted(map(float, rates))
            if len(tried) > 2 and chosen in (tried[0], tried[-1]):
                found.append(f"{_title(outcome, label)}, {TUNING[method].short} ({chosen:g})")
    return [f"The best of the three rates was at the edge for: {'; '.join(found)}."] if found else []


STUDY = Study(
    "skip",
    "What makes the skip connection work",
    "SCL FT beats layer FT under the paper's protocol; an ablation says which of its choices that takes, and what the skip does. "
    "Its rules were finished after its first cells had been seen, and the bound of nine tenths was set after a share of 0.99: "
    "new seeds are to confirm its answers.",
    cells,
    findings,
    ("Ablation of section 3.3",),
)
