"""The contract of a tuning method, and the registry of all of them.

A method says three things of a frozen, pretrained network: which of its modules learn, which block they belong to, and
whether a skip connection carries the block's output to the penultimate features. Everything else (data order, schedule,
learning-rate search, choice of the epoch) is the same for all, so that their numbers compare.

Nothing here imports torch, so that settings and help pages can name the methods.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import SetupError, UsageError, near_names
from ...runs import Mark

if TYPE_CHECKING:
    from torch import nn

    from ...models import Network

__all__ = [
    "ENSEMBLE",
    "METHODS",
    "Adapter",
    "TuningMethod",
    "default_methods",
    "find_method",
    "inner_probe",
    "method_names",
    "register",
    "registered",
]


@dataclasses.dataclass(frozen=True)
class Adapter:
    """Small modules that learn beside the frozen weights of a network, and go into these weights at the end.

    Attributes:
        add: Puts adapters of a rank into a network, in place, so that its outputs are the same at first.
        merge: Adds what they learned to the network's weights, and takes them out.
    """

    add: Callable[[Network, int], None]
    merge: Callable[[Network], None]


@dataclasses.dataclass(frozen=True)
class TuningMethod:
    """One way to adapt a pretrained network to a downstream data set.

    Attributes:
        name: The word on the command line and the key in ``methods`` of the record.
        title: The method in words, in the middle of a sentence without an article.
        tunes: What learns, in words.
        mark: How plots draw it.
        phrase: The title with an article, where it takes one.
        short: The title in a narrow column.
        needs_unit: Whether a block of the network is tuned, or several.
        whole: Whether every parameter is tuned.
        layered: Whether the classifier reads several layers and not the penultimate features alone.
        fitted: Whether nothing but the classifier learns and it is fitted in closed form, not trained by steps.
        make_skip: Builds the skip connection for (network, block), or None where the method has none.
        adapter: Adds adapters to the frozen network, or None where the method has none.
        package: A package that the method needs and this one does not bring; its extra has the same name. Such a method is
            tuned where it is asked for by name only.
        base_rate: Peak learning rate where none is asked for.
        step_share: What a training step costs, as a fraction of one of full fine-tuning; 0 where a forward pass is all.
        trial_share: The same for a step of a trial, in which the frozen part is computed once.
    """

    name: str
    title: str
    tunes: str = ""
    mark: Mark = dataclasses.field(default_factory=Mark)
    phrase: str = ""
    short: str = ""
    needs_unit: bool = False
    whole: bool = False
    layered: bool = False
    fitted: bool = False
    make_skip: Callable[[Network, str], nn.Module] | None = None
    adapter: Adapter | None = None
    package: str = ""
    base_rate: float = 1e-3
    step_share: float = 0.6
    trial_share: float = 0.6

    @property
    def heading(self) -> str:
        """The title at the start of a sentence or in a table."""
        return self.title[:1].upper() + self.title[1:]

    @property
    def changes_features(self) -> bool:
        """Whether anything below the classifier learns."""
        return self.needs_unit or self.whole or self.adapter is not None

    def check_package(self) -> None:
        """Refuse a method whose package is not installed, before anything is computed.

        Raises:
            SetupError: it is not; the remedy says how to install it.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            raise SetupError(
                f"method {self.name!r} needs {self.package}, which is not installed",
                where=self.name,
                remedy=f"pip install 'nctransfer[{self.package}]'",
            )

    @property
    def inner_layer(self) -> str | None:
        """The layer below the last whose probe this is; None for every other method."""
        return self.name.removeprefix(_INNER) if self.name.startswith(_INNER) else None


_INNER = "linear@"


def inner_probe(layer: str) -> TuningMethod:
    """The linear probe of one layer below the last, as a method: ``linear@LAYER``.

    Example:
        >>> inner_probe("blocks.4").name, inner_probe("blocks.4").title
        ('linear@blocks.4', 'linear probe of blocks.4')
    """
    return TuningMethod(
        name=_INNER + layer,
        title=f"linear probe of {layer}",
        tunes=f"a new classifier on the features of {layer}, on the frozen network",
        mark=Mark(marker="v", colour="muted", dash="-."),
        phrase=f"the linear probe of {layer}",
        short=f"Probe of {layer}",
        layered=True,
        fitted=True,
        step_share=0.005,
        trial_share=0.001,
    )


ENSEMBLE = TuningMethod(
    name="ensemble",
    title="ensemble",
    tunes="nothing further: finished methods answer together",
    mark=Mark(marker="*", colour="ink", dash="-"),
    phrase="the ensemble",
    short="Ensemble",
    fitted=True,
    step_share=2.0,
)
"""The ensemble of a run's finished methods; it is asked for with ``--ensemble`` and not among `METHODS`."""

METHODS: dict[str, TuningMethod] = {}
"""Every tuning method by name, the cheapest first."""


def register(method: TuningMethod) -> TuningMethod:
    """Add a method to the registry.

    Raises:
        UsageError: another method has this name.
    """
    if METHODS.get(method.name, method) != method:
        raise UsageError(f"there is a method {method.name!r} already", where="register", remedy="choose another name")
    METHODS[method.name] = method
    ordered = sorted(METHODS.values(), key=lambda item: (item.step_share, item.name))
    METHODS.clear()
    METHODS.update({item.name: item for item in ordered})
    return method


@contextmanager
def registered(method: TuningMethod) -> Iterator[TuningMethod]:
    """A method that is known within the ``with`` block only.

    Example:
        >>> with registered(TuningMethod("toy", "toy tuning")):
        ...     "toy" in METHODS
        True
        >>> "toy" in METHODS
        False
    """
    register(method)
    try:
        yield method
    finally:
        METHODS.pop(method.name, None)


def method_names() -> tuple[str, ...]:
    """The names of all methods, the cheapest first.

    Example:
        >>> method_names()
        ('linear', 'deep', 'layer', 'scl', 'loha', 'lora', 'full')
    """
    return tuple(METHODS)


def default_methods() -> tuple[str, ...]:
    """The methods that are compared where none is asked for: those that need no further package.

    Example:
        >>> default_methods()
        ('linear', 'deep', 'layer', 'scl', 'full')
    """
    return tuple(method.name for method in METHODS.values() if not method.package)


def find_method(name: str, *, where: str = "--methods") -> TuningMethod:
    """The method of this name; ``linear@LAYER`` is the linear probe of that layer, ``ensemble`` a run's ensemble.

    Raises:
        UsageError: there is none; the near names are given.

    Example:
        >>> find_method("scl").title
        'SCL fine-tuning'
    """
    if name.startswith(_INNER) and len(name) > len(_INNER):
        return inner_probe(name.removeprefix(_INNER))
    if name == ENSEMBLE.name and name not in METHODS:
        return ENSEMBLE
    if name not in METHODS:
        raise UsageError(f"unknown method {name!r}", where=where, remedy=near_names(name, [*METHODS]))
    return METHODS[name]
