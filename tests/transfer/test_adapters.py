"""Adapters: where they are put, that merging them changes no logit, and that what is handed over needs no peft."""

import copy
import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from nctransfer.errors import SetupError, UsageError
from nctransfer.export import ExportSettings, export_run
from nctransfer.models import load_network, wrap_module
from nctransfer.runs import Mark
from nctransfer.transfer import (
    METHODS,
    Adapter,
    TransferSettings,
    TunedNetwork,
    TuningMethod,
    auto,
    load_classifier,
    plan_run,
    predict,
    tune,
)
from nctransfer.transfer.adapters import adaptable_modules
from nctransfer.transfer.methods import registered
from tiny import DeadBranch

ADAPTED = [name for name, method in METHODS.items() if method.adapter]
OPTIONS = {"epochs": 2, "lr": 0.01, "batch_size": 16, "augment": 2, "device": "cpu", "feature_cache": False}
OPTIONS |= {"step_cost": False, "image_size": 16}
LAYERS = ["layer2.0", "layer3.0"]
NETWORK = {"model": "cifar_resnet20", "weights": "random"}


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


@pytest.fixture(params=ADAPTED)
def method(request):
    pytest.importorskip("peft", reason="peft (the extra of its name) is not installed")
    return request.param


def moved(network, method, rank=4):
    """A tuned network whose adapters have learned something."""
    torch.manual_seed(0)
    model = TunedNetwork(copy.deepcopy(network), METHODS[method], None, 3, adapter_rank=rank).eval()
    start = model.state_dict()
    for name, parameter in model.network.named_parameters():
        if parameter.requires_grad:
            assert f"network.{name}" in start
            parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model


class WeightsInHand(nn.Module):
    """Two linear maps of which one is called, and the other's weight is taken and used by hand."""

    def __init__(self):
        super().__init__()
        self.called, self.by_hand = nn.Linear(192, 40), nn.Linear(40, 40)

    def forward(self, images):
        return nn.functional.linear(self.called(images.flatten(1)).relu(), self.by_hand.weight)


