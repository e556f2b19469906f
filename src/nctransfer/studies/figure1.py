"""Figure 1: projection layers keep the encoder from collapsing, for every loss, and make it transfer better.

Cells: an encoder for each loss and number of projection layers, with NC1 and CDNV as training goes on, and a linear probe
of each on the downstream set. At the scale of the paper also with MiniImageNet as the source (A.2).
"""

from __future__ import annotations

from typing import Any

from .cells import Cell, transfer
from .effects import gaps, log_ratios
from .families import HEADED, by_loss
from .panels import axis, over_seeds, plot, series, table
from .parts import pooled
from .scale import Scale
from .study import Findings, Outcome, Study, at
from .verdicts import NC1_MARGIN, POINT, POINTS, RATIO, Verdict, correlation, decide

__all__ = ["PAPER", "STUDY"]

PAPER = {
    "text": "“the inclusion of projection heads substantially increase the diversity of the representations and the "
    "transfer accuracy compared with that of no projection head” (section 3.1); the figure's numbers are not printed"
}


def _sources(scale: Scale) -> dict[str, Any]:
    return {"": scale.source, **{f"{title} ": spec for title, spec in scale.further_sources.items()}}


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    made: dict[str, Cell] = {}
    for prefix, data in _sources(scale).items():
        for loss in HEADED:
            for layers in scale.heads:
                label = f"{prefix}{loss}-{layers}"
                made[label] = by_loss(scale, seed, scale.deep, loss, layers, data)
                made[f"{label} transfer"] = transfer(made[label], scale.downstream, seed)
    return made


def findings(outcome: Outcome) -> Findings:
    claims: list[Verdict] = []
    panels: list[dict[str, Any]] = []
    for prefix in _sources(outcome.scale):
        claims += [*_head_claims(outcome, prefix), *_output_claims(outcome, prefix)]
        for loss, title in HEADED.items():
            panels += [_curves(outcome, prefix, loss, title, measure) for measure in ("nc1", "cdnv")]
        panels += [_transfers(outcome, prefix), _table(outcome, prefix)]
    claims.append(
        correlation(
            "CDNV stands in for NC1 (A.1): the two rank encoders alike",
            [
                [
                    (at(value, "final", "cdnv"), at(value, "final", "nc1"))
                    for label, value in outcome.values[seed].items()
                    if not label.endswith("transfer")
                ]
                for seed in outcome.seeds
            ],
            +1,
            "source CDNV and NC1",
            least=0.8,
        )
    )
    return Findings(claims, panels, [f"The paper: {PAPER['text']}."])


def _head_claims(outcome: Outcome, prefix: str) -> list[Verdict]:
    """With the deepest head against none: over all losses, and for each."""
    most = max(outcome.scale.heads)
    nc1 = {key: outcome.each(key, "final", "nc1") for key in _labels(prefix, (0, most))}
    accuracy = {
        key: outcome.each(f"{key} transfer", "layers", -1, "probe_accuracy") for key in _labels(prefix, (0, most))
    }
    pairs = [(f"{prefix}{loss}-{most}", f"{prefix}{loss}-0", f"{prefix}{title}") for loss, title in HEADED.items()]
    ratios = [log_ratios(nc1[headed], nc1[bare]) for headed, bare, _ in pairs]
    differences = [gaps(accuracy[headed], accuracy[bare]) for headed, bare, _ in pairs]
    layers = _layers(most)
    said = f"{prefix}{layers[0].upper()}{layers[1:]}"
    return [
        *pooled(
            f"{said} keep the encoder from collapsing, over the losses",
            [
                decide(
                    f"{title}: {layers} leave the encoder less collapsed (larger NC1)",
                    ratio,
                    "NC1 with the head over NC1 without",
                    margin=NC1_MARGIN,
                    unit=RATIO,
                )
                for (_, _, title), ratio in zip(pairs, ratios, strict=True)
            ],
            ratios,
            "NC1 with the head over NC1 without",
            margin=NC1_MARGIN,
            unit=RATIO,
        ),
        *pooled(
            f"{said} make it transfer better, over the losses",
            [
                decide(
                    f"{title}: {layers} make it transfer better",
                    difference,
                    "difference in accuracy",
                    margin=POINT,
                    unit=POINTS,
                )
                for (_, _, title), difference in zip(pairs, differences, strict=True)
            ],
            differences,
            "difference in accuracy",
            margin=POINT,
            unit=POINTS,
        ),
    ]


