"""Settings of a pre-training run, as one frozen and checked object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from ..data import AugmentSettings
from ..errors import UsageError
from ..settings import TableSettings, build, option

__all__ = ["FREE_SETTINGS", "PretrainSettings", "make_settings"]

FREE_SETTINGS = ("num_workers", "memory_limit", "device", "trackers", "keep_checkpoints", "save_every")
"""Settings that do not touch the result, so that a run may be resumed with other values of them."""

NETWORK, LOSS, DATA, ATTACK, PACE, WATCH, MACHINE = (
    option(panel)
    for panel in ("Network", "Loss and head", "Data", "Adversarial training", "Schedule", "Measurement", "Machine")
)


class PretrainSettings(TableSettings):
    """Settings of :func:`nctransfer.pretrain`. The defaults are the paper's where it states them.

    The paper states 200 epochs and SGDR from 0.1 to 0.0001; batch size, momentum and weight decay are the customary
    ones of CIFAR training (128, 0.9, 5e-4).
    """

    verb: ClassVar[str] = "pretrain"

    arch: str = Field(
        "cifar_resnet18",
        description="Encoder: cifar_resnet18, 50, 20, 32 or 56, mlp, vit, or a timm name.",
        json_schema_extra=NETWORK,
    )
    arch_arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the encoder's builder.",
        json_schema_extra=option(
            "Network",
            parts={
                "width": (float, "Factor on all channels (cifar_resnet*, vit)."),
                "depth": (int, "Number of layers (mlp: 12, vit: 6)."),
                "hidden": (int, "Width of every layer of the mlp (3072)."),
            },
        ),
    )
    image_size: int = Field(32, ge=4, description="Side of the square input in pixels.", json_schema_extra=NETWORK)
    loss: Literal["ce", "mse", "supcon"] = Field(
        "ce", description="Cross-entropy, rescaled squared error, or SupCon.", json_schema_extra=LOSS
    )
    temperature: float = Field(0.1, gt=0, description="Temperature of the SupCon loss.", json_schema_extra=LOSS)
    kappa: float | None = Field(
        None,
        gt=0,
        description="Weight of the true class in the mse loss; set by the number of classes if left out.",
        json_schema_extra=LOSS,
    )
    m: float | None = Field(
        None,
        gt=0,
        description="Target of the true class in the mse loss; set by the number of classes if left out.",
        json_schema_extra=LOSS,
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Label smoothing of the cross-entropy.", json_schema_extra=LOSS
    )
    head: Literal["none", "linear", "mlp"] = Field(
        "none", description="Projection head, dropped after training.", json_schema_extra=LOSS
    )
    head_layers: int = Field(2, ge=1, description="Linear layers of an mlp head.", json_schema_extra=LOSS)
    head_dim: int = Field(128, ge=1, description="Width of the head's output.", json_schema_extra=LOSS)
    augment: int = Field(
        3,
        ge=1,
        le=5,
        description="Augmentation: 1 none, 2 + crop, 3 + flip, 4 + colour jitter, 5 + grey.",
        json_schema_extra=DATA,
    )
    augment_settings: AugmentSettings = Field(
        AugmentSettings(),
        description="Strengths of the augmentation.",
        json_schema_extra=option("Data", parts={"flip": None, "padding": None}),
    )
    limit: int | None = Field(None, ge=2, description="Use at most this many training images.", json_schema_extra=DATA)
    on_bad_image: Literal["stop", "skip"] = Field(
        "stop", description="Whether unreadable images stop the run or are skipped.", json_schema_extra=DATA
    )
    adversarial: float | None = Field(
        None,
        gt=0,
        le=255,
        description="Train on PGD examples of this radius ε, in pixel values of 255.",
        json_schema_extra=ATTACK,
    )
    attack_steps: int = Field(7, ge=1, description="Steps of the attack in training.", json_schema_extra=ATTACK)
    attack_step_size: float | None = Field(
        None,
        gt=0,
        description="Step size of the attack, in pixel values of 255; 2.5·ε/steps if left out.",
        json_schema_extra=ATTACK,
    )
    robust_steps: int = Field(
        20, ge=1, description="Steps of the attack that measures robust accuracy.", json_schema_extra=ATTACK
    )
    robust_restarts: int = Field(
        2, ge=1, description="Random restarts of the attack that measures robust accuracy.", json_schema_extra=ATTACK
    )
    robust_limit: int = Field(
        1000, ge=1, description="Test images on which robust accuracy is measured.", json_schema_extra=ATTACK
    )
    epochs: int = Field(
        200,
        ge=0,
        description="Passes over the training images; 0 measures and saves the untrained network.",
        json_schema_extra=PACE,
    )
    batch_size: int = Field(
        128, ge=2, description="Images in one step, over all processes together.", json_schema_extra=PACE
    )
    schedule: Literal["sgdr", "constant"] = Field(
        "sgdr", description="Learning-rate schedule; sgdr is a cosine with restarts.", json_schema_extra=PACE
    )
    lr: float = Field(0.1, gt=0, description="Learning rate at the start of a period.", json_schema_extra=PACE)
    min_lr: float = Field(1e-4, ge=0, description="Learning rate at the end of a period.", json_schema_extra=PACE)
    restart_every: float | None = Field(
        None, gt=0, description="Epochs of SGDR's first period; no restart if left out.", json_schema_extra=PACE
    )
    restart_factor: float = Field(
        1.0, ge=1, description="Factor by which each period is longer than the last.", json_schema_extra=PACE
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD.", json_schema_extra=PACE)
    nesterov: bool = Field(False, description="Use Nesterov's momentum.", json_schema_extra=PACE)
    weight_decay: float = Field(5e-4, ge=0, description="Weight decay of SGD.", json_schema_extra=PACE)
    measure_every: int = Field(
        5,
        ge=1,
        description="Epochs between measurements of collapse; the first and the last are always measured.",
        json_schema_extra=WATCH,
    )
    measure_layers: bool = Field(
        False, description="Measure every layer, not the encoder and the head alone.", json_schema_extra=WATCH
    )
    trackers: tuple[str, ...] = Field(
        (),
        description="Send metrics to tensorboard, wandb or mlflow as well; repeatable.",
        json_schema_extra=option("Measurement", flag="tracker", repeat=True),
    )
    seed: int = Field(
        0, ge=0, lt=2**63, description="Seed of weights, order and augmentation.", json_schema_extra=MACHINE
    )
    device: str = Field("auto", description="Device: auto, cpu, cuda or cuda:N.", json_schema_extra=MACHINE)
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Precision of the forward and backward pass.", json_schema_extra=MACHINE
    )
    compile: bool = Field(False, description="Run the network through torch.compile.", json_schema_extra=MACHINE)
    accumulation: int = Field(
        1,
        ge=1,
        description="Parts into which a batch is split to save memory; BatchNorm and SupCon see one part at a time.",
        json_schema_extra=MACHINE,
    )
    sync_batchnorm: bool = Field(
        False, description="Take the statistics of BatchNorm over all GPUs.", json_schema_extra=MACHINE
    )
    num_workers: int = Field(
        0, ge=0, description="Processes that decode images that do not fit into memory.", json_schema_extra=MACHINE
    )
    memory_limit: int = Field(
        2 << 30,
        ge=0,
        description="Pixels that may stay in memory: in GiB on the command line, in bytes from Python.",
        json_schema_extra=option("Machine", gib=True),
    )
    save_every: int | None = Field(
        None, ge=1, description="Steps between checkpoints; about 30 s if left out.", json_schema_extra=MACHINE
    )
    keep_checkpoints: int = Field(2, ge=2, description="Checkpoints that stay on disk.", json_schema_extra=MACHINE)

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


def make_settings(*sources: Mapping[str, Any], where: str = "pretrain", **options: Any) -> PretrainSettings:
    """Settings from mappings and keyword arguments, later ones winning, with errors that name the option.

    Raises:
        UsageError: an option is unknown or its value is invalid.

    Example:
        >>> make_settings(arch="mlp", epochs=3).epochs
        3
    """
    return build(PretrainSettings, *sources, options, where=where)
