"""The tuned model as a thing to keep: safetensors and a JSON manifest, and back again to the same logits."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..data import DataBundle, Preprocess
from ..errors import CheckpointError, UsageError
from ..models import Network, network_from_manifest
from ..runs import load_tensors, save_tensors
from .ensemble import Ensemble, Part
from .methods import ENSEMBLE, TuningMethod, find_method
from .tuned import TunedNetwork

__all__ = ["load_classifier", "save_classifier"]

_FORMAT = "nctransfer-classifier"


def save_classifier(path: Path, model: TunedNetwork | Ensemble, bundle: DataBundle, **facts: Any) -> None:
    """Write the whole model to ``path`` and its manifest beside it.

    The manifest holds what is needed to use it without this package's run folder: classes by name, preprocessing,
    architecture, method and block, the licence of the pretrained weights where known, and the hash of the weights.

    Raises:
        UsageError: the model's adapters are not merged, so that no network of this architecture could take its weights.
    """
    if model.has_adapters:
        raise UsageError(
            "the adapters are not merged into the weights",
            where=str(path),
            remedy="call model.merge_adapters(images) first",
        )
    network = model.network
    described = network.describe()
    manifest = {
        "format": _FORMAT,
        "arch": network.provenance.get("arch"),
        "arch_arguments": network.provenance.get("arch_arguments", {}),
        "image_size": network.size,
        **described["preprocess"],
        "class_names": list(bundle.class_names),
        "data": bundle.name,
        "value_ranges": bundle.report.get("value_ranges") or {},
        "method": model.method.name,
        "unit": model.unit,
        "units": list(model.units),
        "classifier_layers": model.read_layers,
        **({"members": model.members} if isinstance(model, Ensemble) else {}),
        "pretrained_weights": described["weights"],
        "license": described["license"],
        **facts,
    }
    save_tensors(path, model.state_dict(), manifest)


def load_classifier(
    run: str | Path, *, module: nn.Module | None = None
) -> tuple[TunedNetwork | Ensemble, Preprocess, dict[str, Any]]:
    """The model that a run chose, in eval mode, with its preprocessing and its manifest.

    Args:
        run: Folder of a run, or the path of a ``.safetensors`` file that :func:`save_classifier` wrote.
        module: The network's module, where it was passed as an ``nn.Module`` and so has no name to rebuild it by.

    Raises:
        CheckpointError: a file is missing, altered or of another kind.
    """
    path = _file_of(run)
    tensors, manifest = load_tensors(path)
    if manifest.get("format") != _FORMAT:
        raise CheckpointError(
            "not a tuned classifier", where=str(path), remedy="name the folder of a finished `auto` or `tune` run"
        )
    network = _network_of(tensors, manifest, path, module)
    if manifest.get("method") == ENSEMBLE.name and manifest.get("members"):
        model: TunedNetwork | Ensemble = _ensemble_of(network, manifest, path)
    else:
        model = _tuned_of(network, manifest, manifest, path)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights do not fit their manifest: {str(error).splitlines()[-1].strip()}", where=str(path)
        ) from error
    for one in (module for module in model.modules() if isinstance(module, Network)):
        one.optimise_layout()
    preprocess = Preprocess(
        size=network.size,
        interpolation=manifest["interpolation"],
        crop_pct=manifest["crop_pct"],
        mean=tuple(manifest["mean"]),
        std=tuple(manifest["std"]),
        fit=manifest.get("fit") or "crop",
    )
    return model.eval(), preprocess, manifest


def _tuned_of(network: Network, described: Mapping[str, Any], manifest: Mapping[str, Any], path: Path) -> TunedNetwork:
    """A model around ``network`` as ``described`` says: a manifest, or a member's entry in one."""
    return TunedNetwork(
        network,
        _method_of(described, path),
        ", ".join(described["units"]) if described.get("units") else described["unit"],
        len(manifest["class_names"]),
        described.get("classifier_layers"),
        adapter_rank=None,
    )


def _ensemble_of(network: Network, manifest: Mapping[str, Any], path: Path) -> Ensemble:
    """The members of an ensemble: those that tuned nothing on one network, every other on its own."""
    parts = []
    for described in manifest["members"]:
        own = copy.deepcopy(network) if _method_of(described, path).changes_features else network
        model = _tuned_of(own, described, manifest, path)
        parts.append(Part(described["name"], model, described["weight"], described["temperature"]))
    return Ensemble(parts)


def _file_of(run: str | Path) -> Path:
    """The weights of the model that a run chose, or the file itself."""
    path = Path(run)
    if path.is_dir():
        folder, path = path, path / "checkpoints" / "best.safetensors"
        if not path.is_file() and (folder / "checkpoints" / "final.safetensors").is_file():
            raise CheckpointError(
                "the run holds a pre-trained encoder and no classifier",
                where=str(run),
                remedy=f"tune it first: nctransfer tune DATA --model {run}",
            )
        if not path.is_file():
            raise CheckpointError("the run holds no tuned model", where=str(run), remedy="finish it with --resume")
    elif not path.is_file():
        raise CheckpointError(
            "no such run",
            where=str(path),
            remedy="name the folder of a finished `auto` or `tune` run, or its best.safetensors",
        )
    return path


def _method_of(manifest: Mapping[str, Any], path: Path) -> TuningMethod:
    try:
        return find_method(str(manifest.get("method")))
    except UsageError:
        raise CheckpointError(
            f"the tuning method {manifest.get('method')!r} is not known here",
            where=str(path),
            remedy="register it first: nctransfer.transfer.register(method)",
        ) from None


def _network_of(
    tensors: Mapping[str, Tensor], manifest: dict[str, Any], path: Path, module: nn.Module | None
) -> Network:
    """The network whose weights are in ``tensors``: built by name, or around the module that was given."""
    if module is None and not manifest.get("arch"):
        raise UsageError(
            "the run's network was a Python object and cannot be rebuilt by name",
            where=str(path),
            remedy="pass module=...",
        )
    if module is not None:
        facts = {key: manifest[key] for key in ("mean", "std", "interpolation", "crop_pct")}
        return Network(module, name=type(module).__name__, size=manifest["image_size"], **facts)
    # Of an ensemble, any of its networks: all are of one architecture.
    places = ("network.encoder.", "frozen.encoder.", "tuned.0.network.encoder.")
    prefix = next((place for place in places if any(key.startswith(place) for key in tensors)), places[0])
    encoder_state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    return network_from_manifest(encoder_state, manifest, where=path, name=str(manifest["arch"]))
