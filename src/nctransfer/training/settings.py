"""What a pre-training run is asked to do, as one frozen and checked object."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..data import AugmentSettings
from ..errors import UsageError, near_names

__all__ = ["FREE_SETTINGS", "PretrainSettings", "make_settings"]

FREE_SETTINGS = ("num_workers", "memory_limit", "device", "trackers", "keep_checkpoints", "save_every")
"""Settings that do not touch the result, so that a run may be resumed with other values of them."""


class PretrainSettings(BaseModel):
    """Settings of :func:`nctransfer.pretrain`. The defaults are the paper's where it states them.

    The paper states 200 epochs and SGDR from 0.1 to 0.0001; batch size, momentum and weight decay are the customary
    ones of CIFAR training (128, 0.9, 5e-4).

    Args:
        arch: A built-in encoder (``cifar_resnet18``, ``cifar_resnet20``, ``mlp``, ``vit``, ...) or a timm name.
        arch_arguments: The builder's arguments, such as ``width``, ``depth`` and ``hidden``.
        image_size: Side of the square input in pixels.
        loss: ``ce``, ``mse`` (rescaled squares) or ``supcon``.
        temperature: Of SupCon.
        kappa, m: Factors of the rescaled square loss; by number of classes when left out.
        label_smoothing: Of the cross-entropy.
        head, head_layers, head_dim: The projection head, dropped after training.
        augment: Level 1 to 5.
        augment_settings: Strengths of the augmentation.
        adversarial: Radius ε of adversarial training, in pixels of 255; None for none.
        attack_steps: Steps of the attack in training.
        attack_step_size: In pixels of 255; 2.5·ε/steps when left out.
        robust_steps, robust_restarts, robust_limit: The attack that measures robust accuracy, and its number of images.
        epochs: Passes over the training images; 0 measures and saves the untrained network.
        schedule: ``sgdr`` (cosine) or ``constant``.
        restart_every, restart_factor: Epochs of SGDR's first period, and the growth of the next; else one period.
        accumulation: Parts into which a batch is split to save memory. BatchNorm and SupCon then see a part at a time.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        compile: Whether the network runs through ``torch.compile``.
        sync_batchnorm: Whether BatchNorm takes its statistics over all GPUs.
        measure_every: Epochs between measurements of collapse (the first and last epoch are always measured).
        measure_layers: Whether every layer is measured, not the encoder and head alone.
        save_every: Steps between checkpoints; an epoch when left out.
        keep_checkpoints: How many checkpoints stay on disk.
        limit: Number of training images at most.
        on_bad_image: ``stop`` or ``skip``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        trackers: Of ``tensorboard``, ``wandb`` and ``mlflow``, those to which metrics go as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    arch: str = "cifar_resnet18"
    arch_arguments: dict[str, Any] = Field(default_factory=dict)
    image_size: int = Field(32, ge=4)
    loss: Literal["ce", "mse", "supcon"] = "ce"
    temperature: float = Field(0.1, gt=0)
    kappa: float | None = Field(None, gt=0)
    m: float | None = Field(None, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    head: Literal["none", "linear", "mlp"] = "none"
    head_layers: int = Field(2, ge=1)
    head_dim: int = Field(128, ge=1)
    augment: int = Field(3, ge=1, le=5)
    augment_settings: AugmentSettings = AugmentSettings()
    adversarial: float | None = Field(None, gt=0, le=255)
    attack_steps: int = Field(7, ge=1)
    attack_step_size: float | None = Field(None, gt=0)
    robust_steps: int = Field(20, ge=1)
    robust_restarts: int = Field(2, ge=1)
    robust_limit: int = Field(1000, ge=1)
    epochs: int = Field(200, ge=0)
    batch_size: int = Field(128, ge=2)
    accumulation: int = Field(1, ge=1)
    schedule: Literal["sgdr", "constant"] = "sgdr"
    lr: float = Field(0.1, gt=0)
    min_lr: float = Field(1e-4, ge=0)
    restart_every: float | None = Field(None, gt=0)
    restart_factor: float = Field(1.0, ge=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(5e-4, ge=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    sync_batchnorm: bool = False
    measure_every: int = Field(5, ge=1)
    measure_layers: bool = False
    save_every: int | None = Field(None, ge=1)
    keep_checkpoints: int = Field(2, ge=2)
    limit: int | None = Field(None, ge=2)
    on_bad_image: Literal["stop", "skip"] = "stop"
    num_workers: int = Field(0, ge=0)
    memory_limit: int = Field(2 << 30, ge=0)
    seed: int = Field(0, ge=0, lt=2**63)
    device: str = "auto"
    trackers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> PretrainSettings:
        if self.adversarial is not None and self.loss == "supcon":
            raise UsageError(
                "adversarial training is defined on class scores, and SupCon trains without any",
                where="--adversarial with --loss supcon",
                remedy="use --loss ce or mse, or leave --adversarial out",
            )
        if self.min_lr > self.lr:
            raise UsageError(f"min_lr {self.min_lr} lies above lr {self.lr}", where="--min-lr")
        if self.nesterov and self.momentum == 0:
            raise UsageError("Nesterov's step needs momentum above 0", where="--nesterov")
        return self

    def idle(self) -> dict[str, str]:
        """Settings that differ from their defaults and that nothing reads, each with the option that would.

        Example:
            >>> make_settings(loss="ce", temperature=0.5).idle()
            {'temperature': '--loss supcon'}
        """
        readers = {
            "temperature": (self.loss == "supcon", "--loss supcon"),
            "kappa": (self.loss == "mse", "--loss mse"),
            "m": (self.loss == "mse", "--loss mse"),
            "label_smoothing": (self.loss == "ce", "--loss ce"),
            "head_layers": (self.head == "mlp", "--head mlp"),
            "head_dim": (self.head != "none", "--head linear or mlp"),
            "attack_steps": (self.adversarial is not None, "--adversarial EPS"),
            "attack_step_size": (self.adversarial is not None, "--adversarial EPS"),
        }
        fields = type(self).model_fields
        return {
            name: reader
            for name, (read, reader) in readers.items()
            if not read and getattr(self, name) != fields[name].default
        }

    def lasting(self) -> dict[str, Any]:
        """The settings that determine the result, as plain values."""
        return self.model_dump(mode="json", exclude=set(FREE_SETTINGS))


def make_settings(**options: Any) -> PretrainSettings:
    """Settings from keyword arguments, with errors of our own that name the option and what it takes.

    Raises:
        UsageError: an option is unknown or its value cannot be meant.

    Example:
        >>> make_settings(arch="mlp", epochs=3).epochs
        3
    """
    for name in options:
        if name not in PretrainSettings.model_fields:
            raise UsageError(
                f"unknown setting {name!r}",
                where="pretrain",
                remedy=near_names(name, tuple(PretrainSettings.model_fields)),
            )
    try:
        return PretrainSettings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        said = first.get("ctx", {}).get("error")
        if isinstance(said, UsageError):
            raise said from None
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}",
            where=f"--{name.replace('_', '-')}",
            remedy="see nctransfer pretrain --help",
        ) from None
