"""Every family of the installed timm, one small network each: where its blocks keep the channels.

``timm_families.json`` holds, for timm 1.0.31, the network of each family with the fewest parameters, the smallest of a few
image sizes that it takes, how many of its blocks hand on which layout, and how many are left out because they return
several maps that could be meant. It was written by ``python tests/models/test_timm_families.py`` and read through by hand.
"""

import json
import sys
from pathlib import Path

import pytest

TABLE = Path(__file__).with_name("timm_families.json")
SIZES = (32, 64, 96, 128, 192, 224, 240, 256, 384)
FAMILIES = json.loads(TABLE.read_text()) if TABLE.is_file() else {}


def letters(network, name):
    layout = network.layouts[name]
    positions = iter("HW" if len(network.layer_shapes[name]) == 3 else "T")
    axes = range(len(network.layer_shapes[name]) + 1)
    return "".join(
        "B" if axis == layout.batch else "C" if axis == layout.channels else next(positions) for axis in axes
    )


def found(name, size):
    from nctransfer.models import load_network

    network = load_network(name, weights="random", image_size=size)
    layouts = [letters(network, layer) for layer in network.layers]
    left_out = int(network.notes[0].split()[0]) if network.notes else 0
    return network, {"layouts": {kind: layouts.count(kind) for kind in sorted(set(layouts))}, "left_out": left_out}


@pytest.mark.slow
def test_every_family_is_in_the_table():
    import timm

    if timm.__version__ == "1.0.31":
        assert set(FAMILIES) == set(timm.list_modules())


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_channels_are_where_the_table_says(family):
    row = FAMILIES[family]
    network, seen = found(row["model"], row["size"])
    assert seen == {"layouts": row["layouts"], "left_out": row["left_out"]}
    stages = {entry["module"]: entry["num_chs"] for entry in getattr(network.encoder, "feature_info", None) or []}
    for name in network.layers:
        block = network.encoder.get_submodule(name)
        # A second road: timm's own word for a stage, and the widths that occur among the block's norms and biases.
        if name in stages:
            assert network.channels(name) == stages[name], name
        widths = {max(value.shape) for value in block.parameters() if value.numel() == max(value.shape)}
        matching = {size for size in network.layer_shapes[name] if size in widths and size > 1}
        assert not matching or network.channels(name) in matching, name


def write():
    import timm
    import torch

    from nctransfer.errors import NCTransferError

    rows = {}
    for family in timm.list_modules():
        counts = {}
        for name in timm.list_models(module=family):
            with torch.device("meta"):
                counts[name] = sum(value.numel() for value in timm.create_model(name, num_classes=0).parameters())
        name = min(counts, key=counts.__getitem__)
        for size in SIZES:
            try:
                rows[family] = {"model": name, "size": size, **found(name, size)[1]}
                break
            except NCTransferError:
                continue
        print(family, rows.get(family), file=sys.stderr, flush=True)
    TABLE.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    write()
