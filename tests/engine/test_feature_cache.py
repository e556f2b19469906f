"""Features on disk: found by what made them, never mistaken, bounded, and safe under two processes."""

import multiprocessing
import os
import time

import numpy as np
import pytest
import torch

from nctransfer import probe, tune
from nctransfer.data import bundle_from_arrays
from nctransfer.engine import Runtime, open_table
from nctransfer.models import load_network, wrap_module


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NCTRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def network(seed=0, size=16):
    torch.manual_seed(seed)
    return load_network("cifar_resnet20", weights="random", image_size=size).eval()


def images(number=12, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (number, 3, 16, 16), dtype=np.uint8))


def taken(net, pixels, calls, names=("layer1.0", "penultimate"), **options):
    """What a pass gives, and how many images went through the network."""

    def forward(batch):
        calls.append(len(batch))
        with torch.inference_mode(), net.taps(names[:-1]) as taps:
            output = net(batch)
        return {**taps.features, names[-1]: output}

    table = open_table(net, Runtime("cpu"), **options)
    with table:
        found = table.remembering(forward, names)(pixels)
    return found, table


def test_what_was_computed_is_found_by_any_subset_in_any_order():
    net, calls = network(), []
    cold, table = taken(net, images(), calls)
    assert (calls, table.temperature) == ([12], "cold")
    rows = torch.tensor([7, 2, 11])
    warm, table = taken(network(), images()[rows], calls)
    assert table.temperature == "warm"
    assert calls == [12, 1]  # one row is computed again and compared
    for name in cold:
        assert torch.equal(warm[name], cold[name][rows])
    mixed, table = taken(network(), torch.cat([images(2, seed=9), images()]), calls)
    assert (table.hits, table.misses, table.temperature) == (12, 2, "partly warm")
    assert torch.equal(mixed["penultimate"][2:], cold["penultimate"])
    alone, _ = taken(network(), images(2, seed=9), [], names=("penultimate",))
    assert torch.equal(alone["penultimate"], mixed["penultimate"][:2])


def test_another_layer_is_computed():
    calls = []
    taken(network(), images(), calls)
    taken(network(), images(), calls, names=("layer2.0", "penultimate"))
    assert calls == [12, 12]


@pytest.mark.parametrize("change", ["weights", "a pixel", "size", "mean", "padding"])
def test_a_change_is_never_mistaken(change):
    net, pixels = network(), images()
    taken(net, pixels, [])
    if change == "weights":
        net.encoder.bn1.bias.data[0] += 1e-3
    elif change == "a pixel":
        pixels[:, 0, 0, 0] ^= 1
    elif change == "size":
        net = network(size=32)
        pixels = torch.nn.functional.interpolate(pixels, size=32)
    elif change == "mean":
        net.mean_values = [0.4, 0.5, 0.5]
    else:
        net.encoder.conv1.padding = (0, 0)
    _, table = taken(net, pixels, [])
    assert table.temperature == "cold"


def test_a_table_that_disagrees_with_the_network_goes():
    net = network()
    taken(net, images(), [])
    calls = []
    table = open_table(net, Runtime("cpu"))
    found = table.remembering(
        lambda batch: calls.append(len(batch)) or {"penultimate": torch.ones(len(batch), 64)}, ["penultimate"]
    )(images())
    assert calls == [1, 12]
    assert torch.equal(found["penultimate"], torch.ones(12, 64))


def test_damaged_files_count_as_absent(folder):
    taken(network(), images(), [])
    for file in folder.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-5])
    calls = []
    _, table = taken(network(), images(), calls)
    assert (calls, table.temperature) == ([12], "cold")


def test_the_limit_holds_and_the_oldest_goes(folder, monkeypatch):
    for seed in range(3):
        taken(network(seed), images(), [])
    newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime if path.is_dir() else 0)
    one = sum(file.stat().st_size for file in newest.iterdir())
    monkeypatch.setenv("NCTRANSFER_CACHE_GIB", str(2.5 * one / 2**30))
    taken(network(3), images(), [])
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2
    assert taken(network(3), images(), [])[1].temperature == "warm"
    monkeypatch.setenv("NCTRANSFER_CACHE_GIB", "0")
    taken(network(4), images(), [])
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_objects_and_switched_off(monkeypatch):
    module = wrap_module(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 4)), size=16)
    assert open_table(module, Runtime("cpu")) is None
    assert open_table(network(), Runtime("cpu"), use=False) is None
    monkeypatch.setenv("NCTRANSFER_CACHE", "off")
    assert open_table(network(), Runtime("cpu")) is None


def both(folder, seed):
    os.environ["NCTRANSFER_CACHE"] = folder
    torch.set_num_threads(1)
    for _ in range(3):
        taken(network(), images(20, seed), [])


def test_two_processes_write_one_table(tmp_path):
    """This one writes other images on and on until the other is done."""
    worker = multiprocessing.get_context("spawn").Process(target=both, args=(str(tmp_path / "cache"), 1))
    worker.start()
    last = 1
    while worker.is_alive():
        last += 1
        taken(network(), images(20, last), [])
        time.sleep(0.05)
    assert worker.exitcode == 0
    for seed in (1, 2, last):
        assert taken(network(), images(20, seed), [])[1].temperature == "warm"


def test_verbs_share_their_features(tmp_path):
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8), np.arange(60) % 2
    weights = tmp_path / "w.pth"
    torch.save(network().encoder.state_dict(), weights)
    shared = {"weights": str(weights), "image_size": 16, "layers": ["layer3.0"], "device": "cpu", "step_cost": False}

    def cost(run):
        return run.record.cost.features

    bundle = bundle_from_arrays(pixels, labels)
    first = probe(bundle, "cifar_resnet20", out=tmp_path / "a", **shared)
    second = probe(bundle, "cifar_resnet20", out=tmp_path / "b", **shared)
    third = tune(bundle, "cifar_resnet20", method="linear", out=tmp_path / "c", **shared)
    fourth = probe(bundle, "cifar_resnet20", out=tmp_path / "d", feature_cache=False, **shared)
    assert [cost(run) for run in (first, second, third, fourth)] == ["cold", "warm", "warm", "cold"]
    assert first.record.layers == second.record.layers == fourth.record.layers
