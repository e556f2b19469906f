"""What every tuning method promises on every kind of network."""

import copy
import importlib.util

import pytest
import torch
from torch.nn import functional

from nctransfer.errors import UsageError
from nctransfer.models import load_network
from nctransfer.transfer import METHODS, TunedNetwork

NETWORKS = ("resnet18", "resnet50", "vit_tiny_patch16_224", "convnext_atto", "tf_efficientnet_lite0")
CLASSES = 5


@pytest.fixture(scope="module", params=NETWORKS)
def pretrained(request):
    return load_network(request.param, weights="random", image_size=32)


SEVERAL = tuple(f"{name} of several blocks" for name, method in METHODS.items() if method.needs_unit)


@pytest.fixture(scope="module", params=(*METHODS, *SEVERAL))
def several(request):
    """Whether the method tunes several blocks, and the method."""
    return request.param in SEVERAL, request.param.split()[0]


@pytest.fixture(scope="module")
def method(several):
    method = METHODS[several[1]]
    if method.package and importlib.util.find_spec(method.package) is None:
        pytest.skip(f"{method.package} (an extra) is not installed")
    return method


@pytest.fixture
def tuned(pretrained, method, several):
    torch.manual_seed(0)
    middle = len(pretrained.units) // 2
    named = (pretrained.units[-1], pretrained.units[middle]) if several[0] else (pretrained.units[middle],)
    unit = ",".join(named) if method.needs_unit else None
    layers = (*pretrained.layers[::2], "penultimate") if method.layered else None
    return TunedNetwork(copy.deepcopy(pretrained), method, unit, CLASSES, layers)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=generator)


LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def train_a_little(model, images, steps=2):
    optimizer = torch.optim.SGD(model.tuned_parameters(), lr=0.05)
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        functional.cross_entropy(model(images), LABELS).backward()
        optimizer.step()


def test_shapes(tuned, images):
    tuned.eval()
    assert tuned(images).shape == (6, CLASSES)
    assert tuned.penultimate(images).shape == (6, tuned.network.feature_dim)


def test_frozen_parameters_and_buffers_stay_bit_for_bit(tuned, images):
    before = {name: value.clone() for name, value in tuned.state_dict().items()}
    allowed = {name for name, parameter in tuned.named_parameters() if parameter.requires_grad}
    allowed |= {name for name, _ in tuned.named_buffers() if name.startswith("skip.")}
    train_a_little(tuned, images)
    changed = {name for name, value in tuned.state_dict().items() if not torch.equal(value, before[name])}
    assert changed <= allowed
    assert "classifier.weight" in changed
    if tuned.method.changes_features:
        for part in [f"network.encoder.{unit}." for unit in tuned.units] or ["network.encoder."]:
            assert any(name.startswith(part) for name in changed)


def test_gradients_reach_exactly_the_tuned_parameters(tuned, pretrained, images):
    train_a_little(tuned, images)  # two steps: a skip connection starts at zero, its projection learns from the second
    for parameter in tuned.parameters():
        parameter.grad = None
    tuned.train()
    functional.cross_entropy(tuned(images), LABELS).backward()
    reached = {name for name, parameter in tuned.named_parameters() if parameter.grad is not None}
    assert reached == {name for name, parameter in tuned.named_parameters() if parameter.requires_grad}
    outside = [
        name
        for name in reached
        if not tuned.method.whole
        and not (tuned.method.adapter and name not in dict(pretrained.named_parameters(prefix="network")))
        and not name.startswith(("classifier.", "skip."))
        and not name.startswith(tuple(f"network.encoder.{unit}." for unit in tuned.units))
    ]
    assert outside == []


def test_frozen_modules_are_in_eval_mode_whatever_train_says(tuned):
    tuned.train()
    training = {name for name, module in tuned.network.encoder.named_modules() if module.training and name}
    if tuned.method.whole:
        assert training
    else:
        assert all(name.startswith(tuned.units) for name in training)
        assert bool(training) == (tuned.unit is not None)


def test_no_graph_is_kept_below_the_unit(tuned, images):
    if tuned.method.whole:
        assert all(parameter.requires_grad for parameter in tuned.network.encoder.parameters())
        return
    seen = {}

    def watch(name):
        def keep(module, arguments, output):
            seen[name] = output.requires_grad

        return keep

    units = list(tuned.network.units)
    encoder = tuned.network.encoder
    handles = [encoder.get_submodule(name).register_forward_hook(watch(name)) for name in units]
    tuned.train()
    tuned(images)
    for handle in handles:
        handle.remove()
    if tuned.method.adapter:  # they stand in every block
        assert all(seen.values())
        return
    below = units[: units.index(tuned.units[0])] if tuned.units else units
    assert not any(seen[name] for name in below)
    assert all(seen[name] for name in units if name not in below)


def test_the_state_of_an_epoch_comes_back(tuned, images):
    tuned.eval()
    before, state = tuned(images), tuned.tuned_state()
    train_a_little(tuned, images)
    tuned.eval()
    assert not torch.equal(tuned(images), before)
    tuned.load_tuned_state(state)
    assert torch.equal(tuned(images), before)


def test_the_cut_gives_the_same_logits(tuned, images):
    train_a_little(tuned, images)
    tuned.eval()
    if tuned.method.whole or tuned.method.adapter or tuned.method.layered:  # they read below any block, too
        assert not tuned.cut(images)
        return
    assert tuned.cut(images)
    with torch.no_grad():
        torch.testing.assert_close(tuned(tuned.prefix(images), from_cut=True), tuned(images), rtol=1e-5, atol=1e-5)


def test_skip_starts_from_the_pretrained_features(pretrained, images):
    model = TunedNetwork(copy.deepcopy(pretrained), METHODS["scl"], pretrained.units[-1], CLASSES).eval()
    with torch.no_grad():
        added = model.penultimate(images) - model.network(images)
    if sum(parameter.numel() for parameter in model.skip.parameters()):
        assert torch.equal(added, torch.zeros_like(added))
    else:
        assert added.abs().max() > 0


def test_a_method_that_needs_a_unit_says_so(pretrained):
    with pytest.raises(UsageError, match="needs a block"):
        TunedNetwork(pretrained, METHODS["layer"], None, CLASSES)
    with pytest.raises(UsageError, match="tunes no single block"):
        TunedNetwork(pretrained, METHODS["linear"], pretrained.units[0], CLASSES)
    with pytest.raises(UsageError, match="no block 'nonsense'"):
        TunedNetwork(pretrained, METHODS["scl"], "nonsense", CLASSES)
