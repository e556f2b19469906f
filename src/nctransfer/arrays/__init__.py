"""Arrays as users pass them, checked once for every room: class numbers, matrices, whole numbers, and a line through points.

Needs NumPy alone, so that rooms which do without torch can use it; a tensor is taken for what it is without importing
torch.
"""

from __future__ import annotations

from .checks import as_array, check_finite, check_shape, class_numbers, whole_number
from .lines import Line, line_through

__all__ = [
    "Line",
    "as_array",
    "check_finite",
    "check_shape",
    "class_numbers",
    "line_through",
    "whole_number",
]
