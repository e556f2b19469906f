"""The scale ``mini``: real images at 16 and 32 pixels, five seeds that share no training image, on two processor cores.

Run with::

    NCTRANSFER_DATA=... nctransfer paper run all --scale mini --jobs 2

About 14 hours of two processes with one thread each, by measured rates; ``--dry-run`` prints them by study. If it must be
shorter, leave out in this order: Figure 6, Figure 9's larger sets, the pictures of clothing.
"""

from __future__ import annotations

from .scale import Backbone, Scale, Spec, Zoo

__all__ = ["MINI"]

# Seeds train on other classes, five sets of 20; what is a source for one seed is "other classes" for another.
_SOURCE: Spec = {"name": "cifar100", "class_sets": [20, 5, 0], "per_class": 250, "test_per_class": 100}
_OTHERS: Spec = {"name": "cifar100", "class_sets": [20, 5, 1], "per_class": 100, "test_per_class": 100}
# 1,900 + 600 images of the 12,500 at hand for each of five seeds.
_CIFAR10: Spec = {"name": "cifar10", "per_class": 250, "validation": 0.24, "parts": 5, "test_per_class": 1000}
_CIFAR100: Spec = {"name": "cifar100", "classes": [0, 20], "per_class": 100, "parts": 5, "test_per_class": 100}
_MNIST: Spec = {"name": "mnist", "per_class": 250, "validation": 0.24, "parts": 5, "test_per_class": 800}
_FASHION: Spec = {"name": "fashion_mnist", "per_class": 250, "validation": 0.24, "parts": 5, "test_per_class": 1000}
_CLOTHING: Spec = {"name": "clothing", "per_class": 80}
_SKIP: Spec = {"name": "cifar10", "per_class": 160, "validation": 0.375, "parts": 5, "test_per_class": 1000}

# Eight sets for the studies of released networks; the two parts of CIFAR-100 have no class in common.
_ZOO: dict[str, Spec] = {
    "CIFAR-10": {"name": "cifar10", "per_class": 100, "test_per_class": 100},
    "CIFAR-100, classes 0 to 19": {"name": "cifar100", "classes": [0, 20], "per_class": 50, "test_per_class": 50},
    "CIFAR-100, classes 20 to 39": {"name": "cifar100", "classes": [20, 40], "per_class": 50, "test_per_class": 50},
    "MNIST": {"name": "mnist", "per_class": 100, "test_per_class": 100},
    "FashionMNIST": {"name": "fashion_mnist", "per_class": 100, "test_per_class": 100},
    "clothing": {"name": "clothing", "per_class": 100},
    "trash": {"name": "trash", "per_class": 150},
    "digits": {"name": "digits", "per_class": 100},
}

_RESNET20: Spec = {"arch": "cifar_resnet20", "image_size": 16}
# Weights this many and images this few are learnt by heart only without augmentation.
_MLP: Spec = {"arch": "mlp", "arch_arguments": {"depth": 12, "hidden": 512}, "image_size": 16, "augment": 1}
_UNITS = ("blocks.0", "blocks.2", "blocks.4", "blocks.6")

