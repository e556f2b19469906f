"""Settings of a run: one frozen model for `auto`, `probe` and `tune`, from options, YAML and Python alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ..settings import DataSettings, build, option, seconds_of
from .methods import ENSEMBLE, TuningMethod, default_methods, find_method, method_names
from .presets import PRESETS, Preset, fill

__all__ = ["FREE_SETTINGS", "METHOD_NAMES", "TransferSettings", "settings_from"]

METHOD_NAMES: tuple[str, ...] = method_names()

FREE_SETTINGS = ("num_workers", "device", "trackers")
"""Settings that do not touch the result, so that a run may be resumed with other values of them."""

NETWORK, DATA, TUNING, MACHINE = (option(panel) for panel in ("Network", "Data", "Tuning", "Machine"))


class TransferSettings(DataSettings):
    """Settings of `auto`, `probe` and `tune`; rates, layers and stopping points left out are chosen on validation."""

    verb: ClassVar[str] = "auto"

    data: str = Field(
        description="A folder, a table of images (CSV, TSV, Parquet), a name such as digits or cifar10, or hf:NAME.",
        json_schema_extra=option("Network", hidden=True),
    )
    model: str = Field(
        "tf_efficientnet_lite0",
        description="A timm name, a built-in name or a run folder; repeat it to compare networks.",
        json_schema_extra=option("Network", hidden=True),
    )
    weights: str | None = Field(
        None,
        description="File with your own weights (with --arch), or 'random'; the pretrained weights if left out.",
        json_schema_extra=NETWORK,
    )
    arch: str | None = Field(None, description="Architecture of the weights file.", json_schema_extra=NETWORK)
    layers: tuple[str, ...] | None = Field(
        None,
        description="Layers to measure and to consider for tuning, separated by commas, or 'all'; all if left out.",
        json_schema_extra=NETWORK,
    )
    limit: int | None = Field(
        None, ge=2, description="Use at most this many training and validation images.", json_schema_extra=DATA
    )
    preset: Literal["fast", "balanced", "best"] = Field(
        "balanced",
        description="fast stops after the probes, best trains longer and at more rates; explicit options win.",
        json_schema_extra=TUNING,
    )
    budget: float | None = Field(
        None,
        gt=0,
        description="Time for the run, such as 30s, 5m or 1h; what does not fit is left out and named. No limit if left out.",
        json_schema_extra=option("Tuning", text=True),
    )
    methods: tuple[str, ...] = Field(
        default_methods(),
        description="Tuning methods to compare, separated by commas; lora and loha are tuned where they are named.",
        json_schema_extra=option("Tuning", allowed=method_names),
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="Passes of a tuned network over the training images; chosen by their number if left out.",
        json_schema_extra=TUNING,
    )
    refit: bool = Field(
        True,
        description="Train the winner again with the validation images among the training images, up to 2,000 in all.",
        json_schema_extra=TUNING,
    )
    keep_validation: bool = Field(
        False,
        description="Judge by a validation split that was given alone, and never train on it, however few images it has.",
        json_schema_extra=TUNING,
    )
    more_folds: bool = Field(
        True,
        description="Train tuned networks on further folds where held-out images cannot tell the best methods apart.",
        json_schema_extra=TUNING,
    )
    ensemble: bool = Field(
        False,
        description="Hand over an ensemble of the finished methods where it is better on held-out images.",
        json_schema_extra=TUNING,
    )
    augment: Literal["auto", "1", "2", "3", "4", "5"] = Field(
        "auto",
        description="Augmentation while tuning: 1 none, 2 + crop, 3 + flip, 4 + colour jitter, 5 + grey, or auto.",
        json_schema_extra=TUNING,
    )
    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"] = Field(
        "accuracy",
        description="Held-out number that decides between blocks, weights and methods; log-loss is that of calibrated "
        "probabilities.",
        json_schema_extra=TUNING,
    )
    balance: Literal["auto", "none", "weights", "sampler", "logit-adjust"] = Field(
        "auto",
        description="How classes of unequal size are made up for; auto acts where --metric counts classes alike and "
        "the largest has over three times the images of the smallest.",
        json_schema_extra=TUNING,
    )
    lr: float | None = Field(
        None, gt=0, description="Learning rate; chosen on validation if left out.", json_schema_extra=TUNING
    )
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.", json_schema_extra=TUNING)
    adapter_rank: int = Field(
        8, ge=1, description="Rank of the updates that lora and loha learn.", json_schema_extra=TUNING
    )
    batch_size: int | None = Field(
        None,
        ge=2,
        description="Images in one step, over all processes together; chosen by their number if left out.",
        json_schema_extra=MACHINE,
    )
    accumulation: int = Field(
        1,
        ge=1,
        description="Parts into which a batch is split to save memory.",
        json_schema_extra=MACHINE,
    )
    compile: bool = Field(
        False, description="Run the network's blocks through torch.compile while tuning.", json_schema_extra=MACHINE
    )
    trackers: tuple[str, ...] = Field(
        (),
        description="Send the epochs of tuning to tensorboard, wandb or mlflow as well; repeatable.",
        json_schema_extra=option("Machine", flag="tracker", repeat=True),
    )
    cache: bool = Field(
        True,
        description="Compute the frozen part once where no augmentation is asked for.",
        json_schema_extra=MACHINE,
    )
    step_cost: bool = Field(
        True,
        description="Measure time and memory of a training step of each method, in a fresh process.",
        json_schema_extra=MACHINE,
    )
    seed: int = Field(
        0, ge=0, description="Seed of splits, order, augmentation and initialisation.", json_schema_extra=MACHINE
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Precision of the forward and backward pass.", json_schema_extra=MACHINE
    )

    def fits(self, method: TuningMethod) -> bool:
        """Whether a method's classifier is fitted in closed form.

        The linear probe is trained by steps only where it is the one method and a rate, epochs or an augmentation are asked
        for: beside others these are meant for the networks that are tuned.

        Example:
            >>> linear = find_method("linear")
            >>> settings_from({"data": "digits", "epochs": 3}).fits(linear)
            True
            >>> settings_from({"data": "digits", "epochs": 3, "methods": ("linear",)}).fits(linear)
            False
        """
        asked = self.lr is not None or self.epochs is not None or self.augment != "auto"
        trained = asked and self.methods == (method.name,)
        return method.fitted or (not method.changes_features and not trained)

    @property
    def thoroughness(self) -> Preset:
        """The preset, beyond the settings that it fills in."""
        return PRESETS[self.preset]

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: Any) -> Any:
        return fill(given) if isinstance(given, dict) else given

    @field_validator("layers", mode="after")
    @classmethod
    def _all(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value == ("all",) else value

    @field_validator("methods", mode="after")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if find_method(name) is ENSEMBLE:
                raise ValueError("an ensemble is no method; ask for it with --ensemble")
        return value

    @field_validator("budget", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return seconds_of(value) if isinstance(value, str) else value

    @field_validator("augment", mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return str(value)


def settings_from(*sources: Mapping[str, Any], where: str = "settings") -> TransferSettings:
    """Settings from several mappings, later ones winning; values of None count as not given.

    Raises:
        UsageError: an unknown key or an invalid value; the near names or the allowed range are given.

    Example:
        >>> settings_from({"data": "digits", "epochs": 3}, {"epochs": "5"}).epochs
        5
    """
    return build(TransferSettings, *sources, where=where)