class Tied(nn.Module):
    """Two linear maps with one weight, and a third of its own."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(192, 192), nn.Linear(192, 192), nn.Linear(192, 30)
        self.two.weight = self.one.weight

    def forward(self, images):
        return self.three(self.two(self.one(images.flatten(1))))


def test_a_transformer_is_adapted_in_its_maps():
    network = load_network("vit_tiny_patch16_224", weights="random", image_size=32)
    kinds = {name.split(".", 2)[2] for name in adaptable_modules(network, rank=8)}
    assert kinds == {"attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"}
    assert len(adaptable_modules(network, rank=8)) == 4 * 12


def test_a_mobile_network_is_adapted_in_its_pointwise_convolutions():
    network = load_network("tf_efficientnet_lite0", weights="random", image_size=32)
    names = adaptable_modules(network, rank=8)
    modules = [network.encoder.get_submodule(name) for name in names]
    assert {(module.kernel_size, module.groups) for module in modules} == {((1, 1), 1)}
    assert "conv_stem" not in names
    assert {"conv_head", "blocks.1.0.conv_pw", "blocks.6.0.conv_pwl"} <= set(names)


def test_what_an_adapter_would_not_reach_is_left_out():
    assert adaptable_modules(wrap_module(WeightsInHand(), size=8), rank=4) == ("called",)
    assert adaptable_modules(wrap_module(Tied(), size=8), rank=4) == ("three",)


def test_a_name_is_no_ending(method):
    """``1`` is the second module, not every module whose name ends in 1."""
    inner = nn.Sequential(nn.Linear(40, 6), nn.BatchNorm1d(6))
    network = wrap_module(nn.Sequential(nn.Flatten(), nn.Linear(192, 40), nn.ReLU(), inner), size=8)
    assert adaptable_modules(network, rank=2) == ("1", "3.0")
    model = TunedNetwork(network, METHODS[method], None, 3, adapter_rank=2)
    learning = {name.split(".")[2] for name, value in model.network.named_parameters(prefix="x") if value.requires_grad}
    assert learning == {"1", "3"}


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "tf_efficientnet_lite0"])
def test_adapters_start_at_the_pretrained_network_and_merge_to_the_same_logits(name, method, pixels):
    network = load_network(name, weights="random", image_size=32)
    with torch.no_grad():
        fresh = TunedNetwork(copy.deepcopy(network), METHODS[method], None, 3).eval()
        assert torch.equal(fresh.network(pixels), network.eval()(pixels))
        model = moved(network, method)
        unmerged, counted = model(pixels), model.count_parameters()
        assert not torch.allclose(model.network(pixels), network(pixels), rtol=1e-3, atol=1e-4)
        model.merge_adapters(pixels)
        torch.testing.assert_close(model(pixels), unmerged, rtol=1e-4, atol=1e-5)
    assert set(model.network.state_dict()) == set(network.state_dict())
    assert model.count_parameters() == counted
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_lora_is_the_textbook_update(pixels):
    """W + (alpha / r) B A, from the factors themselves."""
    pytest.importorskip("peft", reason="peft (the extra of its name) is not installed")
    model = moved(load_network("vit_tiny_patch16_224", weights="random", image_size=32), "lora")
    layer = model.network.encoder.blocks[0].attn.qkv
    low, high = layer.lora_A["default"].weight.double(), layer.lora_B["default"].weight.double()
    expected = layer.base_layer.weight.double() + 2 * high @ low
    model.merge_adapters(pixels)
    torch.testing.assert_close(model.network.encoder.blocks[0].attn.qkv.weight.double(), expected, rtol=1e-5, atol=1e-6)


def test_tuned_parameters_are_those_of_the_factors():
    pytest.importorskip("peft", reason="peft (the extra of its name) is not installed")
    network = load_network("vit_tiny_patch16_224", weights="random", image_size=32)
    sizes = [network.encoder.get_submodule(name).weight.shape for name in adaptable_modules(network, 5)]
    classifier = 3 * (network.feature_dim + 1)
    for name, times in (("lora", 1), ("loha", 2)):
        tuned, _ = TunedNetwork(copy.deepcopy(network), METHODS[name], None, 3, adapter_rank=5).count_parameters()
        assert tuned == classifier + times * sum(5 * (rows + columns) for rows, columns in sizes)


def test_a_merge_that_changes_logits_is_refused(method, pixels):
    model = moved(load_network("resnet18", weights="random", image_size=32), method)
    model.classifier.register_forward_pre_hook(lambda module, arguments: (arguments[0] + torch.rand(()),))
    with pytest.raises(UsageError, match=r"cannot be merged into its weights: a logit differs"):
        model.merge_adapters(pixels)


def test_a_network_without_anything_to_adapt_says_so(striped, method, tmp_path):
    with pytest.raises(UsageError, match=r"no linear map or plain convolution.*rank 11.*--adapter-rank.*smaller rank"):
        tune(striped, DeadBranch(), method=method, out=tmp_path / "run", adapter_rank=11, **OPTIONS)


def test_a_run_hands_over_a_network_that_needs_no_peft(striped, tmp_path, monkeypatch):
    pytest.importorskip("peft", reason="peft (the extra of its name) is not installed")
    out = tmp_path / "run"
    run = tune(striped, method="lora", out=out, adapter_rank=4, refit=False, layers=LAYERS, **NETWORK, **OPTIONS)
    row = run.record.methods["lora"]
    head = json.loads((out / "checkpoints" / "best.json").read_text())["classifier_layers"]
    model, _, _ = load_classifier(out)
    assert (row.tuned_parameters, row.total_parameters) != model.count_parameters()
    network, read = load_network("cifar_resnet20", weights="random", image_size=16), model.read_layers
    assert tuple(head) == read
    fresh = TunedNetwork(network, METHODS["lora"], None, 3, read, adapter_rank=4)
    assert (row.tuned_parameters, row.total_parameters) == fresh.count_parameters()
    assert row.skip_share > 0, "it starts at the deep probe, so skip connections reach the logits"
    program = (
        "import sys; sys.modules['peft'] = None\n"
        "import torch, nctransfer\n"
        "from nctransfer.transfer import load_classifier\n"
        f"model, *_ = load_classifier({str(out)!r})\n"
        "print(model(torch.full((1, 3, 16, 16), 90, dtype=torch.uint8)).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ours = model(torch.full((1, 3, 16, 16), 90, dtype=torch.uint8))
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), ours, rtol=1e-4, atol=1e-5)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "peft", None)
        exported = export_run(out, ExportSettings(to="torchscript", images=8), out=tmp_path / "model.pt")
    assert exported.same_predictions
    again = tune(
        striped, method="lora", out=out, adapter_rank=4, refit=False, layers=LAYERS, resume=True, **NETWORK, **OPTIONS
    )
    assert again.record.methods["lora"] == row


def test_a_method_whose_package_is_missing_is_refused_before_anything_is_written(striped, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(
        SetupError, match=r"'lora' needs peft, which is not installed.*pip install 'nctransfer\[peft\]'"
    ):
        tune(striped, method="lora", out=tmp_path / "run", **NETWORK, **OPTIONS)
    assert not (tmp_path / "run").exists()
    with pytest.raises(SetupError, match="needs peft"):
        plan_run(TransferSettings(data="digits", methods=("linear", "lora")))


def test_auto_compares_adapters_where_they_are_named_only(striped, tmp_path):
    pytest.importorskip("peft", reason="peft (the extra of its name) is not installed")
    assert not {"lora", "loha"} & set(TransferSettings(data="digits").methods)
    run = auto(striped, out=tmp_path / "run", methods="linear,lora", refit=False, layers=LAYERS, **NETWORK, **OPTIONS)
    assert set(run.record.methods) == {"linear", "lora"}
    image = tmp_path / "one.png"
    striped.test.image(0).save(image)
    assert predict(tmp_path / "run" / "checkpoints" / "lora.safetensors", image)[0].label in striped.class_names


def test_an_adapter_from_outside_the_package(striped, tmp_path):
    """One that scales what leaves the network: added, trained, and merged into the last weights."""

    class Scaled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.scale = inner, nn.Parameter(torch.ones(()))

        def forward(self, inputs):
            return self.inner(inputs) * self.scale

    def add(network, rank):
        network.encoder.set_submodule("1", Scaled(network.encoder.get_submodule("1")))

    def merge(network):
        scaled = network.encoder.get_submodule("1")
        with torch.no_grad():
            scaled.inner.weight *= scaled.scale
            scaled.inner.bias *= scaled.scale
        network.encoder.set_submodule("1", scaled.inner)

    method = TuningMethod(
        "scaled", "scaled tuning", tunes="a scale", mark=Mark(marker="h"), adapter=Adapter(add, merge)
    )
    network = wrap_module(nn.Sequential(nn.Flatten(), nn.Linear(768, 12)), size=16)
    with registered(method):
        run = tune(striped, network, method="scaled", out=tmp_path / "run", refit=False, **OPTIONS)
        model, *_ = load_classifier(tmp_path / "run", module=nn.Sequential(nn.Flatten(), nn.Linear(768, 12)))
    assert model.network.encoder[1].weight.shape == (12, 768)
    assert not torch.equal(model.network.encoder[1].weight, network.encoder[1].weight)
    total, classifier = (
        run.record.methods["scaled"].tuned_parameters,
        sum(p.numel() for p in model.classifier.parameters()),
    )
    assert total == classifier + 1
