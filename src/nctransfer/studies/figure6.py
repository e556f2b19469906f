"""Figure 6: the same over the encoder layers of a vision transformer, and straighter than in the MLP.

Cells: at the paper's scale released ViT-B/32 weights at 384 pixels (144 patches and a class token), below it a small ViT
pre-trained on the source; features are the mean over all tokens (A.2). The MLP of Figure 5 beside it.
"""

from __future__ import annotations

from .cells import Cell, transfer
from .depth import R2_MARGIN, depth_panels, layer_points, line_of, linear_claims
from .effects import gaps
from .families import pretrained
from .figure5 import mlp_layers
from .scale import Scale
from .study import Findings, Outcome, Study
from .verdicts import decide

__all__ = ["PAPER", "STUDY"]

PAPER = {
    "text": "“we can observe the same trend and more linear relationship compared to the MLP experiment” (section 3.2); the "
    "figure's numbers are not printed"
}


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    made = mlp_layers(scale, seed)
    if isinstance(scale.vit, str):
        network: Cell | str = scale.vit
    else:
        network = made["vit"] = pretrained(scale, seed, scale.vit, loss="ce", head="none")
    made["vit layers"] = transfer(network, scale.downstream, seed, layers=True, image_size=scale.vit_size)
    return made


def findings(outcome: Outcome) -> Findings:
    straight = {
        label: [line[2] if (line := line_of(seed)) else None for seed in layer_points(outcome, label)]
        for label in ("vit layers", "mlp layers")
    }
    return Findings(
        [
            *linear_claims(outcome, "vit layers", "ViT"),
            decide(
                "The relation is straighter in the ViT than in the MLP",
                gaps(straight["vit layers"], straight["mlp layers"]),
                "difference in R²",
                margin=R2_MARGIN,
            ),
        ],
        depth_panels(outcome, "vit layers", "ViT"),
        [f"The paper: {PAPER['text']}."],
    )


_SHALLOW = (
    "The small vision transformer has learnt its 1,000 images from scratch, to a training accuracy of 89 %, and what "
    "it knows of other images lies in its first two blocks: from the second on its layers differ by about a point in "
    "accuracy and by a twentieth in NC1, so that the first block alone decides the correlation. The paper's is "
    "ViT-B/32 with weights from ImageNet-21k. Not tried: longer training, more data. There is one seed, which decides"
    " nothing."
)

CAUSES: dict[str, dict[str, str]] = {"pilot": {"ViT": _SHALLOW, "The relation": _SHALLOW}}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "figure6",
    "Layers of a vision transformer: downstream collapse and probe accuracy",
    "A vision transformer shows the relation of Figure 5 as well, and on a straighter line.",
    cells,
    findings,
    ("Figure 6",),
    CAUSES,
)
