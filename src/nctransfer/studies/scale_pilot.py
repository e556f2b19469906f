"""The scale ``pilot``: the first mini scale, kept because its cells are committed; ``mini`` follows from what it left open.

Its source is 1,000 images of 10 classes, Table 2 tunes on 480 images by the practical protocol, and most studies have one seed.
"""

from __future__ import annotations

from .scale import Backbone, Scale, Spec

__all__ = ["PILOT"]

_CIFAR100_SOME: Spec = {"name": "cifar100", "classes": [0, 10], "per_class": 100, "test_per_class": 100}
_CIFAR100_OTHERS: Spec = {"name": "cifar100", "classes": [20, 40], "per_class": 200, "test_per_class": 100}
_CIFAR10_MINI: Spec = {"name": "cifar10", "per_class": 500, "test_per_class": 500}
_CIFAR10_SMALL: Spec = {"name": "cifar10", "per_class": 100, "test_per_class": 500}
_MNIST_MINI: Spec = {"name": "mnist", "per_class": 300, "test_per_class": 300}
_RESNET20: Spec = {"arch": "cifar_resnet20", "image_size": 32}
# Weights this many and images this few are learnt by heart only without augmentation.
_MLP_MINI: Spec = {"arch": "mlp", "arch_arguments": {"depth": 12, "hidden": 512}, "image_size": 32, "augment": 1}

PILOT = Scale(
    name="pilot",
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
    partial=("cifar10", "fashion_mnist"),
)
