"""A network by name, by run folder, by weights file, or as a module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, UsageError
from ..runs import load_weights_file
from .build import build_encoder, create_timm
from .encoders import is_run_folder, load_run_folder
from .manifest import WeightsManifest, read_manifest
from .networks import Network, wrap_module
from .offline import offline_weights
from .small import BUILDERS, build_small
from .weights import Fitted, load_into

__all__ = ["load_network"]

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")


def load_network(
    name: str, *, weights: str | Path | None = None, arch: str | None = None, image_size: int | None = None
) -> Network:
    """A network by name, by run folder, or by file.

    Args:
        name: A timm name (``resnet18``), a built-in one (``cifar_resnet20``), the folder of a run, or a weights file.
        weights: None for the pretrained weights, ``"random"`` for none, or a file with a state dict of ``arch``. A manifest
            beside the file says what the tensors do not: see ``docs/weights.md``.
        arch: Architecture of the weights file, when it differs from ``name``.
        image_size: Side of the input in pixels; None for the network's own.

    Raises:
        UsageError: unknown name, or an image size it cannot take; near names are offered.
        CheckpointError: the file does not fit the architecture or holds code, or its manifest contradicts what was asked for.
        SetupError: pretrained weights that must be downloaded, without a network.
    """
    if is_run_folder(name):
        return load_run_folder(Path(name), image_size=image_size)
    if (Path(name) / "config.json").is_file():
        raise CheckpointError(
            "the run has no finished encoder", where=str(name), remedy="finish it: the same command with --resume"
        )
    if weights is None and Path(name).suffix in _SUFFIXES:
        weights, name = name, arch or ""
    file = Path(weights) if weights not in (None, "random") else None
    if file is not None:
        manifest = read_manifest(file)
        if manifest is not None:
            return _from_manifest(manifest, file, arch, image_size)
        if not (arch or name):
            raise UsageError(
                "the weights file names no architecture",
                where=str(file),
                remedy="add --arch NAME, or a manifest beside it (docs/weights.md)",
            )
    arch = arch or name
    if arch in BUILDERS:
        size = image_size or 32
        encoder = build_small(arch, size=size)
        fitted = load_into(encoder, load_weights_file(file), file) if file is not None else None
        network = wrap_module(encoder, size=size, name=arch, provenance=_provenance(arch, size, weights))
        return _with_classifier(network, fitted).optimise_layout()
    return _from_timm(arch, weights, file, image_size)


def _provenance(arch: str, size: int, weights: Any) -> dict[str, Any]:
    return {"arch": arch, "arch_arguments": {"size": size}, "weights": str(weights or "random"), "license": None}


def _from_manifest(manifest: WeightsManifest, file: Path, arch: str | None, image_size: int | None) -> Network:
    if arch is not None and arch != manifest.arch:
        raise CheckpointError(
            f"the manifest says {manifest.arch}, --arch says {arch}",
            where=str(file.with_suffix(".json")),
            remedy="leave --arch out, or correct the manifest",
        )
    size = image_size or manifest.image_size
    encoder = build_encoder(manifest.arch, manifest.arch_arguments, size)
    fitted = load_into(encoder, _overlaid(load_weights_file(file), manifest, file), file)
    network = wrap_module(
        encoder,
        size=size,
        name=file.stem,
        mean=manifest.mean,
        std=manifest.std,
        interpolation=manifest.interpolation,
        crop_pct=manifest.crop_pct if size == manifest.image_size else 1.0,
        provenance={
            "arch": manifest.arch,
            "arch_arguments": dict(manifest.arch_arguments),
            "license": manifest.license,
            "weights": file.name,
        },
    )
    network.class_names = manifest.class_names
    return _with_classifier(network, fitted).optimise_layout()


def _overlaid(state: dict[str, Tensor], manifest: WeightsManifest, file: Path) -> dict[str, Tensor]:
    """The weights with the manifest's overlays laid over them; an overlay may only replace."""
    for name in manifest.overlays:
        overlay = load_weights_file(file.parent / name)
        unknown = [key for key in overlay if key not in state or overlay[key].shape != state[key].shape]
        if unknown:
            raise CheckpointError(
                f"{len(unknown)} of the overlay's {len(overlay)} entries are not in the weights, or of another shape, "
                f"for example {unknown[0]!r}",
                where=str(file.parent / name),
                remedy="take the overlay that belongs to the file",
            )
        state = state | overlay
    return state


def _from_timm(name: str, weights: Any, file: Path | None, image_size: int | None) -> Network:
    pretrained = weights is None
    found = offline_weights(name) if pretrained else None
    encoder = create_timm(name, image_size, pretrained and found is None)
    source, fitted = "random", None
    if found is not None:
        fitted = _load_by_position(name, encoder, found.path)
        source = found.source
    elif file is not None:
        fitted = load_into(encoder, load_weights_file(file), file)
        source = file.name
    elif pretrained:
        source = "timm"
    facts: dict[str, Any] = dict(encoder.pretrained_cfg)  # type: ignore[arg-type]
    own_size = int(facts.get("input_size", (3, 224, 224))[-1])
    network = wrap_module(
        encoder,
        size=image_size or own_size,
        name=name,
        crop_pct=facts.get("crop_pct", 1.0) if (image_size or own_size) == own_size else 1.0,
        provenance={"arch": name, "arch_arguments": {}, "license": facts.get("license"), "weights": source},
    )
    return _with_classifier(network, fitted).optimise_layout()


def _load_by_position(name: str, encoder: nn.Module, path: Path) -> Fitted:
    """Load weights whose entries have other names but the same order and shapes."""
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
    return load_into(encoder, {key: tensor for key, (_, tensor) in zip(target, stored, strict=True)}, path)


def _with_classifier(network: Network, fitted: Fitted | None) -> Network:
    """Keep the classifier that the file holds, where it is one linear layer on the features: LEEP and NCE ask for it."""
    if fitted is None:
        return network
    for key, weight in fitted.classifier.items():
        matrix = weight.reshape(len(weight), -1) if weight.dim() in (2, 4) else weight
        if key.endswith(".weight") and matrix.dim() == 2 and matrix.shape[1] == network.feature_dim:
            bias = fitted.classifier.get(key.removesuffix("weight") + "bias", torch.zeros(len(weight)))
            network.source_classifier = (matrix.float(), bias.float())
            break
    return network
