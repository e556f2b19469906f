"""A metric as one object, beside its function, and the registry of them all.

To add one: write its function in a file of this room, make a ``Metric`` of it there, and ``register`` it. ``measure``, the
command line and what is streamed follow. From outside the package, :func:`register` does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import UsageError

if TYPE_CHECKING:
    from .work import Work

__all__ = ["REGISTRY", "Metric", "Need", "Number", "register", "registered"]

Need = Literal["weight", "permutations", "deviations", "unit lengths", "logits"]
Scale = tuple[tuple[float, str], ...]

NOT_ON_A_SCALE = "see the line above"


@dataclass(frozen=True)
class Number:
    """One number of a metric and how to read it.

    Args:
        name: Its name in ``Collapse``.
        meaning: A line of interpretation for people who have not read the paper.
        scale: Bounds and words, rising: the first word holds below the first bound, and so on. Empty where no word fits.
        say: A word from the value and all numbers of ``Collapse.to_dict()``, where bounds do not suffice; None falls back
            on the scale.
        title: What tables call it; its name where left out.
    """

    name: str
    meaning: str
    scale: Scale = ()
    say: Callable[[Any, Mapping[str, Any]], str | None] | None = None
    title: str = ""

    def word(self, numbers: Mapping[str, Any]) -> str:
        """The word for this number of ``Collapse.to_dict()``."""
        value = numbers[self.name]
        said = None if self.say is None else self.say(value, numbers)
        if said is not None:
            return said
        return next((word for bound, word in self.scale if value < bound), NOT_ON_A_SCALE)


@dataclass(frozen=True)
class Metric:
    """A collapse metric.

    Args:
        name: The name that ``measure(only=…)`` takes.
        compute: Its value from the measurement at hand; a tuple where it has several ``numbers``.
        numbers: What it gives.
        collapsed: Where it goes as features collapse: ``"down"``, ``"up"``, or ``"neither"``.
        needs: What must be there beside features and labels: ``weight`` and ``permutations`` come from the caller;
            ``deviations``, ``unit lengths`` and ``logits`` are taken in the one shared read.
        streamed: Whether watchers of a training log it from accumulated statistics.
        by_layer: Whether runs measure it at every layer and show it on their page.
        position: Its place in tables; new ones go last.
    """

    name: str
    compute: Callable[[Work], Any]
    numbers: tuple[Number, ...]
    collapsed: Literal["down", "up", "neither"]
    needs: frozenset[Need] = frozenset()
    streamed: bool = False
    by_layer: bool = False
    position: int = 1000


REGISTRY: dict[str, Metric] = {}
"""Every metric by name, in the order of tables."""


def register(metric: Metric) -> Metric:
    """Add a metric to the registry.

    Raises:
        UsageError: the name, or that of one of its numbers, is taken.
    """
    taken = {*REGISTRY, *(number.name for known in REGISTRY.values() for number in known.numbers)}
    for name in {metric.name, *(number.name for number in metric.numbers)} & taken:
        raise UsageError(f"there is a metric {name!r} already", where="register", remedy="choose another name")
    REGISTRY[metric.name] = metric
    ordered = sorted(REGISTRY.values(), key=lambda known: known.position)
    REGISTRY.clear()
    REGISTRY.update({known.name: known for known in ordered})
    return metric


@contextmanager
def registered(metric: Metric) -> Iterator[Metric]:
    """A metric that is in the registry for the time of a ``with`` block.

    Example:
        >>> size = Metric("size", lambda work: float(work.means.norm()), (Number("size", "length of the means"),), "neither")
        >>> with registered(size):
        ...     "size" in REGISTRY
        True
        >>> "size" in REGISTRY
        False
    """
    register(metric)
    try:
        yield metric
    finally:
        del REGISTRY[metric.name]
