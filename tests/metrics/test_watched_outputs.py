"""Outputs that a training loop hands on: of any layout, tuples and dicts, told by the module or refused by name."""

import pytest
import torch
from torch import nn

from nctransfer import metrics
from nctransfer.errors import DataError
from nctransfer.metrics.training import LayerWatcher


class Last(nn.Module):
    """(B, H, W, C) with H = W = C."""

    def __init__(self):
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(5), nn.Linear(5, 5)

    def forward(self, x):
        return x + self.mix(self.norm(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last, self.act, self.drop = Last(), nn.ReLU(), nn.Dropout(0.3)
        self.pair = Pair()
        self.both = Both()

    def forward(self, x):
        x = self.drop(self.act(self.last(x)))
        return self.both(self.pair(x)["maps"][1])[0]


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(5, 5)

    def forward(self, x):
        return {"loss": x.mean(), "maps": (None, self.mix(x))}


class Both(nn.Module):
    def forward(self, x):
        return x.mean((1, 2)), x.mean((1, 2)) + 1


def watched(layers, **options):
    torch.manual_seed(0)
    net, watcher, kept = Net().train(), LayerWatcher(2, layers, **options), {}
    for name in layers:
        net.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: kept.setdefault(name, []).append(out)
        )
    watcher.attach(net)
    labels = torch.arange(30) % 2
    state = {name: value.clone() for name, value in net.state_dict().items()}
    for rows in (slice(0, 5), slice(5, 30)):  # five images of five rows, columns and channels
        net(torch.randn(30, 5, 5, 5)[rows] + labels[rows].view(-1, 1, 1, 1))
        watcher.take(labels[rows])
    watcher.detach()
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    return watcher.logger.compute(), kept, labels


def test_a_watched_module_tells_its_own_layout():
    numbers, kept, labels = watched(["last", "act", "drop", "pair"])
    for name in ("last", "act", "drop"):
        features = torch.cat(kept[name]).mean((1, 2))
        assert numbers[f"{name}/nc1"] == pytest.approx(metrics.nc1(features, labels), rel=1e-4), name
        assert len(kept[name]) == 2  # no forward pass of the user's own modules was added
    pair = torch.cat([output["maps"][1] for output in kept["pair"]]).mean((1, 2))
    assert numbers["pair/nc1"] == pytest.approx(metrics.nc1(pair, labels), rel=1e-4)


def test_what_cannot_be_told_is_refused_by_name():
    with pytest.raises(DataError, match=r"output of 'both' cannot be read: it returns 2 tensors"):
        watched(["both"])


def test_a_layout_can_be_given():
    numbers, kept, labels = watched(["last"], layouts={"last": "BCHW"})
    assert numbers["last/nc1"] == pytest.approx(metrics.nc1(torch.cat(kept["last"]).mean((2, 3)), labels), rel=1e-4)


def test_the_plain_loop_takes_the_one_tensor_of_an_output():
    labels, features = torch.arange(12) % 2, torch.randn(12, 4)
    logger = metrics.CollapseLogger(2, layouts={"sequence": "TBC", "last": "BHWC"})
    maps = torch.randn(12, 3, 3, 4) + features[:, None, None]
    logger.update({"pair": (features, None), "named": {"pooled": features, "loss": torch.tensor(1.0)}}, labels)
    logger.update({"sequence": maps.flatten(1, 2).transpose(0, 1), "last": maps}, labels)
    numbers = logger.compute()
    assert numbers["pair/nc1"] == numbers["named/nc1"] == pytest.approx(metrics.nc1(features, labels), rel=1e-5)
    assert numbers["sequence/nc1"] == pytest.approx(metrics.nc1(maps.mean((1, 2)), labels), rel=1e-5)
    assert numbers["last/nc1"] == pytest.approx(numbers["sequence/nc1"], rel=1e-5)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (None, "'block' cannot be read: it returns no tensor"),
        ((torch.zeros(6, 2), torch.zeros(6, 2)), "'block' cannot be read: it returns 2 tensors"),
        (torch.zeros(6), "2, 3 or 4 axes"),
        (torch.zeros(3, 6, 2), "is of 3 images, the labels of 6"),
    ],
)
def test_the_plain_loop_refuses_by_name(output, says):
    with pytest.raises(DataError, match=says):
        metrics.CollapseLogger(2).update({"block": output}, torch.arange(6) % 2)
