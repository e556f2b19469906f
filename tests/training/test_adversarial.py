"""PGD: against a closed form, within its ball, and without traces in the model."""

import pytest
import torch
from torch import nn

from nctransfer.training.adversarial import crafting_mode, pgd, robust_accuracy


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 2)

    def forward(self, images):
        return self.layer(images.flatten(1))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Linear()


IMAGES = torch.rand(20, 3, 2, 2, generator=torch.Generator().manual_seed(1)) * 0.6 + 0.2
LABELS = torch.arange(20) % 2


def test_a_linear_model_has_the_closed_form(model):
    """The worst point of the ball is the image moved by ε along the sign of the weights' difference."""
    epsilon = 0.05
    moved = pgd(model, IMAGES, LABELS, epsilon=epsilon, steps=20, loss=nn.functional.cross_entropy)
    difference = (model.layer.weight[1] - model.layer.weight[0]).sign().view(3, 2, 2)
    towards = torch.where(LABELS[:, None, None, None] == 0, difference, -difference)
    assert torch.allclose(moved, IMAGES + epsilon * towards, atol=1e-6)


def test_examples_stay_in_the_ball_and_in_the_image_range(model):
    images = torch.rand(16, 3, 2, 2)
    moved = pgd(model, images, LABELS[:16], epsilon=0.3, steps=3, step_size=0.5, loss=nn.functional.cross_entropy)
    assert (moved - images).abs().max() <= 0.3 + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert not moved.requires_grad


def test_the_loss_rises(model):
    moved = pgd(model, IMAGES, LABELS, epsilon=0.1, steps=5, loss=nn.functional.cross_entropy)
    loss = nn.functional.cross_entropy
    assert loss(model(moved), LABELS) > loss(model(IMAGES), LABELS)


def test_crafting_leaves_no_trace():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    model.train()
    model[0].eval()
    model[3].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pgd(model, IMAGES, LABELS, epsilon=0.1, steps=2, loss=nn.functional.cross_entropy)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model] == [False, True, True, True]
    assert [parameter.requires_grad for parameter in model.parameters()] == [True] * 4 + [False, True]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_crafting_runs_in_eval_mode():
    seen = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    model.register_forward_pre_hook(lambda module, inputs: seen.append(module.training))
    model.train()
    pgd(model, IMAGES, LABELS, epsilon=0.1, steps=3, loss=nn.functional.cross_entropy)
    assert seen == [False] * 3


def test_the_same_generator_gives_the_same_examples(model):
    draws = [
        pgd(
            model,
            IMAGES,
            LABELS,
            epsilon=0.1,
            steps=1,
            step_size=0.01,
            loss=nn.functional.cross_entropy,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (3, 3, 4)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_modes_come_back_after_an_error(model):
    model.train()
    with pytest.raises(RuntimeError, match="on purpose"), crafting_mode(model):
        raise RuntimeError("on purpose")
    assert model.training


def test_robust_accuracy_falls_with_epsilon_to_nothing(model):
    torch.manual_seed(0)
    prototypes = torch.tensor([0.25, 0.75])[LABELS][:, None, None, None]
    images = (prototypes + 0.05 * torch.randn(20, 3, 2, 2)).clamp(0, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), LABELS).backward()
        optimizer.step()
    clean = float((model(images).argmax(1) == LABELS).double().mean())
    curve = [robust_accuracy(model, [(images, LABELS)], epsilon=epsilon) for epsilon in (0.0, 0.05, 0.2, 0.5)]
    assert clean == curve[0] == 1.0
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] == 0.0


def test_bad_input_is_named(model):
    with pytest.raises(ValueError, match="got -1 and 2"):
        pgd(model, IMAGES, LABELS, epsilon=-1, steps=2, loss=nn.functional.cross_entropy)
    with pytest.raises(ValueError, match="holds no image"):
        robust_accuracy(model, [], epsilon=0.1)
