"""Of which classes and after which epochs pre-training draws the picture of collapse."""

from __future__ import annotations

import numpy as np

__all__ = ["drawn_classes", "pictured_epochs"]

_PICTURES = 6


def drawn_classes(num_classes: int) -> tuple[int, ...]:
    """Three classes evenly spaced in the list: the same before and after an interruption, and not picked by their looks.

    Example:
        >>> drawn_classes(10), drawn_classes(2), drawn_classes(1)
        ((0, 4, 9), (0, 1), ())
    """
    count = min(3, num_classes)
    return tuple(int(place) for place in np.linspace(0, num_classes - 1, count)) if count > 1 else ()


def pictured_epochs(epochs: int, every: int) -> tuple[int, ...]:
    """At most six of the measured epochs, the first and the last among them, dense at the beginning.

    Example:
        >>> pictured_epochs(350, 10), pictured_epochs(3, 1), pictured_epochs(0, 1)
        ((1, 10, 30, 110, 350), (1, 2, 3), (0,))
    """
    if epochs < 1:
        return (0,)
    measured = np.array(sorted({1, epochs, *range(every, epochs + 1, every)}))
    wanted = np.geomspace(1, epochs, min(_PICTURES, epochs))
    nearest = {int(measured[np.abs(np.log(measured / epoch)).argmin()]) for epoch in wanted}
    return tuple(sorted(nearest | {1, epochs}))
