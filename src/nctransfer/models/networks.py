"""Networks under one face: images in, penultimate features out, with names for the layers and the blocks to tune."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..errors import UsageError, near_names
from ..layouts import Layout, Undecided
from .discover import find_layers, find_units
from .look import Look, look_inside
from .taps import LayerTaps

__all__ = ["PENULTIMATE", "Network", "copy_module", "wrap_module"]

PENULTIMATE = "penultimate"
"""The name under which the network's output features stand among the layers."""

_Module = TypeVar("_Module", bound=nn.Module)
_HALF = (0.5, 0.5, 0.5)


class Network(nn.Module):
    """An encoder with its normalisation inside, and names for what is measured and tuned.

    Where the channels of a layer's output lie is decided from the network: by two batch sizes and two image sizes, and from
    the layer's weights where it takes one size only. A layer of which it cannot be told is left out, with a note; asked
    for by name, it is refused.

    Args:
        encoder: Maps normalised images ``(B, 3, H, W)`` to penultimate features ``(B, D)``.
        name: What the user called it.
        size: Side of the square input in pixels.
        mean, std: Of the normalisation, per channel, for pixels in [0, 1].
        interpolation, crop_pct: How images are resized for it.
        layers, units: ``named_modules()`` names; found by themselves when not given.
        layouts: Layer name to layout, such as ``"BHWC"`` or ``"TBC"``, where it is known better than it can be told.
        provenance: Plain facts for manifests: ``license``, ``weights``, ``arch``, ``arch_arguments``.
        notes: Sentences about the network for the run's warnings.

    Attributes:
        feature_dim: D.
        layers: Names of the probed layers in execution order (the penultimate features not among them).
        layer_shapes: Output shape of each for one image.
        layouts: Where images and channels lie in the output of each.
        units: Candidate blocks for tuning, shallow to deep.
        source_classifier: Weight (Z, D) and bias (Z,) of the classifier that the weights file held, or None.
        class_names: Of that classifier, where a manifest names them.
        convolutional: Whether the blocks' outputs are ``(B, C, H, W)``; the network then runs channels_last.

    Example:
        >>> net = wrap_module(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), size=16)
        >>> net(torch.zeros(2, 3, 16, 16, dtype=torch.uint8)).shape
        torch.Size([2, 8])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        name: str,
        size: int,
        mean: Sequence[float] = _HALF,
        std: Sequence[float] = _HALF,
        interpolation: str = "bicubic",
        crop_pct: float = 1.0,
        layers: Sequence[str] | None = None,
        units: Sequence[str] | None = None,
        layouts: Mapping[str, str] | None = None,
        provenance: dict[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.name, self.size = name, size
        self.mean_values, self.std_values = [float(value) for value in mean], [float(value) for value in std]
        self.interpolation, self.crop_pct = interpolation, crop_pct
        self.provenance = dict(provenance or {})
        self.notes = list(notes)
        self.source_classifier: tuple[Tensor, Tensor] | None = None
        self.class_names: tuple[str, ...] | None = None
        # The statistics lie where the encoder does: a module that was moved to a device may be wrapped as it is.
        home = next((tensor.device for tensor in encoder.parameters()), torch.device("cpu"))
        self.register_buffer("mean", torch.tensor(self.mean_values, device=home).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.std_values, device=home).view(1, 3, 1, 1), persistent=False)
        self.convolutional = False
        self._told = {name: Layout.parse(letters) for name, letters in (layouts or {}).items()}
        self._find_layers(layers, units)

    def _find_layers(self, layers: Sequence[str] | None, units: Sequence[str] | None) -> None:
        for wanted in (*(layers or ()), *(units or ()), *self._told):
            self.check_name(wanted)
        layer_names = tuple(layers) if layers is not None else find_layers(self.encoder)
        unit_names = tuple(units) if units is not None else find_units(self.encoder)
        look = self._look(dict.fromkeys((*layer_names, *unit_names)))
        for name in (*(layers or ()), *(units or ())):
            self._refuse(name, look)
        unread = [name for name in layer_names if name in look.reasons]
        if unread:
            self.notes.append(
                f"{len(unread)} of {len(layer_names)} layers of {self.name} are left out, the first {unread[0]}: "
                f"{look.reasons[unread[0]]}"
            )
        self.output, self.feature_dim = look.output, look.feature_dim
        self.layouts, self.layer_shapes = look.layouts, look.shapes
        self.layers = tuple(name for name in look.shapes if name in layer_names)
        self.units = tuple(name for name in look.shapes if name in unit_names)
        self.convolutional = any(
            len(shape) == 3 and self.layouts[name] == Layout(0, 1, self.layouts[name].path)
            for name, shape in self.layer_shapes.items()
        )

    def _look(self, names: Sequence[str] | dict[str, None]) -> Look:
        try:
            return look_inside(self.encoder, tuple(names), self.size, self.normalise, self.mean.device, self._told)
        except Undecided as reason:
            raise UsageError(
                f"{self.name}: {reason}",
                remedy="pass a network whose forward returns (B, D), for example with its classifier removed",
            ) from reason
        except Exception as error:  # a foreign module may raise anything on images that it cannot take
            said = (str(error).splitlines() or [""])[0]
            raise UsageError(
                f"{self.name} cannot take images of {self.size} px: {type(error).__name__}: {said}",
                remedy="choose another --image-size, or the network's own by leaving it out",
            ) from error

    def _refuse(self, name: str, look: Look) -> None:
        if name in look.reasons:
            raise UsageError(
                f"layer {name!r} of {self.name} cannot be measured: {look.reasons[name]}",
                where="layers",
                remedy="name another layer, or say where its channels are: wrap_module(..., layouts={...: 'BHWC'})",
            )

    def check_name(self, name: str) -> None:
        known = [module_name for module_name, _ in self.encoder.named_modules() if module_name]
        if name not in known:
            raise UsageError(f"{self.name} has no layer {name!r}", remedy=near_names(name, known))

    def add_layers(self, names: Sequence[str]) -> None:
        """Look at layers that were not found by themselves, so that they can be read as the others.

        Raises:
            UsageError: there is no such layer, or it cannot be read; the reason is given.
        """
        new = [name for name in dict.fromkeys(names) if name not in self.layouts]
        for name in new:
            self.check_name(name)
        if not new:
            return
        look = self._look(tuple(self.layouts) + tuple(new))
        for name in new:
            self._refuse(name, look)
        self.layouts = {name: self.layouts.get(name, layout) for name, layout in look.layouts.items()}
        self.layer_shapes = {name: self.layer_shapes.get(name, shape) for name, shape in look.shapes.items()}

    def normalise(self, images: Tensor) -> Tensor:
        """Images, uint8 or float in [0, 1], as the encoder wants them."""
        if images.dtype == torch.uint8:
            images = images.to(self.mean.dtype).div_(255)
        images = (images - self.mean) / self.std
        if self.convolutional:
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Penultimate features ``(B, D)`` of images ``(B, 3, H, W)``."""
        output = self.encoder(self.normalise(images))
        features = self.output.tensor(output) if self.output.path else output
        return features.flatten(1)

    def taps(self, names: Sequence[str] | None = None) -> LayerTaps:
        """A context in which every forward pass also collects the pooled features of ``names`` (default: all layers)."""
        wanted = self.layers if names is None else tuple(names)
        self.add_layers(wanted)
        return LayerTaps(self.encoder, wanted, {name: self.layouts[name] for name in wanted})

    def width(self, name: str) -> int:
        """Number of pooled features of a layer, or of the network's output under :data:`PENULTIMATE`."""
        return self.feature_dim if name == PENULTIMATE else self.channels(name)

    def channels(self, name: str) -> int:
        """Number of channels of a layer's output."""
        layout = self.layouts[name]
        return self.layer_shapes[name][layout.channels - (layout.channels > layout.batch)]

    def pool(self, name: str, output: Any) -> Tensor:
        """The output of layer ``name`` as ``(B, C)``: the mean over positions or over all tokens."""
        return self.layouts[name].vector(output)

    def pool_as_network(self, name: str, output: Any) -> Tensor:
        """The output of layer ``name`` pooled the way the network pools its last: the class token where it uses that."""
        layout = self.layouts[name]
        tokens = layout.tensor(output)
        by_token = getattr(self.encoder, "global_pool", "") == "token"
        if by_token and (layout.batch, layout.channels, tokens.dim()) == (0, 2, 3):
            return tokens[:, 0]
        return self.pool(name, output)

    def optimise_layout(self) -> Network:
        """Put the weights into channels_last where the network is convolutional (about twice the speed on a CPU)."""
        if self.convolutional:
            self.to(memory_format=torch.channels_last)
        return self

    def describe(self) -> dict[str, Any]:
        """Plain facts about the network, for results and manifests."""
        return {
            "name": self.name,
            "total_parameters": sum(parameter.numel() for parameter in self.encoder.parameters()),
            "feature_dim": self.feature_dim,
            "image_size": self.size,
            "preprocess": {
                "mean": self.mean_values,
                "std": self.std_values,
                "interpolation": self.interpolation,
                "crop_pct": self.crop_pct,
            },
            "license": self.provenance.get("license"),
            "weights": self.provenance.get("weights"),
        }


