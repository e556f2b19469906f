"""The scale ``paper``: the paper's networks, data sets and epochs, for a GPU."""

from __future__ import annotations

from .scale import Backbone, Scale, Spec

__all__ = ["PAPER"]

_CIFAR10: Spec = {"name": "cifar10"}
_CIFAR100: Spec = {"name": "cifar100"}
# As the benchmarks do: training and validation images together, of which a fifth is held out to choose on.
_AIRCRAFT: Spec = {"name": "fgvc_aircraft", "trainval": True}
_DTD: Spec = {"name": "dtd", "trainval": True}
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
        "Aircraft": _AIRCRAFT,
        "DTD": _DTD,
        "Pets": {"name": "oxford_pets"},
    },
    network=_RESNET18,
    deep=_RESNET50,
    training={"epochs": 200, "batch_size": 128, "augment": 3, "measure_every": 20},
    # The factors of CIFAR-100; at the usual rate the square loss with a head learns nothing.
    by_loss={"mse": {"kappa": 1, "m": 15}, "mse with head": {"lr": 0.02}},
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
            protocol="paper",
            epochs=50,
        ),
        Backbone(
            "resnet50.tv_in1k",
            "ResNet50",
            32,
            _RESNET_DATA,
            ("layer1.0", "layer2.0", "layer3.0", "layer4.0"),
            "ResNet50",
            protocol="paper",
            epochs=50,
        ),
        Backbone(
            "vit_base_patch32_384.augreg_in21k_ft_in1k",
            "ViT-B/32",
            384,
            {"Aircraft": _AIRCRAFT, "DTD": _DTD, "PET": {"name": "oxford_pets"}},
            ("blocks.0", "blocks.3", "blocks.6", "blocks.9"),
            "ViT-B",
            protocol="paper",
            epochs=30,
        ),
    ),
    images_per_second=12_000,
    # Not measured: from the networks' multiplications, at half of what an H100 does in bfloat16 on maps this small.
    rates={
        "cifar_resnet18 32": 12_000,
        "cifar_resnet50 32": 4_500,
        "mlp 32": 60_000,
        "resnet18.tv_in1k 32": 20_000,
        "resnet50.tv_in1k 32": 9_000,
        "vit_base_patch32_384.augreg_in21k_ft_in1k 384": 900,
    },
    basis="one H100, rates estimated and not measured",
    further_sources={"MiniImageNet": {"name": "mini_imagenet"}},
    skip=Backbone(
        "resnet18.tv_in1k",
        "ResNet18",
        32,
        {"CIFAR-10": _CIFAR10},
        ("layer2.0",),
        "ResNet18",
        protocol="paper",
        epochs=50,
    ),
    skip_size=64,
)
