"""The confusion matrix as a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas

from .figures import WIDTH
from .svg import ACCENT, GRID, INK, draw
from .text import shorten, visible

__all__ = ["confusion"]

# Stands on the accent colour in light and in dark mode, so it follows neither.
_ON_ACCENT = "#ffffff"


def confusion(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Counts (K, K), rows true: numbers up to 12 classes, names up to 25, a bare heat map above."""
    num_classes = len(matrix)
    sums = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, sums, out=np.zeros(matrix.shape), where=sums > 0)

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        image = np.empty((num_classes, num_classes, 4))
        image[..., :3] = [int(ACCENT[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        # The square root lifts rare confusions out of the background.
        image[..., 3] = np.sqrt(shares)
        axes.imshow(image, interpolation="none", aspect="equal")
        axes.grid(visible=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
        for spine in axes.spines.values():
            spine.set_edgecolor(GRID)
        if num_classes <= 12:
            for i, j in np.argwhere(matrix > 0):
                colour = _ON_ACCENT if shares[i, j] > 0.64 else INK
                size = 8.5 if num_classes <= 6 else 7
                axes.text(j, i, f"{matrix[i, j]:g}", ha="center", va="center", color=colour, fontsize=size)
        if num_classes <= 25:
            short = [shorten(visible(name), 14) for name in names]
            size = 8 if num_classes <= 12 else 6
            upright = max(map(len, short)) * num_classes > 40
            axes.set_xticks(range(num_classes), short, rotation=90 if upright else 0, fontsize=size)
            axes.set_yticks(range(num_classes), short, fontsize=size)
            axes.tick_params(length=0)
        axes.set_xlabel("predicted class" + ("" if num_classes <= 25 else ", in the order of the class list"))
        axes.set_ylabel("true class")

    return draw("confusion", WIDTH, 3.9, paint)
