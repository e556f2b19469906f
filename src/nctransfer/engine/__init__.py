"""What training of any kind stands on: devices, memory, interruption, checkpoints, records and progress.

Nothing here knows which network is trained, by what loss and what for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .checkpoints import Checkpoints, pack_training, unpack_training
    from .interruption import StopRequest
    from .journal import Journal
    from .memory import halving, is_out_of_memory
    from .runtime import Runtime
    from .schedules import cosine_factor, sgdr
    from .trackers import TRACKERS, Listener, make_trackers
    from .watch import Watch

__all__ = lazy_front(
    __name__,
    {
        "checkpoints": ["Checkpoints", "pack_training", "unpack_training"],
        "interruption": ["StopRequest"],
        "journal": ["Journal"],
        "memory": ["halving", "is_out_of_memory"],
        "runtime": ["Runtime"],
        "schedules": ["cosine_factor", "sgdr"],
        "trackers": ["TRACKERS", "Listener", "make_trackers"],
        "watch": ["Watch"],
    },
)