MINI = Scale(
    name="mini",
    about="CIFAR-100 (20 classes of 250 images, other classes for each seed) at 16 pixels as the source, ResNet-20; "
    "EfficientNet-Lite0 tuned at 32 pixels on CIFAR-10 and 20 classes of CIFAR-100, seeds on parts with no image in common",
    source=_SOURCE,
    downstream=_CIFAR10,
    downstreams={
        "CIFAR-10": _CIFAR10,
        "MNIST": _MNIST,
        "FashionMNIST": _FASHION,
        "CIFAR-100, other classes": _OTHERS,
    },
    network=_RESNET20,
    deep=_RESNET20,
    # One duration and one batch for every loss, so that a difference between losses is none of training time.
    training={"epochs": 60, "batch_size": 64, "augment": 2, "measure_every": 10},
    by_loss={
        # The factors of CIFAR-100, of which the source is a part.
        "mse": {"kappa": 1, "m": 15},
        "mse with head": {"lr": 0.02},
        "supcon": {"lr": 0.05},
    },
    heads=(0, 1, 2),
    attacks=(1, 2, 3, 5, 8),
    attack={"attack_steps": 2, "robust_steps": 20, "robust_restarts": 1, "robust_limit": 500},
    augmentations=(1, 2, 3, 4, 5),
    mlp=_MLP,
    vit={"arch": "vit", "arch_arguments": {"width": 0.5}, "image_size": 16, "lr": 0.02, "augment": 1},
    vit_size=16,
    layered={
        "MLP on MNIST": (_MNIST, _MLP),
        "MLP on FashionMNIST": (_FASHION, _MLP),
        "MLP on CIFAR-10": (_CIFAR10, _MLP),
    },
    tuned=_CIFAR10,
    tuned_units=("layer1.0", "layer2.0", "layer3.0"),
    backbones=(
        Backbone(
            "tf_efficientnet_lite0",
            "EfficientNet-Lite0",
            32,
            {"CIFAR-10": _CIFAR10, "CIFAR-100, 20 classes": _CIFAR100},
            _UNITS,
            "ResNet18",
            protocol="paper",
            epochs=12,
        ),
        Backbone(
            "tf_efficientnet_lite0",
            "EfficientNet-Lite0, practical protocol",
            32,
            {"CIFAR-10": _CIFAR10, "CIFAR-100, 20 classes": _CIFAR100},
            _UNITS,
            "ResNet18",
            protocol="practical",
            epochs=12,
            seeds=3,
        ),
        Backbone(
            "tf_efficientnet_lite0",
            "EfficientNet-Lite0 on pictures, practical protocol",
            96,
            {"clothing": _CLOTHING},
            _UNITS,
            protocol="practical",
            epochs=12,
            seeds=3,
        ),
    ),
    images_per_second=800,
    # One thread of an AMD EPYC core, 2026-11-25.
    rates={
        "cifar_resnet20 16": 860,
        "cifar_resnet20 32": 200,
        "mlp 16": 1_500,
        "vit 16": 500,
        "tf_efficientnet_lite0 32": 370,
        "tf_efficientnet_lite0 64": 110,
        "tf_efficientnet_lite0 96": 50,
    },
    basis="one process with one thread of an AMD EPYC core",
    further_sources={},
    skip=Backbone(
        "tf_efficientnet_lite0",
        "EfficientNet-Lite0",
        32,
        {"CIFAR-10": _SKIP},
        ("blocks.2",),
        "ResNet18",
        protocol="paper",
        epochs=12,
    ),
    skip_size=64,
    zoo=Zoo(
        networks={
            "EfficientNet-Lite0, ImageNet": "tf_efficientnet_lite0",
            "EfficientNet-Lite1, ImageNet": "tf_efficientnet_lite1",
            "MobileNetV1 0.5, ImageNet": "file:mobilenetv1_050_in1k",
            "MobileNetV2, ImageNet": "file:mobilenetv2_100_in1k",
            "MobileNetV2, birds": "file:mobilenetv2_100_inat_bird",
            "MobileNetV2, insects": "file:mobilenetv2_100_inat_insect",
        },
        sets=_ZOO,
        image_size=64,
        broad="MobileNetV2, ImageNet",
        narrow=("MobileNetV2, birds", "MobileNetV2, insects"),
    ),
    check_size=32,
    # Khosla et al. (2020) at CIFAR's size: SimAugment's transforms, rate 0.5 for a batch of 1,024, here in proportion.
    khosla={"loss": "supcon", "head": "mlp", "head_layers": 2, "augment": 5, "batch_size": 256, "lr": 0.125},
    seeds={"": 5, "figure2": 3, "figure3": 3, "figure6": 3, "figure10": 3, "layers": 1, "sources": 1},
    partial=("cifar10", "fashion_mnist"),
)
