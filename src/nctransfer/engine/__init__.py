"""One training loop over tasks, one protocol of batches, one pass over a split; and what they stand on.

Nothing here knows which network is trained, by what loss and what for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .batches import Batches, CachedBatches, PixelBatches, device_batches
    from .checkpoints import Checkpoints, pack_training, unpack_training
    from .feature_cache import FeatureTable, open_table
    from .interruption import StopRequest
    from .journal import Journal
    from .loop import Diverged, Loop, train
    from .memory import OutOfMemory, halving, is_out_of_memory
    from .picture import shown_rows, take_picture
    from .plan import EpochReport, Hooks, Plan, Trained
    from .reading import ClassSums, Reading, Rows, Sink, read_split
    from .runtime import Runtime
    from .schedules import SGDR, Constant, Schedule, WarmupCosine, cosine_factor, sgdr
    from .task import Moment, Task
    from .trackers import TRACKERS, Listener, check_trackers, make_trackers
    from .watch import Watch

__all__ = lazy_front(
    __name__,
    {
        "batches": ["Batches", "CachedBatches", "PixelBatches", "device_batches"],
        "checkpoints": ["Checkpoints", "pack_training", "unpack_training"],
        "feature_cache": ["FeatureTable", "open_table"],
        "interruption": ["StopRequest"],
        "journal": ["Journal"],
        "loop": ["Diverged", "Loop", "train"],
        "memory": ["OutOfMemory", "halving", "is_out_of_memory"],
        "picture": ["shown_rows", "take_picture"],
        "plan": ["EpochReport", "Hooks", "Plan", "Trained"],
        "reading": ["ClassSums", "Reading", "Rows", "Sink", "read_split"],
        "runtime": ["Runtime"],
        "schedules": ["SGDR", "Constant", "Schedule", "WarmupCosine", "cosine_factor", "sgdr"],
        "task": ["Moment", "Task"],
        "trackers": ["TRACKERS", "Listener", "check_trackers", "make_trackers"],
        "watch": ["Watch"],
    },
)
