"""A tuned model on disk: the same logits to the bit when it comes back, and nothing when it was altered."""

import copy
import importlib.util
import json

import pytest
import torch
from torch.nn import functional

from nctransfer.errors import CheckpointError, UsageError
from nctransfer.models import load_network
from nctransfer.transfer import METHODS, TunedNetwork, load_classifier, save_classifier


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "tf_efficientnet_lite0", "cifar_resnet20"]
)
@pytest.mark.parametrize("method", list(METHODS))
def test_reloading_gives_the_same_logits_to_the_bit(name, method, striped, tmp_path):
    package = METHODS[method].package
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} (an extra) is not installed")
    network = load_network(name, weights="random", image_size=32)
    unit = network.units[1] if METHODS[method].needs_unit else None
    layers = (network.layers[0], "penultimate") if METHODS[method].layered else None
    model = TunedNetwork(network, METHODS[method], unit, 3, layers)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    model.train()
    optimizer = torch.optim.SGD(model.tuned_parameters(), lr=0.1)
    functional.cross_entropy(model(images), torch.arange(8) % 3).backward()
    optimizer.step()
    model.eval()
    if METHODS[method].adapter:
        with pytest.raises(UsageError, match=r"adapters are not merged.*merge_adapters\(images\)"):
            save_classifier(tmp_path / "best.safetensors", model, striped)
    model.merge_adapters(images)
    save_classifier(tmp_path / "best.safetensors", model, striped)
    loaded, preprocess, manifest = load_classifier(tmp_path / "best.safetensors")
    with torch.inference_mode():
        assert torch.equal(loaded(images), model(images))
    assert preprocess.size == 32
    assert manifest["class_names"] == ["wide", "tall", "fine"]
    assert manifest["method"] == method


@pytest.fixture
def saved(striped, small_network, tmp_path):
    model = TunedNetwork(copy.deepcopy(small_network), METHODS["linear"], None, 3)
    save_classifier(tmp_path / "best.safetensors", model, striped)
    return tmp_path / "best.safetensors"


def test_altered_weights_are_refused(saved):
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        load_classifier(saved)


def test_truncated_weights_are_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        load_classifier(saved)


def test_a_manifest_of_another_kind_is_refused(saved):
    path = saved.with_suffix(".json")
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "format": "other"}))
    with pytest.raises(CheckpointError, match="not a tuned classifier"):
        load_classifier(saved)
