"""Fitting a foreign state dict to an encoder: wrappings taken off, and nothing left over without a word.

A file fits when every entry of the encoder gets a tensor of its shape and every entry of the file is used, but for the
classifier's and for what training leaves beside a network (its loss, its metrics, a projection head).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError

__all__ = ["Fitted", "fit_state", "hash_weights", "load_into"]

State = dict[str, Tensor]

_ANYWHERE = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""Put into names by torch.compile, FSDP and activation checkpointing, at any depth."""

_WRAPPINGS = ("module", "model", "net", "network", "backbone", "encoder", "_forward_module", "body", "base_model")
"""Attributes under which training code keeps its network."""

_CLASSIFIERS = ("fc", "head", "classifier", "last_linear", "head_dist", "heads", "logits", "linear")

_BESIDE = (
    "loss",
    "criterion",
    "metric",
    "accuracy",
    "acc",
    "head",
    "classifier",
    "fc",
    "linear",
    "projector",
    "projection",
)
"""How names begin or end that training code keeps beside its network."""

_DERIVED = ("num_batches_tracked", "relative_position_index", "attn_mask", "relative_coords_table", "position_ids")
"""Buffers that are computed, not learned."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The entries of a file that fit an encoder, and those that do not.

    Attributes:
        state: The encoder's entries.
        classifier: The entries of the classifier that the file holds, by the names behind the wrapping.
        prefix: The wrapping that was taken off.
    """

    state: State
    classifier: State
    prefix: str


def load_into(encoder: nn.Module, state: State, file: Path) -> Fitted:
    """Load ``state`` into ``encoder``, whole or not at all.

    Raises:
        CheckpointError: entries are missing, left over, of another shape or kind; they are listed.
    """
    fitted = fit_state(encoder, state, file)
    encoder.load_state_dict(fitted.state, strict=False)
    return fitted


def fit_state(encoder: nn.Module, state: State, file: Path) -> Fitted:
    """Choose the entries of ``state`` that are the encoder's.

    Raises:
        CheckpointError: as for :func:`load_into`.
    """
    for part in _ANYWHERE:
        state = {key.replace(part, ""): value for key, value in state.items()}
    wanted: State = encoder.state_dict()
    prefix = _prefix(wanted, state, file)
    inner = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    beside = [key for key in state if not key.startswith(prefix)]
    missing = [key for key in wanted if key not in inner and not key.endswith("num_batches_tracked")]
    misshapen = [key for key in wanted if key in inner and inner[key].shape != wanted[key].shape]
    unkind = [
        key for key in wanted if key in inner and wanted[key].is_floating_point() and not inner[key].is_floating_point()
    ]
    heads = _classifier_names(encoder)
    classifier = {
        key: value
        for key, value in inner.items()
        if key not in wanted and key.startswith(tuple(f"{n}." for n in heads))
    }
    unused = [prefix + key for key in inner if key not in wanted and key not in classifier and not _derived(key)]
    unused += [key for key in beside if not _is_beside(key)]
    if missing or misshapen or unkind or unused:
        parts = [
            _listed(missing, f"of {len(wanted)} entries missing from the file"),
            _listed(misshapen, "of another shape"),
            _listed(unkind, "of whole numbers where the network has real ones"),
            _listed(unused, "of the file's entries used nowhere"),
        ]
        raise CheckpointError(
            "the weights do not fit: " + "; ".join(part for part in parts if part),
            where=str(file),
            remedy="name the right architecture with --arch, or save the state dict of the encoder alone",
        )
    return Fitted({key: inner[key] for key in wanted if key in inner}, classifier, prefix)


def _prefix(wanted: State, state: State, file: Path) -> str:
    """The wrapping under which the file holds the encoder."""
    anchor = next((key for key in wanted if key.endswith("weight")), next(iter(wanted), ""))
    found = {key[: len(key) - len(anchor)] for key in state if key == anchor or key.endswith(f".{anchor}")}
    fits = {
        prefix: sum(prefix + key in state and state[prefix + key].shape == wanted[key].shape for key in wanted)
        for prefix in found
    }
    if not fits:
        return ""
    most = max(fits.values())
    best = sorted((prefix for prefix in fits if fits[prefix] == most), key=len)
    usual = [prefix for prefix in best if all(part in _WRAPPINGS for part in prefix.split(".")[:-1])]
    best = usual or best
    first = {key: state[best[0] + key] for key in wanted if best[0] + key in state} if best else {}
    same = all(torch.equal(value, state[prefix + key]) for prefix in best[1:] for key, value in first.items())
    if len(best) > 1 and not same:
        raise CheckpointError(
            f"the file holds {len(best)} networks of this architecture, under {', '.join(best)}",
            where=str(file),
            remedy="save the state dict of the one that is meant",
        )
    return best[0]


def _classifier_names(encoder: nn.Module) -> tuple[str, ...]:
    config = getattr(encoder, "pretrained_cfg", None)
    named = config.get("classifier") if isinstance(config, dict) else None
    own: Iterable[str] = (named,) if isinstance(named, str) else named or ()
    return (*own, *_CLASSIFIERS)


def _derived(key: str) -> bool:
    return key.rpartition(".")[2] in _DERIVED


def _is_beside(key: str) -> bool:
    first = key.split(".")[0].lower()
    return any(
        first == word or first.startswith(f"{word}_") or first.endswith((f"_{word}", f"{word}s")) for word in _BESIDE
    )


def _listed(keys: list[str], what: str) -> str:
    if not keys:
        return ""
    some = ", ".join(repr(key) for key in keys[:5])
    return f"{len(keys)} {what}, for example {some}" if len(keys) > 5 else f"{len(keys)} {what} ({some})"


def hash_weights(module: nn.Module, about: str = "") -> str:
    """A hash of the names and bits of a module's parameters and buffers, 32 hexadecimal digits.

    Args:
        module: On any device.
        about: Words that are hashed before them.

    Example:
        >>> one, other = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> hash_weights(one) == hash_weights(other)
        False
        >>> _ = other.load_state_dict(one.state_dict())
        >>> hash_weights(one) == hash_weights(other), hash_weights(one, "at 32 pixels") == hash_weights(one)
        (True, False)
    """
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
