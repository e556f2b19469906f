"""Where tuning starts from: the converged linear probe of the pretrained features, put on a copy of the network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from ..models import Network
from ..probes import ChosenProbe, choose_probe
from .classifier import LayeredClassifier
from .evaluate import run_split
from .features import LayerFeatures
from .inputs import Inputs
from .methods import TuningMethod
from .probing import Probing
from .protocol import PRACTICAL, Protocol
from .skip import ConvolutionalSkip, DirectSkip
from .tuned import TunedNetwork

__all__ = ["Start", "steady"]

_STEADY = 0.1


class Start:
    """Makes the networks that are tuned; the probes that they start from are fitted once.

    Args:
        network: The pretrained network; it is copied, not changed.
        inputs: The images.
        features: Gives the network's features of a split.
        probing: Gives the probes of every layer and of all together.
    """

    def __init__(
        self,
        network: Network,
        inputs: Inputs,
        features: Callable[[str], LayerFeatures],
        probing: Callable[[], Probing],
    ) -> None:
        self.network, self.inputs, self.features, self.probing = network, inputs, features, probing
        self.num_classes = len(inputs.bundle.class_names)
        self._skip_probes: dict[str, ChosenProbe] = {}

    @cached_property
    def probe(self) -> ChosenProbe:
        """The linear probe of the steady penultimate features, chosen on validation: where every classifier starts."""
        return self._choose_probe(self.features("train"), self.features("validation"))

    def fresh(self, method: TuningMethod, unit: str | None, protocol: Protocol = PRACTICAL) -> TunedNetwork:
        """A copy of the pretrained network under ``method``, its classifier and skip connection where the protocol starts."""
        torch.manual_seed(self.inputs.settings.seed)
        if method.layered:
            return self._layered(method, unit)
        model = TunedNetwork(
            copy.deepcopy(self.network), method, unit, self.num_classes, batchnorm=protocol.batchnorm
        ).to(self.inputs.runtime.device)
        if isinstance(model.skip, ConvolutionalSkip):
            nn.init.constant_(model.skip.norm.weight, protocol.skip_scale)
        assert isinstance(model.classifier, nn.Linear)
        if protocol.classifier == "probe":
            probe = self._probe_with_skip(model).probe if isinstance(model.skip, DirectSkip) else self.probe.probe
            with torch.no_grad():
                model.classifier.weight.copy_(torch.as_tensor(probe.weight))
                model.classifier.bias.copy_(torch.as_tensor(probe.bias))
        elif protocol.classifier == "zero":
            nn.init.zeros_(model.classifier.weight)
            nn.init.zeros_(model.classifier.bias)
        return model

    def _layered(self, method: TuningMethod, unit: str | None) -> TunedNetwork:
        """A copy whose classifier reads several layers and starts at their probe."""
        head = self.probing().head(method.inner_layer)
        model = TunedNetwork(copy.deepcopy(self.network), method, unit, self.num_classes, head.layers)
        assert isinstance(model.classifier, LayeredClassifier)
        model.classifier.start(head, steady=not method.fitted)
        return model.to(self.inputs.runtime.device)

    def _probe_with_skip(self, model: TunedNetwork) -> ChosenProbe:
        """A skip without parameters changes the penultimate features at once, so the probe is fitted on their sum."""
        if model.unit not in self._skip_probes:
            taken = [
                run_split(model, self.inputs.loader(split), self.inputs.runtime, stop=self.inputs.stop)[2]
                for split in ("train", "validation")
            ]
            self._skip_probes[str(model.unit)] = self._choose_probe(*taken)
        return self._skip_probes[str(model.unit)]

    def _choose_probe(self, train: LayerFeatures, validation: LayerFeatures) -> ChosenProbe:
        return choose_probe(
            steady(train.penultimate),
            train.labels,
            validation.penultimate,
            validation.labels,
            num_classes=self.num_classes,
        )


def steady(features: Tensor) -> Tensor:
    """Features with the nearly constant columns set to zero, so that a probe gives them no weight.

    Standardising magnifies a column that hardly varies on the training images, and a probe then hangs a large weight on it:
    the first step of tuning moves such a feature by many of its standard deviations and upsets the logits.

    Example:
        >>> steady(torch.tensor([[0.0, 1.0, 5.0], [1.0, 0.0, 5.001], [0.5, 0.5, 5.0]])).count_nonzero(0).tolist()
        [2, 2, 0]
    """
    spread = features.std(0)
    moving = spread[spread > 0]
    if len(moving) == 0:
        return features
    return features * (spread > _STEADY * moving.median())
