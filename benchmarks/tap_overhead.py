"""Cost of taking every layer's pooled features, against one plain forward pass over the same batches.

    python benchmarks/tap_overhead.py

Target: at most 1.05 for tf_efficientnet_lite0 and resnet18.
"""

from __future__ import annotations

import torch
from timing import paired, ratio, save

from nctransfer.models import load_network


def main() -> None:
    results = {}
    for name, size in (
        ("tf_efficientnet_lite0", 64),
        ("tf_efficientnet_lite0", 96),
        ("resnet18", 64),
        ("resnet18", 96),
    ):
        network = load_network(name, weights="random", image_size=size).eval()
        images = torch.randint(0, 256, (128, 3, size, size), dtype=torch.uint8)

        def plain(network=network, images=images):
            with torch.inference_mode():
                return network(images)

        def tapped(network=network, images=images):
            with torch.inference_mode(), network.taps() as taps:
                network(images)
            return taps.features

        seconds = paired({"plain": plain, "tapped": tapped}, rounds=25)
        value = ratio(seconds, "tapped", "plain")
        results[f"{name} at {size} px, {len(network.layers)} layers"] = value
        print(f"{name} at {size} px: all {len(network.layers)} layers cost {value:.3f} of a plain forward pass")
    print(save("tap_overhead", {"ratio": results, "target": 1.05}))


if __name__ == "__main__":
    main()
