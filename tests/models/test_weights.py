"""Weights from files: whole or not at all, whatever they are wrapped in, and described by a manifest."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nctransfer.errors import CheckpointError, UsageError
from nctransfer.models import hash_weights, load_network
from nctransfer.models.build import build_encoder


@pytest.fixture(scope="module")
def state():
    import timm

    torch.manual_seed(5)
    return dict(timm.create_model("resnet10t", num_classes=3).state_dict())


def under(prefix, state):
    return {prefix + key: value for key, value in state.items()}


WRAPPED = {
    "plain": lambda state: state,
    "an optimizer beside it": lambda state: {"model": state, "optimizer": {"lr": 0.1}, "epoch": 3},
    "state_dict": lambda state: {"state_dict": under("module.", state), "best": 0.5},
    "nested twice": lambda state: {"checkpoint": 1, "model": {"state_dict": under("backbone.", state)}},
    "averaged": lambda state: {"state_dict_ema": state, "state_dict": {k: v + 1 for k, v in state.items()}},
    "model_ema": lambda state: {"model_ema": under("module.", state), "iteration": 7},
    "compiled and distributed": lambda state: under("module._orig_mod.model.", state),
    "compiled inside": lambda state: {
        key.replace("layer1.", "layer1._orig_mod."): value for key, value in under("net.", state).items()
    },
    "an encoder with a loss beside it": lambda state: {
        "state_dict": {**under("encoder.", state), "loss.weight": torch.ones(3), "val_acc.total": torch.ones(1)}
    },
    "deep": lambda state: under("model.backbone.encoder.", state),
    "a name of its own": lambda state: under("student.trunk.", state),
    "without counters": lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
    "with derived buffers": lambda state: {**state, "layer1.0.relative_position_index": torch.ones(2)},
    "half precision": lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
}


@pytest.mark.parametrize("form", WRAPPED)
def test_usual_wrappings_load(form, state, tmp_path):
    torch.save(WRAPPED[form](state), tmp_path / "w.pth")
    network = load_network("resnet10t", weights=tmp_path / "w.pth", image_size=32)
    for name in ("conv1.0.weight", "layer4.0.bn2.running_var"):
        expected = state[name].half().float() if form == "half precision" else state[name]
        assert torch.equal(network.encoder.state_dict()[name], expected)
    weight, bias = network.source_classifier
    torch.testing.assert_close(weight, state["fc.weight"], rtol=1e-3, atol=1e-4)
    assert bias.shape == (3,)


def test_safetensors_with_a_prefix(state, tmp_path):
    save_file(under("model.", state), tmp_path / "w.safetensors")
    network = load_network("resnet10t", weights=tmp_path / "w.safetensors", image_size=32)
    assert torch.equal(network.encoder.state_dict()["conv1.0.weight"], state["conv1.0.weight"])


BROKEN = {
    "a block that nobody asked for": (
        lambda state: {**state, "layer4.1.conv1.weight": torch.zeros(2), "layer4.1.bn1.bias": torch.zeros(2)},
        r"2 of the file's entries used nowhere \('layer4.1.conv1.weight', 'layer4.1.bn1.bias'\)",
    ),
    "the same under a wrapping": (
        lambda state: under("model.", {**state, "layer5.weight": torch.zeros(2)}),
        r"1 of the file's entries used nowhere \('model.layer5.weight'\)",
    ),
    "another part beside it": (
        lambda state: {**under("backbone.", state), "neck.conv.weight": torch.zeros(2)},
        "used nowhere.*neck.conv.weight",
    ),
    "a missing bias": (
        lambda state: {k: v for k, v in state.items() if k != "layer2.0.bn1.bias"},
        r"1 of 8\d entries missing from the file \('layer2.0.bn1.bias'\)|entries missing from the file.*layer2.0.bn1.bias",
    ),
    "another shape": (lambda state: {**state, "bn1.weight": torch.ones(3)}, r"1 of another shape \('bn1.weight'\)"),
    "quantised": (
        lambda state: {**state, "bn1.weight": torch.ones(64, dtype=torch.int8)},
        r"1 of whole numbers where the network has real ones \('bn1.weight'\)",
    ),
    "two networks": (
        lambda state: {**under("teacher.", state), **under("student.", {k: v + 1 for k, v in state.items()})},
        "2 networks of this architecture, under student., teacher.|under teacher., student.",
    ),
    "two state dicts": (lambda state: {"teacher": state, "student": state}, "2 state dicts: teacher, student"),
    "nothing": (lambda state: {"epoch": 3}, "no state dict"),
}


@pytest.mark.parametrize("form", BROKEN)
def test_what_half_fits_is_refused_and_listed(form, state, tmp_path):
    content, says = BROKEN[form]
    torch.save(content(state), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=says):
        load_network("resnet10t", weights=tmp_path / "w.pth", image_size=32)


def test_a_deeper_builtin_network_is_refused(tmp_path):
    deep = build_encoder("cifar_resnet32", {"width": 1.0}, 32)
    torch.save(deep.state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="60 of the file's entries used nowhere"):
        load_network("cifar_resnet20", weights=tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="entries missing"):
        load_network("cifar_resnet56", weights=tmp_path / "w.pth")


MANIFEST = {
    "architecture": "mobilenetv1_100",
    "arguments": {"channel_multiplier": 0.125, "pad_type": "same"},
    "size": 64,
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.3, 0.4],
    "classes": ["a", "b", "c"],
    "licence": "Apache-2.0",
}


@pytest.fixture
def described(tmp_path):
    """A narrow network with its manifest and an overlay."""
    torch.manual_seed(0)
    encoder = build_encoder(MANIFEST["architecture"], MANIFEST["arguments"], 64)
    tensors = {**encoder.state_dict(), "classifier.weight": torch.randn(3, 128), "classifier.bias": torch.randn(3)}
    save_file(tensors, tmp_path / "narrow.safetensors")
    save_file({"bn1.bias": tensors["bn1.bias"] + 1}, tmp_path / "bn.safetensors")

    def write(**changes):
        (tmp_path / "narrow.json").write_text(json.dumps({**MANIFEST, **changes}))
        return tmp_path / "narrow.safetensors"

    return write


def test_a_manifest_says_what_tensors_do_not(described):
    network = load_network(str(described(overlays=["bn.safetensors"])))
    assert (network.feature_dim, network.size, network.name) == (128, 64, "narrow")
    assert network.mean_values == [0.5, 0.4, 0.3]
    assert network.describe()["license"] == "Apache-2.0"
    assert network.class_names == ("a", "b", "c")
    assert network.source_classifier[0].shape == (3, 128)
    plain = load_network("anything", weights=described(), image_size=32)
    assert plain.size == 32
    assert torch.equal(network.encoder.state_dict()["bn1.bias"], plain.encoder.state_dict()["bn1.bias"] + 1)
    with pytest.raises(CheckpointError, match="says mobilenetv1_100, --arch says resnet18"):
        load_network("x", weights=described(), arch="resnet18")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"meen": [0, 0, 0]}, "unknown key 'meen'.*mean"),
        ({"std": [0, 1, 1]}, "std must be positive"),
        ({"mean": [1, 2]}, "manifest's mean"),
        ({"size": 0}, "manifest's image_size"),
        ({"sha256": "0" * 64}, "SHA-256 differs"),
        ({"architecture": "mobilenetv1_10O"}, "unknown network 'mobilenetv1_10O'.*mobilenetv1_100"),
        ({"arguments": {"pad_typo": "same"}}, "does not take the arguments"),
        ({"arguments": {"channel_multiplier": 0.25}}, "of another shape"),
        ({"overlays": ["narrow.safetensors", "gone.safetensors"]}, "weights file not found"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(described, changes, says):
    with pytest.raises((CheckpointError, UsageError, Exception), match=says) as caught:
        load_network(str(described(**changes)))
    assert caught.value.exit_code in (2, 3, 4)


def test_a_file_without_manifest_or_architecture_asks_for_one(described, tmp_path):
    file = described()
    (tmp_path / "narrow.json").unlink()
    with pytest.raises(UsageError, match=r"names no architecture.*--arch NAME, or a manifest"):
        load_network(str(file))


def test_other_widths_are_for_networks_that_have_them():
    with pytest.raises(UsageError, match="resnet18 has one width"):
        build_encoder("resnet18", {"channel_multiplier": 0.5}, 32)


NETWORKS = os.environ.get("NCTRANSFER_NETWORKS")
NARROW = {"025": (0.25, 128), "050": (0.5, 160), "075": (0.75, 192)}


def manifests(folder: Path):
    """Write a manifest for each of the seven MobileNets beside a link to its file."""
    source = Path(NETWORKS)
    (folder / "bn").symlink_to(source / "bn")
    for file in sorted(source.glob("*.safetensors")):
        arch = "_".join(file.stem.split("_")[:2])
        width, size = NARROW.get(arch.split("_")[1], (None, 224))
        arguments = {"pad_type": "same"} | ({} if width is None else {"channel_multiplier": width})
        (folder / file.name).symlink_to(file)
        described = {
            "arch": "mobilenetv1_100" if width else arch,
            "arch_arguments": arguments,
            "image_size": size,
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "license": "Apache-2.0",
            "overlays": [f"bn/{file.name}"],
        }
        (folder / f"{file.stem}.json").write_text(json.dumps(described))
        yield folder / file.name


@pytest.mark.data
@pytest.mark.skipif(NETWORKS is None, reason="NCTRANSFER_NETWORKS names no folder of networks")
def test_seven_mobilenets_load_with_a_manifest(tmp_path):
    widths = {}
    for file in manifests(tmp_path):
        network = load_network(str(file), image_size=64).eval()
        widths[file.stem] = network.feature_dim
        assert (network.source_classifier is None) == file.stem.endswith("_features")
    assert sorted(widths.values()) == [256, 512, 768, 1024, 1280, 1280, 1280]


@pytest.mark.data
@pytest.mark.skipif(NETWORKS is None, reason="NCTRANSFER_NETWORKS names no folder of networks")
def test_a_logit_of_a_mobilenet_is_pinned(tmp_path):
    """One logit of one embedded image; padded the other way, the same weights load and give another."""
    from nctransfer.data import Preprocess, open_dataset

    file = next(file for file in manifests(tmp_path) if file.stem == "mobilenetv1_025_in1k")
    image = open_dataset("digits", check=False).train.source.image(0)
    pixels = Preprocess(size=64).pixels(image)[None]
    logits = []
    for padding in ("same", ""):
        described = json.loads(file.with_suffix(".json").read_text())
        described["arch_arguments"]["pad_type"] = padding
        file.with_suffix(".json").write_text(json.dumps(described))
        network = load_network(str(file), image_size=64).eval()
        weight, bias = network.source_classifier
        with torch.no_grad():
            logits.append(float((network(pixels) @ weight.T + bias)[0, 1]))
    assert logits[0] == pytest.approx(LOGIT, abs=2e-3)
    assert abs(logits[1] - LOGIT) > 0.01


LOGIT = -7.79917


def test_the_hash_of_weights_is_that_of_names_and_bytes_in_order():
    """Tables of features on disk are found by it, so it may not change unnoticed."""
    module = torch.nn.BatchNorm1d(3).requires_grad_(False)
    digest = hashlib.blake2b(b"at 32 pixels", digest_size=16)
    for name, values in (
        ("weight", np.ones(3, np.float32)),
        ("bias", np.zeros(3, np.float32)),
        ("running_mean", np.zeros(3, np.float32)),
        ("running_var", np.ones(3, np.float32)),
        ("num_batches_tracked", np.int64(0)),
    ):
        digest.update(name.encode() + values.tobytes())
    assert hash_weights(module, "at 32 pixels") == digest.hexdigest()
    module.running_mean[1] = -0.0
    assert hash_weights(module, "at 32 pixels") != digest.hexdigest()
