"""Where the images and the channels lie in a module's output, and the output as one vector per image.

Layouts are written with one letter per axis, ``B`` for images and ``C`` for channels, any other letter for positions:
``BCHW``, ``BHWC``, ``BTC``, ``TBC``, ``BCT``. :mod:`nctransfer.models` decides them from the network; :mod:`nctransfer.metrics`
needs them where it watches somebody else's training loop.
"""

from __future__ import annotations

from .evidence import (
    Undecided,
    batch_axes,
    block_axis,
    channel_axis,
    choose_path,
    input_shapes,
    layout_from_call,
    upstream_axis,
)
from .layout import Layout, detached, tensors_in

__all__ = [
    "Layout",
    "Undecided",
    "batch_axes",
    "block_axis",
    "channel_axis",
    "choose_path",
    "detached",
    "input_shapes",
    "layout_from_call",
    "tensors_in",
    "upstream_axis",
]
