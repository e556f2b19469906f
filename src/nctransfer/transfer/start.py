"""Where tuning starts from: the converged linear probe of the pretrained features, put on a copy of the network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from ..models import PENULTIMATE, Network
from ..probes import ChosenProbe, LinearProbe, choose_probe, fit_probe_path
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

    def fitted(self, method: TuningMethod) -> TunedNetwork:
        """A copy of the pretrained network with the classifier of the method's cross-validated probe."""
        head = self.probing().cross_validated(self.probe_of(method)).head
        layers = head.layers if method.layered else None
        model = TunedNetwork(copy.deepcopy(self.network), method, None, self.num_classes, layers)
        if isinstance(model.classifier, LayeredClassifier):
            model.classifier.start(head)
        else:
            _put(model.classifier, *head.affine())
        return model.to(self.inputs.runtime.device).eval()

    @staticmethod
    def probe_of(method: TuningMethod) -> str | None:
        """The layer whose probe a method is that learns nothing but a classifier; None for that of all layers."""
        return method.inner_layer if method.layered else PENULTIMATE

    def fresh(
        self,
        method: TuningMethod,
        unit: str | None,
        protocol: Protocol = PRACTICAL,
        *,
        everything: bool = False,
    ) -> TunedNetwork:
        """A copy of the pretrained network under ``method``, its classifier and skip connection where the protocol starts.

        The probe that it starts from is fitted on the training images, with ``everything`` on the validation images, too.
        """
        torch.manual_seed(self.inputs.settings.seed)
        reads_all = method.make_skip is not None or method.whole or method.adapter is not None
        if method.layered or (protocol.skips == "layers" and reads_all):
            return self._layered(method, unit, protocol, everything)
        model = self._wrap(method, unit, protocol).to(self.inputs.runtime.device)
        skips = [] if model.skip is None else list(model.skip.modules())
        for skip in skips:
            if isinstance(skip, ConvolutionalSkip):
                nn.init.constant_(skip.norm.weight, protocol.skip_scale)
        assert isinstance(model.classifier, nn.Linear)
        if protocol.classifier == "probe":
            if any(isinstance(skip, DirectSkip) for skip in skips):
                probe = self._probe_with_skip(model).probe
            else:
                probe = self._probe_of_everything if everything else self.probe.probe
            _put(model.classifier, probe.weight, probe.bias)
        elif protocol.classifier == "zero":
            nn.init.zeros_(model.classifier.weight)
            nn.init.zeros_(model.classifier.bias)
        return model

    @cached_property
    def _probe_of_everything(self) -> LinearProbe:
        """The same probe at the same strength, on training and validation images."""
        parts = [self.features("train"), self.features("validation")]
        features = torch.cat([part.penultimate for part in parts])
        labels = torch.cat([part.labels for part in parts])
        strengths = [self.probe.probe.strength]
        return fit_probe_path(
            steady(features), labels, num_classes=self.num_classes, strengths=strengths, balance=self.inputs.balance.fit
        )[0]

    def _layered(self, method: TuningMethod, unit: str | None, protocol: Protocol, everything: bool) -> TunedNetwork:
        """A copy whose classifier reads several layers and starts at their probe."""
        head = self.probing().start_head(method.inner_layer, everything=everything)
        model = self._wrap(method, unit, protocol, head.layers)
        assert isinstance(model.classifier, LayeredClassifier)
        model.classifier.start(head, steady=True)
        return model.to(self.inputs.runtime.device)

    def _wrap(
        self, method: TuningMethod, unit: str | None, protocol: Protocol, layers: Sequence[str] | None = None
    ) -> TunedNetwork:
        return TunedNetwork(
            copy.deepcopy(self.network),
            method,
            unit,
            self.num_classes,
            layers,
            batchnorm=protocol.batchnorm,
            adapter_rank=self.inputs.settings.adapter_rank,
        )

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
            balance=self.inputs.balance.fit,
        )


def _put(classifier: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    with torch.no_grad():
        classifier.weight.copy_(torch.as_tensor(weight))
        classifier.bias.copy_(torch.as_tensor(bias))


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