def copy_module(module: _Module) -> _Module:
    """A copy of a module that shares nothing with it, so that the user's own stays as it is.

    Raises:
        UsageError: it cannot be copied, or its copy shares weights with it.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            # Left by the last forward pass, as old-style weight_norm does: a result, which deepcopy would refuse.
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    try:
        twin = copy.deepcopy(module, memo)
    except Exception as error:  # a foreign module may hold anything: locks, generators, open files
        said = (str(error).splitlines() or [""])[0]
        raise UsageError(
            f"the network {type(module).__name__} cannot be copied: {type(error).__name__}: {said}",
            where="model",
            remedy="take out what cannot be copied (locks, open files, generators), or pass the network by name",
        ) from error
    own = {value.data_ptr() for value in module.parameters()} - {0}
    if twin is module or any(value.data_ptr() in own for value in twin.parameters()):
        raise UsageError(
            f"a copy of the network {type(module).__name__} shares its weights, which tuning would change",
            where="model",
            remedy="let its __deepcopy__ copy the parameters, or pass the network by name",
        )
    return twin


def wrap_module(module: nn.Module, *, size: int | None = None, name: str | None = None, **options: Any) -> Network:
    """Any ``nn.Module`` that maps normalised images to ``(B, D)`` as a :class:`Network`; options as there.

    A timm module brings its preprocessing: mean, standard deviation, size, interpolation and crop come from its
    ``pretrained_cfg`` where they are not given. The module is wrapped, not copied; it is looked into in eval mode and left
    as it was.
    """
    layers = options.pop("layers", getattr(module, "layers", None) if _names(module, "layers") else None)
    units = options.pop("units", getattr(module, "units", None) if _names(module, "units") else None)
    own = _own_preprocessing(module)
    own_size = own.pop("size", None)
    size = int(size or own_size or 224)
    if own and size != own_size:  # at another size the whole image is kept
        own["crop_pct"] = 1.0
    notes = list(options.pop("notes", ()))
    if "mean" not in {**own, **options} and not isinstance(getattr(module, "feature_dim", None), int):
        notes.append(
            f"{name or type(module).__name__} names no normalisation of its own: pixels are scaled to [-1, 1] (mean 0.5, "
            "std 0.5); if it was trained otherwise, pass wrap_module(module, size=..., mean=..., std=...)"
        )
    if own and not options.get("provenance") and int(getattr(module, "num_classes", 0) or 0) > 0:
        notes.append(
            f"{name or type(module).__name__} ends with its classifier: its {module.num_classes} outputs are taken for "
            "features; create it with num_classes=0 for the penultimate ones"
        )
    return Network(
        module,
        name=name or type(module).__name__,
        size=size,
        layers=layers,
        units=units,
        notes=notes,
        **{**own, **options},
    )


def _own_preprocessing(module: nn.Module) -> dict[str, Any]:
    """Preprocessing by a timm module's ``pretrained_cfg``: ``mean``, ``std``, ``interpolation``, ``crop_pct`` and ``size``."""
    config = getattr(module, "pretrained_cfg", None)
    config = getattr(config, "to_dict", lambda: config)()
    if not isinstance(config, Mapping) or not {"mean", "std"} <= set(config):
        return {}
    found = {key: config[key] for key in ("mean", "std", "interpolation", "crop_pct") if config.get(key) is not None}
    side = getattr(getattr(module, "patch_embed", None), "img_size", None) or config.get("input_size", (224,))[-1]
    found["size"] = int(side[-1] if isinstance(side, tuple | list) else side)
    return found


def _names(module: nn.Module, attribute: str) -> bool:
    value = getattr(module, attribute, None)
    return isinstance(value, tuple | list) and all(isinstance(name, str) for name in value)
