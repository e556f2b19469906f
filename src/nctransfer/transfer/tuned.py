"""The network that every tuning method trains: what is frozen, what learns, and what the classifier sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..models import PENULTIMATE, Cut, Network
from .classifier import LayeredClassifier
from .methods import TuningMethod
from .skip import SummedSkips
from .units import find_tuned

__all__ = ["ADAPTER_RANK", "TunedNetwork"]

ADAPTER_RANK = 8
_MERGED = 1e-3
"""Largest difference of a logit, relative to the largest logit, between adapters and the weights that they were merged into."""


class TunedNetwork(nn.Module):
    """A pretrained network with a new classifier, of which exactly the method's parameters learn.

    Frozen modules are in eval mode whatever ``train()`` says, so their BatchNorm buffers stay bit for bit. So are the
    pretrained BatchNorms of the tuned part: their scale and shift learn, their statistics stay. With the statistics of small
    batches instead, the features jump away from the classifier that was fitted to them (1,000 CIFAR-10 images, 6 epochs of
    SCL: 76.5 % on validation with kept statistics, 66.5 % without). Gradients flow
    through the frozen blocks above the tuned one; below it nothing requires a gradient, so no graph is kept there.

    Args:
        network: The pretrained network; it is changed in place (``requires_grad``), so pass a copy to keep one.
        method: The tuning method.
        unit: For methods that tune a part: the block's name, several separated by commas, or ``NAME+`` for NAME and all
            blocks after it.
        num_classes: K.
        layers: Layers that the classifier reads, where it is not the penultimate features alone.
        batchnorm: ``kept``, or ``trained``: the BatchNorms of the tuned part use the statistics of the batch and move.
        adapter_rank: Of the adapters, for methods that have them; None where they are merged into the weights already.

    Raises:
        UsageError: the method needs a block and none was given, or the block is unknown; or the network has nothing that can
            be adapted.
        SetupError: the package that brings the method's adapters is not installed.
    """

    def __init__(
        self,
        network: Network,
        method: TuningMethod,
        unit: str | None,
        num_classes: int,
        layers: Sequence[str] | None = None,
        *,
        batchnorm: str = "kept",
        adapter_rank: int | None = ADAPTER_RANK,
    ) -> None:
        super().__init__()
        if method.needs_unit and unit is None:
            raise UsageError(f"method {method.name!r} needs a block", remedy=f"one of {', '.join(network.units)}")
        if not method.needs_unit and unit is not None:
            raise UsageError(
                f"method {method.name!r} tunes no single block, got {unit!r}", remedy="leave the block out"
            )
        self.units = () if unit is None else find_tuned(network, unit, where="the block")
        self.unit = None if unit is None else ", ".join(word.strip() for word in unit.split(",") if word.strip())
        self.network, self.method, self.num_classes = network, method, num_classes
        self.batchnorm = batchnorm
        self._adapters = self._add_adapters(adapter_rank)
        self._counted: tuple[int, int] | None = None
        # A classifier over several layers is the skip connections.
        self.skip = None if layers else self._make_skip()
        self.classifier: nn.Linear | LayeredClassifier = (
            LayeredClassifier(network, layers, num_classes) if layers else nn.Linear(network.feature_dim, num_classes)
        )
        self._cut: Cut | None = None
        self._freeze()

    def _make_skip(self) -> nn.Module | None:
        if self.method.make_skip is None or not self.units:
            return None
        skips = [self.method.make_skip(self.network, name) for name in self.units]
        return skips[0] if len(skips) == 1 else SummedSkips(skips)

    def _freeze(self) -> None:
        self.network.requires_grad_(self.method.whole)
        for name in self.units:
            self.network.encoder.get_submodule(name).requires_grad_(True)
        for name in self._adapters:
            self.network.encoder.get_parameter(name).requires_grad_(True)
        self.train(self.training)

    def _add_adapters(self, rank: int | None) -> tuple[str, ...]:
        """Put the method's adapters in; returns the names of their parameters in the encoder."""
        if self.method.adapter is None or rank is None:
            return ()
        own = {id(parameter) for parameter in self.network.encoder.parameters()}
        self.method.adapter.add(self.network, rank)
        named = self.network.encoder.named_parameters()
        return tuple(name for name, parameter in named if id(parameter) not in own)

    def merge_adapters(self, sample: Tensor) -> None:
        """Put what the adapters learned into the network's weights and take them out; nothing where there are none.

        The network has the modules and names of the pretrained one then, so that the tuned model needs no package for
        adapters. :meth:`count_parameters` keeps the counts of the training.

        Args:
            sample: Images on which the logits are compared.

        Raises:
            UsageError: the merged network gives other logits.
        """
        if self.method.adapter is None or not self._adapters:
            return
        self.eval()
        counted = self.count_parameters()
        with torch.no_grad():
            before = self(sample)
            self.method.adapter.merge(self.network)
            self._adapters = ()
            self._freeze()
            difference = float((self(sample) - before).abs().max())
        self._counted = counted
        if difference > _MERGED * max(1.0, float(before.abs().max())):
            raise UsageError(
                f"the adapters of {self.network.name} cannot be merged into its weights: a logit differs by {difference:.2g}",
                where=self.method.name,
                remedy="tune it with another method",
            )

    def train(self, mode: bool = True) -> TunedNetwork:
        super().train(mode)
        if not self.method.whole:
            self.network.eval()
            for name in self.units:
                self.network.encoder.get_submodule(name).train(mode)
        if self.batchnorm == "kept":
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, inputs: Tensor, *, from_cut: bool = False) -> Tensor:
        """Logits ``(B, K)`` of images, or of tensors taken at the cut (:meth:`prefix`)."""
        return self.read(inputs, from_cut=from_cut)[1]

    def read(self, inputs: Tensor, *, from_cut: bool = False) -> tuple[Tensor, Tensor]:
        """Penultimate features ``(B, D)`` (see :meth:`penultimate`) and logits ``(B, K)``."""
        if isinstance(self.classifier, LayeredClassifier):
            with self.network.taps(self.classifier.taps) as taps:
                features = self._encode(inputs, from_cut)
            return features, self.classifier({**taps.features, PENULTIMATE: features})
        features = self.penultimate(inputs, from_cut=from_cut)
        return features, self.classifier(features)

    def with_and_without_skips(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(B, K)``, and the logits with the skip connections switched off: what the penultimate features say."""
        if isinstance(self.classifier, LayeredClassifier):
            with self.network.taps(self.classifier.taps) as taps:
                features = {PENULTIMATE: self._encode(inputs, False)}
            parts = self.classifier.parts({**taps.features, **features})
            alone = parts.get(PENULTIMATE, torch.zeros_like(next(iter(parts.values())))) + self.classifier.bias
            return sum(parts.values(), start=self.classifier.bias), alone
        features_alone, skipped = self.parts(inputs)
        alone = self.classifier(features_alone)
        return (alone if skipped is None else self.classifier(features_alone + skipped)), alone

    @property
    def has_adapters(self) -> bool:
        """Whether adapters stand beside the network's weights, not merged into them yet."""
        return bool(self._adapters)

    @property
    def has_skips(self) -> bool:
        """Whether anything but the penultimate features reaches the classifier while the network is tuned."""
        return self.skip is not None or (self.method.changes_features and self.read_layers is not None)

    @property
    def read_layers(self) -> tuple[str, ...] | None:
        """Layers that the classifier reads, where it is not the penultimate features alone."""
        return self.classifier.layers if isinstance(self.classifier, LayeredClassifier) else None

    def penultimate(self, inputs: Tensor, *, from_cut: bool = False) -> Tensor:
        """The classifier's input, ``(B, D)``: the penultimate features, plus the skip connection's where there is one."""
        features, skipped = self.parts(inputs, from_cut=from_cut)
        return features if skipped is None else features + skipped

    def parts(self, inputs: Tensor, *, from_cut: bool = False) -> tuple[Tensor, Tensor | None]:
        """The penultimate features and what the skip connection adds to them, each ``(B, D)``; None without one."""
        if self.skip is None:
            return self._encode(inputs, from_cut), None
        caught: dict[str, Any] = {}
        handles = [
            self.network.encoder.get_submodule(name).register_forward_hook(
                lambda module, arguments, output, name=name: caught.setdefault(name, output)
            )
            for name in self.units
        ]
        try:
            features = self._encode(inputs, from_cut)
        finally:
            for handle in handles:
                handle.remove()
        return features, self.skip(*(caught[name] for name in self.units))

    def _encode(self, inputs: Tensor, from_cut: bool) -> Tensor:
        if not from_cut:
            return self.network(inputs)
        return inputs if self._cut is None else self._cut.suffix(inputs)

    def cut(self, sample: Tensor) -> bool:
        """Prepare to run from the first tuned block on (``linear``: from the penultimate features on).

        Returns:
            Whether that is exact for this network, tried on ``sample``; False for methods that tune everything and for
            classifiers that read layers below the block.
        """
        if self.method.whole or self._adapters or self.read_layers is not None:
            return False
        if not self.units:
            return True
        self._cut = Cut(self.network.encoder, self.units[0])
        return self._cut.holds(self.network.normalise(sample))

    @torch.no_grad()
    def prefix(self, images: Tensor) -> Tensor:
        """The input of the first tuned block (``linear``: the penultimate features); constant while the method trains."""
        if self._cut is None:
            return self.network(images)
        return self._cut.prefix(self.network.normalise(images))

    def running_blocks(self, from_cut: bool) -> list[nn.Module]:
        """The network's blocks that a forward pass runs, none inside another: all, or those from the cut on."""
        order = list(self.network.layer_shapes)
        names = list(self.network.layers)
        if from_cut and not self.units:
            names = []
        elif from_cut:
            start, inside = order.index(self.units[0]), f"{self.units[0]}."
            names = [name for name in names if order.index(name) >= start or name.startswith(inside)]
        outer = [name for name in names if not any(name.startswith(f"{other}.") for other in names)]
        return [self.network.encoder.get_submodule(name) for name in outer]

    def tuned_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that learn."""
        return (parameter for parameter in self.parameters() if parameter.requires_grad)

    def count_parameters(self) -> tuple[int, int]:
        """(number of tuned parameters, number of all parameters); merged adapters are counted as they were tuned."""
        return self._counted or (
            sum(parameter.numel() for parameter in self.tuned_parameters()),
            sum(parameter.numel() for parameter in self.parameters()),
        )

    def tuned_state(self) -> dict[str, Tensor]:
        """Copies of every parameter and buffer that training can change: enough to return to this moment."""
        names = {name for name, parameter in self.named_parameters() if parameter.requires_grad} | self.moving_buffers()
        state: dict[str, Any] = self.state_dict()
        return {name: value.detach().clone() for name, value in state.items() if name in names}

    def moving_buffers(self) -> set[str]:
        """Names of the buffers that change while the method trains: those of the skip connection and of moving BatchNorms."""
        parts = ["skip."]
        if self.batchnorm == "trained":
            parts += ["network."] if self.method.whole else [f"network.encoder.{name}." for name in self.units]
        return {name for name, _ in self.named_buffers() if name.startswith(tuple(parts))}

    def load_tuned_state(self, state: dict[str, Tensor]) -> None:
        """Return to a moment kept by :meth:`tuned_state`."""
        self.load_state_dict(state, strict=False)