def _output_claims(outcome: Outcome, prefix: str) -> list[Verdict]:
    """The head's own outputs are more collapsed than the encoder below it: collapse progresses with depth."""
    most = max(outcome.scale.heads)
    ratios = [
        log_ratios(
            outcome.each(f"{prefix}{loss}-{most}", "final", "nc1"),
            outcome.each(f"{prefix}{loss}-{most}", "final", "head_nc1"),
        )
        for loss in HEADED
    ]
    return pooled(
        f"{prefix}The head's outputs are more collapsed than the encoder's features, over the losses",
        [
            decide(
                f"{prefix}{title}: the head's outputs are more collapsed than the encoder's features",
                ratio,
                "NC1 of the encoder over NC1 of the head",
                margin=NC1_MARGIN,
                unit=RATIO,
            )
            for title, ratio in zip(HEADED.values(), ratios, strict=True)
        ],
        ratios,
        "NC1 of the encoder over NC1 of the head",
        margin=NC1_MARGIN,
        unit=RATIO,
    )


def _labels(prefix: str, heads: tuple[int, ...]) -> list[str]:
    return [f"{prefix}{loss}-{layers}" for loss in HEADED for layers in heads]


def _curves(outcome: Outcome, prefix: str, loss: str, title: str, measure: str) -> dict[str, Any]:
    drawn = []
    for layers in outcome.scale.heads:
        histories = [history or [] for history in outcome.each(f"{prefix}{loss}-{layers}", "history")]
        epochs = [record["epoch"] for record in max(histories, key=len, default=[])]
        heights = [[at(history, row, measure) for history in histories] for row in range(len(epochs))]
        drawn.append(series(_layers(layers), epochs, heights))
    name = measure.upper()
    caption = f"{prefix}{title}: encoder {name} on the source training images as training goes on."
    alt = f"Lines of {name} over epochs for {title}, one for each number of projection layers."
    return plot(caption, alt, axis("epoch"), axis(f"encoder {name}, source", log=True), drawn)


def _layers(number: int) -> str:
    """A head in words.

    Example:
        >>> _layers(1), _layers(2)
        ('1 projection layer', '2 projection layers')
    """
    return f"{number} projection layer{'' if number == 1 else 's'}"


def _transfers(outcome: Outcome, prefix: str) -> dict[str, Any]:
    heads = outcome.scale.heads
    drawn = [
        series(
            title,
            [float(place + 1) for place in range(len(heads))],
            [outcome.each(f"{prefix}{loss}-{layers} transfer", "layers", -1, "probe_accuracy") for layers in heads],
        )
        for loss, title in HEADED.items()
    ]
    return plot(
        f"{prefix}Test accuracy of a linear probe on the downstream set, by the head that the encoder was trained with.",
        "Lines of transfer accuracy over the number of projection layers, one for each loss.",
        axis("projection layers", names=[str(layers) for layers in heads]),
        axis("transfer accuracy (%)", percent=True),
        drawn,
    )


def _table(outcome: Outcome, prefix: str) -> dict[str, Any]:
    rows = [
        [
            f"{title}, {_layers(layers)}",
            over_seeds(outcome.each(f"{prefix}{loss}-{layers}", "final", "nc1")),
            over_seeds(outcome.each(f"{prefix}{loss}-{layers}", "final", "head_nc1")),
            over_seeds(outcome.each(f"{prefix}{loss}-{layers}", "final", "cdnv")),
            over_seeds(outcome.each(f"{prefix}{loss}-{layers} transfer", "layers", -1, "probe_accuracy"), percent=True),
            over_seeds(outcome.each(f"{prefix}{loss}-{layers}", "final", "train_accuracy"), percent=True),
        ]
        for loss, title in HEADED.items()
        for layers in outcome.scale.heads
    ]
    columns = [
        "Loss and head",
        "Encoder NC1",
        "Head output NC1",
        "Encoder CDNV",
        "Transfer accuracy (%)",
        "Source training accuracy (%)",
    ]
    return table(f"{prefix}Collapse on the source at the end of training, and transfer.", columns, rows)


_TWICE = (
    "At this scale an encoder with a head trains for twice the epochs of the bare one, so that length of training and annealing "
    "are mixed with the head: curves of the two cannot be compared epoch by epoch, and whether a head delays the collapse or "
    "prevents it is not answered here. The scale mini gives every loss the same epochs. The source has only 1,000 images."
)

CAUSES: dict[str, dict[str, str]] = {"pilot": {"CE: ": _TWICE, "MSE: ": _TWICE, "2 projection layers": _TWICE}}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "figure1",
    "Projection layers during pre-training",
    "Projection layers keep the encoder from collapsing and improve its transfer, whatever the loss.",
    cells,
    findings,
    ("Figure 1",),
    CAUSES,
)
