"""Adversarial examples within an ℓ∞ ball in pixel space: projected gradient descent after Madry et al. (2018).

Images are float in [0, 1]; the network normalises by itself, so ε and the step are in units of pixels / 255 whatever
the normalisation. Examples are crafted in eval mode and the mode is restored afterwards: crafting neither uses nor
moves batch statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["crafting_mode", "pgd", "robust_accuracy"]


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int,
    step_size: float | None = None,
    loss: Callable[[Tensor, Tensor], Tensor],
    generator: torch.Generator | None = None,
) -> Tensor:
    """Images within ε of the given ones on which the loss is larger: signed gradient steps from a random start.

    Args:
        model: Maps images (B, 3, H, W) in [0, 1] to logits (B, K).
        images: Clean images of shape (B, 3, H, W), float in [0, 1].
        labels: True classes of shape (B,).
        epsilon: Radius of the ℓ∞ ball, for pixels in [0, 1].
        steps: Number of steps.
        step_size: Length of a step; 2.5·ε/steps when left out, so that the border can be reached from any start.
        loss: Maps logits and labels to the scalar that is driven up.
        generator: Draws the start, uniform in the ball.

    Returns:
        Images of the same shape, in [0, 1], within ε of the clean ones; no gradient attached.

    Source:
        Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
        >>> clean, labels = torch.full((4, 3, 2, 2), 0.5), torch.tensor([0, 1, 0, 1])
        >>> moved = pgd(model, clean, labels, epsilon=0.1, steps=3, loss=nn.functional.cross_entropy)
        >>> bool((moved - clean).abs().max() <= 0.1 + 1e-6)
        True
    """
    if epsilon < 0 or steps < 1:
        raise ValueError(f"`epsilon` must not be negative and `steps` at least 1, got {epsilon} and {steps}")
    length = 2.5 * epsilon / steps if step_size is None else step_size
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    moved = (images + epsilon * (2 * noise - 1)).clamp(0, 1)
    with crafting_mode(model), torch.enable_grad():
        for _ in range(steps):
            moved = moved.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(model(moved), labels), moved)
            moved = moved.detach() + length * gradient.sign()
            moved = torch.minimum(torch.maximum(moved, images - epsilon), images + epsilon).clamp(0, 1)
    return moved.detach()


@contextmanager
def crafting_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode and no parameter gradients inside; each module's own mode and each parameter's own flag afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval()
    for parameter, _ in flags:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def robust_accuracy(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    epsilon: float,
    steps: int = 20,
    restarts: int = 2,
    seed: int = 0,
) -> float:
    """Fraction of images whose class stays right under every one of several PGD attacks on the cross-entropy.

    Args:
        model: Maps images in [0, 1] to logits.
        batches: Pairs of images (B, 3, H, W), uint8 or float in [0, 1], and labels (B,).
        epsilon: Radius of the ball, for pixels in [0, 1].
        steps: Steps of an attack, each of length 2.5·ε/steps.
        restarts: Number of attacks from different random starts. The clean image counts as one more.
        seed: Of the random starts.

    Returns:
        A fraction in [0, 1]; never above the clean accuracy, and it falls with ε.
    """
    right = total = 0
    with crafting_mode(model):
        for number, (images, labels) in enumerate(batches):
            pixels = images.float() / 255 if images.dtype == torch.uint8 else images
            with torch.no_grad():
                standing = model(pixels).argmax(1) == labels
            for restart in range(restarts):
                if not standing.any():
                    break
                generator = torch.Generator(pixels.device).manual_seed(hash((seed, number, restart)) & (2**63 - 1))
                rows = standing.nonzero().squeeze(1)
                moved = pgd(
                    model,
                    pixels[rows],
                    labels[rows],
                    epsilon=epsilon,
                    steps=steps,
                    loss=nn.functional.cross_entropy,
                    generator=generator,
                )
                with torch.no_grad():
                    standing[rows] = model(moved).argmax(1) == labels[rows]
            right += int(standing.sum())
            total += len(labels)
    if total == 0:
        raise ValueError("`batches` holds no image")
    return right / total
