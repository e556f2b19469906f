"""The scale ``smoke``: scikit-learn's embedded digits; it shows only that everything runs."""

from __future__ import annotations

from .scale import Backbone, Scale, Spec, Zoo

__all__ = ["SMOKE"]

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
    skip=Backbone(None, "ResNet-20", 8, {"digits 5 to 9": _DIGITS_HIGH}, ("layer2.0",), protocol="paper", epochs=3),
    zoo=Zoo(
        networks={"ResNet-20": "loss:ce", "ResNet-20, MSE": "loss:mse"},
        sets={"digits 5 to 9": _DIGITS_HIGH, "digits 0 to 4": _DIGITS_LOW},
        image_size=8,
        broad="ResNet-20",
        narrow=("ResNet-20, MSE",),
    ),
    seeds={"": 1},
)
