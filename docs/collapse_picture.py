"""Draw docs/images/collapse_*.png: three synthetic networks' features, from scattered to collapsed.

Run ``python docs/collapse_picture.py``.
"""

from pathlib import Path

import torch

from nctransfer.metrics import collapse_plane
from nctransfer.report import draw_collapse


def main() -> None:
    images = Path(__file__).parent / "images"
    images.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(600) % 3
    means = torch.randn(3, 16, generator=generator)
    simplex = 3 * torch.eye(16)[:3]
    noise = torch.randn(600, 16, generator=generator)
    for name, share, spread in (("before", 0.0, 1.2), ("on_the_way", 0.5, 0.6), ("collapsed", 1.0, 0.08)):
        features = ((1 - share) * means + share * simplex)[labels] + spread * noise
        draw_collapse(collapse_plane(features, labels), images / f"collapse_{name}.png", title=name.replace("_", " "))


if __name__ == "__main__":
    main()
