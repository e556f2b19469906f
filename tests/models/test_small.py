"""The builders' shared contract, and the sizes that the literature gives."""

import pytest
import torch

from nctransfer.errors import UsageError
from nctransfer.models.heads import HEADS, ProjectionHead
from nctransfer.models.small import BUILDERS, build_small

SMALL_ARGUMENTS = {
    "cifar_resnet18": {"width": 0.125},
    "cifar_resnet50": {"width": 0.0625},
    "cifar_resnet56": {"width": 0.25},
    "mlp": {"depth": 3, "hidden": 32},
    "vit": {"width": 0.25, "depth": 2},
}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_builder_keeps_the_contract(name):
    network = build_small(name, **SMALL_ARGUMENTS.get(name, {})).eval()
    images = torch.randn(3, 3, 32, 32)
    features = network(images)
    assert features.shape == (3, network.feature_dim)
    assert torch.isfinite(features).all()
    modules = dict(network.named_modules())
    assert set(network.units) <= set(network.layers) <= set(modules)
    order = []
    for layer in network.layers:
        modules[layer].register_forward_hook(lambda *_, layer=layer: order.append(layer))
    network(images)
    assert tuple(order) == network.layers
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "parameters", "dim"),
    [("cifar_resnet18", 11_168_832, 512), ("cifar_resnet50", 23_500_352, 2048), ("cifar_resnet20", 271_824, 64)],
)
def test_sizes_are_those_of_the_literature(name, parameters, dim):
    """Encoder alone: 11.17 M, 23.5 M; and 0.27 M for ResNet-20 (He et al., 2016, table 6)."""
    network = build_small(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network.feature_dim == dim


def test_the_mlp_has_one_width_at_every_layer():
    network = build_small("mlp", depth=4, hidden=48, size=8)
    shapes = [module.weight.shape for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert shapes == [(48, 192), (48, 48), (48, 48), (48, 48)]
    default = BUILDERS["mlp"].__init__.__defaults__
    assert default[:2] == (12, 3072)


def test_width_scales_and_image_size_is_free():
    assert build_small("cifar_resnet20", width=2).feature_dim == 128
    for size in (8, 16, 48):
        assert build_small("vit", size=size, depth=1)(torch.zeros(1, 3, size, size)).shape == (1, 192)


def test_unknown_names_and_arguments_are_errors():
    with pytest.raises(UsageError, match=r"'cifar_resnet19'.*cifar_resnet18"):
        build_small("cifar_resnet19")
    with pytest.raises(UsageError, match=r"no argument 'hidden'.*takes width, size"):
        build_small("cifar_resnet20", hidden=3)
    with pytest.raises(UsageError, match="width must be positive, got -1"):
        build_small("cifar_resnet20", width=-1)


@pytest.mark.parametrize("kind", HEADS)
def test_heads_give_their_width(kind):
    head = ProjectionHead(kind, 24, layers=3, dim=10)
    assert head(torch.randn(5, 24)).shape == (5, head.out_dim)
    linear = [module for module in head.modules() if isinstance(module, torch.nn.Linear)]
    assert len(linear) == {"none": 0, "linear": 1, "mlp": 3}[kind]


def test_a_head_without_layers_passes_features_on():
    features = torch.randn(2, 7)
    assert torch.equal(ProjectionHead("none", 7)(features), features)


def test_bad_heads_are_named():
    with pytest.raises(UsageError, match=r"unknown head 'linaer'.*linear"):
        ProjectionHead("linaer", 8)
    with pytest.raises(UsageError, match=r"at least 2 layers, got 1.*--head linear"):
        ProjectionHead("mlp", 8, layers=1)
