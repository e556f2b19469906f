"""The dry run of a ranking: its steps and about their cost, from a few images of each candidate."""

from __future__ import annotations

from ..data import DataBundle
from ..engine import Runtime, Watch
from ..errors import NCTransferError
from ..runs import Plan
from ..transfer import open_data
from .candidates import find_candidates
from .look import Looker
from .settings import RankSettings

__all__ = ["plan_ranking"]


def plan_ranking(settings: RankSettings, *, bundle: DataBundle | None = None, watch: Watch | None = None) -> Plan:
    """Load each candidate, pass a few images through it, and extrapolate. Nothing is written.

    Args:
        settings: What to rank and on what.
        bundle: Data as an object, in place of that which the settings name.
        watch: Receives progress.

    Raises:
        UsageError: no candidate is named, or a pattern matches nothing.
        DataError: the data cannot be read.
    """
    watch = watch or Watch()
    candidates, notes = find_candidates(settings.models, arch=settings.arch, weights=settings.weights)
    bundle = bundle or open_data(settings.as_transfer(), watch)
    looker = Looker(settings, bundle, Runtime(settings.device, settings.precision), watch)
    lines = [f"data: {bundle.name}, {looker.num_images} training and validation images, {looker.num_classes} classes"]
    total, memory = 0.0, 0
    for candidate in candidates:
        try:
            seconds, parameters = looker.forward_seconds(candidate)
        except NCTransferError as error:
            lines.append(f"{candidate.name}: would be dropped: {error}")
            continue
        total += seconds * looker.num_images
        memory = max(memory, 4 * parameters)
        lines.append(
            f"{candidate.name}: {parameters / 1e6:.2f} M parameters, forward passes of about {seconds * looker.num_images:.0f} s"
        )
    if settings.budget is not None and len(candidates) > 2:
        lines.append(f"budget: {settings.budget:.0f} s, so few images first and all of them for the better networks")
    if settings.top:
        tuned = min(settings.top + 1, len(candidates))
        lines.append(f"then {tuned} networks tuned ({', '.join(settings.methods)}), whose time is not counted here")
    return Plan((*lines, *notes), total, memory, 2 << 20)
