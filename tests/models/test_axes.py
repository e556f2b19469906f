"""Networks of other people: channels wherever they lie, outputs of any form, and the user's module left alone."""

import threading
import warnings

import pytest
import torch
from torch import nn

from nctransfer.errors import UsageError
from nctransfer.metrics import measure
from nctransfer.models import copy_module, load_network, wrap_module


class Permuted(nn.Module):
    """A map (B, H, W, C) between two convolutions."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x):
        return x + self.mix(self.norm(x))


class LastNet(nn.Module):
    """``width`` channels on maps of ``side``×``side``: equally many, so that only the network can tell them apart."""

    def __init__(self, width=8, side=8, *, fixed=True):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.ModuleList([Permuted(width) for _ in range(2)])
        self.place = nn.Parameter(torch.randn(side, side, width)) if fixed else None

    def forward(self, x):
        x = self.stem(x).permute(0, 2, 3, 1)
        x = x if self.place is None else x + self.place
        for block in self.blocks:
            x = block(x)
        return x.mean((1, 2))


@pytest.mark.parametrize("fixed", [True, False])
def test_channels_last_blocks_of_a_users_module(fixed):
    torch.manual_seed(0)
    network = wrap_module(LastNet(fixed=fixed), size=32, name="mine").eval()
    labels = torch.arange(30) % 3
    images = torch.rand(30, 3, 32, 32) / (1 + labels.view(-1, 1, 1, 1))
    with torch.no_grad(), network.taps() as taps:
        features = network(images)
    assert network.layer_shapes == {"blocks.0": (8, 8, 8), "blocks.1": (8, 8, 8)}
    torch.testing.assert_close(taps.features["blocks.1"], features)
    assert measure(taps.features["blocks.1"], labels, only="nc1", permutations=0).nc1 == pytest.approx(
        measure(features, labels, only="nc1", permutations=0).nc1, rel=1e-4
    )
    assert not network.convolutional


class SequenceFirst(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.batch_first = batch_first
        self.stem = nn.Conv2d(3, 16, 8, 8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.blocks = nn.ModuleList(
                [nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=batch_first) for _ in range(2)]
            )

    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        tokens = tokens if self.batch_first else tokens.transpose(0, 1)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.mean(1 if self.batch_first else 0)


@pytest.mark.parametrize("count", [2, 5, 16])  # 16 images of 16 tokens with 16 channels
def test_sequence_first_blocks_give_a_vector_per_image(count):
    torch.manual_seed(0)
    first = wrap_module(SequenceFirst(False), size=32).eval()
    second = wrap_module(SequenceFirst(True), size=32).eval()
    second.encoder.load_state_dict(first.encoder.state_dict())
    images = torch.rand(count, 3, 32, 32)
    with torch.no_grad(), first.taps() as one, second.taps() as two:
        torch.testing.assert_close(first(images), second(images))
    for name in first.layers:
        assert one.features[name].shape == (count, 16)
        torch.testing.assert_close(one.features[name], two.features[name], atol=1e-5, rtol=1e-5)


def test_one_dimensional_convolutions_keep_channels_before_positions():
    net = nn.Sequential(
        nn.Flatten(2),
        nn.Sequential(nn.Conv1d(3, 12, 3, padding=1), nn.BatchNorm1d(12), nn.ReLU()),
        nn.AdaptiveAvgPool1d(12),
        nn.Sequential(nn.Conv1d(12, 12, 1), nn.ReLU()),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
    )
    network = wrap_module(net, size=16).eval()
    images = torch.rand(4, 3, 16, 16)
    with torch.no_grad(), network.taps(["1", "2", "3"]) as taps:
        features = network(images)
    torch.testing.assert_close(taps.features["3"], features)
    assert {name: value.shape[1] for name, value in taps.features.items()} == {"1": 12, "2": 12, "3": 12}


class Returns(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.form = form

    def forward(self, x):
        return self.form(self.body(x))


@pytest.mark.parametrize(
    "form",
    [
        lambda maps: (maps.flatten(1), maps),
        lambda maps: {"last_hidden_state": maps, "pooler_output": maps.flatten(1)},
        lambda maps: [None, {"deep": (maps.flatten(1),)}],
        lambda maps: maps,
    ],
)
def test_the_one_vector_in_an_output_is_taken(form):
    torch.manual_seed(0)
    network = wrap_module(Returns(form), size=16).eval()
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(images), network.encoder.body(network.normalise(images)).flatten(1))
    assert network.feature_dim == 6


@pytest.mark.parametrize(
    ("form", "says"),
    [
        (lambda maps: None, "NoneType, in which there is no tensor"),
        (lambda maps: (maps.flatten(1), maps.flatten(1) + 1), r"2 tensors that could be its features \(0: \(2, 6\)"),
        (lambda maps: maps.expand(-1, -1, 4, 4), "not one feature vector"),
        (lambda maps: maps.flatten(), "not one feature vector"),
        (lambda maps: maps["missing"], "cannot take images of 16 px"),
    ],
)
def test_an_output_without_one_vector_is_refused(form, says):
    with pytest.raises(UsageError, match=says):
        wrap_module(Returns(form), size=16)


def test_blocks_that_return_more_are_read_where_they_can_be():
    class Pair(nn.Module):
        def __init__(self, ambiguous):
            super().__init__()
            self.conv, self.ambiguous = nn.Conv2d(4, 4, 3, padding=1), ambiguous

        def forward(self, given):
            x = given[1] if isinstance(given, tuple) else given
            y = self.conv(x)
            return (y, y + 1) if self.ambiguous else (y.mean((1, 2, 3)), y)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 1)
            self.blocks = nn.ModuleList([Pair(False), Pair(True)])

        def forward(self, x):
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return x[1].mean((2, 3))

    network = wrap_module(Net(), size=16).eval()
    assert network.layers == ("blocks.0",)
    assert len(network.notes) == 2
    assert "1 of 2 layers of Net are left out, the first blocks.1: it returns 2 tensors" in network.notes[1]
    with pytest.raises(UsageError, match=r"layer 'blocks.1' of Net cannot be measured: it returns 2 tensors"):
        network.taps(["blocks.1"])


def test_a_layer_that_cannot_be_told_can_be_named():
    class Blind(nn.Module):
        """Positions and channels are equally many and its weights are not to be seen."""

        def __init__(self):
            super().__init__()
            self.stem, self.mix = nn.Linear(3 * 64, 25), nn.Linear(5, 5)
            self.hidden = Weightless()

        def forward(self, x):
            return self.hidden(self.stem(x.flatten(1)).view(-1, 5, 5)).flatten(1)

    class Weightless(nn.Module):
        def forward(self, x):
            return x.sin()

    with pytest.raises(UsageError, match="layer 'hidden' of Blind cannot be measured"):
        wrap_module(Blind(), size=8, layers=["hidden"])
    network = wrap_module(Blind(), size=8, layers=["hidden"], layouts={"hidden": "BTC"})
    with torch.no_grad(), network.taps() as taps:
        features = network(torch.rand(2, 3, 8, 8))
    torch.testing.assert_close(taps.features["hidden"], features.view(2, 5, 5).mean(1))


def test_any_module_can_be_asked_for_and_called_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.act = nn.Conv2d(3, 4, 3), nn.ReLU()

        def forward(self, x):
            return self.act(self.act(self.stem(x)) - 1).mean((2, 3))

    network = wrap_module(Twice(), size=16)
    network.add_layers(["stem"])
    assert network.channels("stem") == 4
    with pytest.raises(UsageError, match="calls it 2 times"):
        network.taps(["act"])
    with pytest.raises(UsageError, match=r"no layer 'stam'.*stem"):
        network.add_layers(["stam"])


def test_a_timm_module_brings_its_preprocessing():
    import timm

    net = timm.create_model("resnet10t", num_classes=0)
    network = wrap_module(net, size=32)
    named = load_network("resnet10t", weights="random", image_size=32)
    assert network.describe()["preprocess"] == named.describe()["preprocess"]
    assert network.mean_values == pytest.approx([0.485, 0.456, 0.406])
    assert wrap_module(timm.create_model("test_vit", num_classes=0, img_size=64)).size == 64
    assert wrap_module(net, size=32, mean=(0, 0, 0), std=(1, 1, 1)).mean_values == [0, 0, 0]
    assert network.notes == []
    assert "its 7 outputs are taken for features" in wrap_module(timm.create_model("resnet10t", num_classes=7)).notes[0]
    assert "names no normalisation" in wrap_module(Returns(lambda maps: maps.flatten(1)), size=16).notes[0]


def test_the_users_module_stays_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net[1].eval()
    net[0].weight.requires_grad_(False)
    calls = []
    net[0].register_forward_hook(lambda *_: calls.append(1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(3)
    wrap_module(net, size=16).taps(["0", "1"])
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))  # no random number was taken from the user's stream
    assert [module.training for module in net] == [True, False, True, True, True]
    assert not net[0].weight.requires_grad
    assert net[1].weight.requires_grad
    assert len(net[0]._forward_hooks) == 1
    assert not net[1]._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_cannot_be_copied_is_a_typed_error():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.lock = threading.Lock()
    with pytest.raises(UsageError, match=r"Sequential cannot be copied: TypeError.*lock"):
        copy_module(net)

    class Itself(nn.Linear):
        def __deepcopy__(self, memo):
            return self

    with pytest.raises(UsageError, match="shares its weights"):
        copy_module(nn.Sequential(Itself(2, 2)))


def test_old_weight_norm_is_copied_after_a_forward_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nn.Sequential(nn.Flatten(), nn.utils.weight_norm(nn.Linear(12, 5)))
    images = torch.rand(3, 3, 2, 2)
    expected = net(images)
    twin = copy_module(net)
    torch.testing.assert_close(twin(images), expected)
    with torch.no_grad():
        twin[1].weight_g.mul_(2)
        assert not torch.allclose(twin(images), expected)
        torch.testing.assert_close(net(images), expected)
