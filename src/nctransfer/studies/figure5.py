"""Figure 5: over the layers of one MLP, downstream NC1 and probe accuracy lie nearly on a line.

Cells: the 12-layer MLP of one width (smaller below the paper's scale), pre-trained on the source; NC1 and a linear probe of
every layer on the downstream set.
"""

from __future__ import annotations

from .cells import Cell, transfer
from .depth import depth_panels, linear_claims
from .families import pretrained
from .scale import Scale
from .study import Findings, Outcome, Study

__all__ = ["PAPER", "STUDY", "mlp_layers"]

PAPER = {
    "text": "“we can observe a near linear relationship between NC1 and transfer accuracy” (section 3.2, 12 layers of 3,072, "
    "CIFAR-100 to CIFAR-10); the figure's numbers are not printed"
}


def mlp_layers(scale: Scale, seed: int) -> dict[str, Cell]:
    """The pre-trained MLP and its layers on the downstream set."""
    made = pretrained(scale, seed, scale.mlp, loss="ce", head="none")
    return {"mlp": made, "mlp layers": transfer(made, scale.downstream, seed, layers=True)}


def findings(outcome: Outcome) -> Findings:
    return Findings(
        linear_claims(outcome, "mlp layers", "MLP"),
        depth_panels(outcome, "mlp layers", "MLP"),
        [f"The paper: {PAPER['text']}."],
    )


STUDY = Study(
    "figure5",
    "Layers of an MLP: downstream collapse and probe accuracy",
    "Over the layers of one network, the more collapsed the features on downstream data, the better they transfer.",
    mlp_layers,
    findings,
    ("Figure 5",),
)
