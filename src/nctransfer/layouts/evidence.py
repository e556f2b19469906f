"""Deciding a layout from the module: from sizes where they differ, from its weights where they do not.

Shapes alone do not say where the channels are: (B, 14, 14, 14) may be anything. Three kinds of evidence do, in this order:

1. *Sizes.* Of two inputs, the axes whose size follows the number of images or the image size are images and positions.
2. *Weights.* One entry of a bias or scale belongs to one channel. Where raising it changes the output at exactly one
   index of one axis, and everywhere along the others, that axis holds the channels. This needs neither another input
   size nor knowledge of the module's kind.
3. *Norms.* Where weights disagree (an MLP-mixer has biases per token as well), the axis along which the module's own
   norms of the same shape scale.

What remains is undecided, with the reason; it is never guessed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .layout import Layout, Path, mapped, tensors_in

__all__ = ["Undecided", "batch_axes", "channel_axis", "choose_path", "layout_from_call", "votes"]

Shape = tuple[int, ...]
_PREFERRED = ("last_hidden_state", "hidden_states", "hidden_state", "x", "features")
_MOST_VECTORS = 10
_FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, LookupError)
"""Of a module that is run alone or on other sizes than it was made for; it then gives no evidence."""


class Undecided(Exception):
    """The layout cannot be told; the text says why."""


def batch_axes(first: Mapping[Path, Shape], second: Mapping[Path, Shape], sizes: tuple[int, int]) -> dict[Path, int]:
    """For every tensor whose axis of images can be told from two batch sizes: that axis.

    Args:
        first, second: Shapes by path, of a pass with ``sizes[0]`` and one with ``sizes[1]`` images.

    Example:
        >>> batch_axes({(0,): (7, 2, 5), (1,): (8, 5)}, {(0,): (7, 3, 5), (1,): (12, 5)}, (2, 3))
        {(0,): 1}
    """
    found = {}
    for path, shape in first.items():
        other = second.get(path, ())
        if len(other) != len(shape) or not 2 <= len(shape) <= 4:
            continue
        axes = [axis for axis, pair in enumerate(zip(shape, other, strict=True)) if pair == sizes]
        rest_agrees = all(
            one == two for axis, (one, two) in enumerate(zip(shape, other, strict=True)) if axis not in axes
        )
        if len(axes) == 1 and rest_agrees:
            found[path] = axes[0]
    return found


def choose_path(shapes: Mapping[Path, Shape], batch: Mapping[Path, int], like: Iterable[Shape] = ()) -> Path:
    """The one tensor of an output that is meant.

    Args:
        shapes: Of all tensors in the output, by path.
        batch: Axis of images of those that can be pooled.
        like: Shape of the module's one input, see :func:`input_shapes`: a block hands it on.

    Raises:
        Undecided: no tensor can be pooled, or several could be meant.
    """
    if not shapes:
        raise Undecided("it returns no tensor")
    if not batch:
        listed = ", ".join(str(shape) for shape in shapes.values())
        raise Undecided(f"no tensor in its output has 2 to 4 axes of which one is the images: {listed}")
    if len(batch) == 1:
        return next(iter(batch))
    for key in _PREFERRED:
        named = [path for path in batch if path[-1] == key]
        if len(named) == 1:
            return named[0]
    inputs = set(like)
    same = [path for path in batch if shapes[path] in inputs]
    if len(same) == 1:
        return same[0]
    listed = ", ".join(f"{'.'.join(map(str, path))}: {shapes[path]}" for path in batch)
    raise Undecided(f"it returns {len(batch)} tensors that could be meant ({listed})")


def input_shapes(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Shape]:
    """The shape of a module's one input tensor, in a list; empty where it is given several, or a list of them.

    A module that takes several maps and returns several may hand on any of them: their shapes say nothing.
    """
    given = [*arguments, *keywords.values()]
    shapes = [tuple(value.shape) for value in given if isinstance(value, torch.Tensor)]
    inner = any(True for _ in tensors_in([value for value in given if not isinstance(value, torch.Tensor)]))
    return shapes if len(shapes) == 1 and not inner else []


def channel_axis(shape: Shape, batch: int, resized: Shape | None = None) -> int | None:
    """The axis of channels as far as sizes tell it, else None.

    Args:
        shape: Of the tensor.
        batch: Its axis of images.
        resized: Its shape for another image size, if the network takes one.

    Example:
        >>> channel_axis((2, 14, 14, 14), 0, (2, 7, 7, 14)), channel_axis((2, 8, 1, 1), 0), channel_axis((2, 5, 8), 0)
        (3, 1, None)
    """
    rest = [axis for axis in range(len(shape)) if axis != batch]
    if len(rest) == 1:
        return rest[0]
    if resized is not None and len(resized) == len(shape):
        steady = [axis for axis in rest if shape[axis] == resized[axis] and shape[axis] > 1]
        moved = [axis for axis in rest if shape[axis] != resized[axis]]
        if moved and len(steady) == 1:
            return steady[0]
    wide = [axis for axis in rest if shape[axis] > 1]
    return wide[0] if len(wide) == 1 else None


@torch.no_grad()
def votes(run: Callable[[], Tensor], parameters: Iterable[Tensor], batch: int) -> set[int]:
    """Axes of ``run()`` that a parameter's first entry reaches at exactly one index, and the other axes throughout.

    Args:
        run: Computes the output; always from the same input.
        parameters: Changed one at a time and put back.
        batch: The axis of images, which never counts.
    """
    base = run().double()
    if not bool(base.isfinite().all()):
        return set()
    found = set()
    step = 10 * (1 + float(base.abs().max()))
    for parameter in parameters:
        kept = parameter.detach().clone()
        reached = torch.zeros_like(base, dtype=torch.bool)
        for sign in (1, -1):  # a ReLU behind the bias hides one of them
            first = parameter.view(-1)[:1] if _is_vector(parameter) else parameter[0]
            first.add_(sign * step)
            moved = (run().double() - base).abs()
            parameter.copy_(kept)
            if bool(moved.isfinite().all()) and float(moved.max()) > 0:
                reached |= moved > 1e-4 * moved.max()
            axis = _single_axis(reached, batch, max(parameter.shape) if _is_vector(parameter) else parameter.shape[0])
            if axis is not None:
                found.add(axis)
                break
    return found


def _single_axis(reached: Tensor, batch: int, size: int) -> int | None:
    anywhere = reached.any(batch, keepdim=True)
    single = []
    for axis in range(anywhere.dim()):
        if axis == batch or anywhere.shape[axis] == 1:
            continue
        others = [other for other in range(anywhere.dim()) if other != axis]
        if int(anywhere.any(dim=tuple(others)).sum()) == 1:
            single.append(axis)
    if len(single) != 1 or anywhere.shape[single[0]] != size:
        return None
    part = anywhere.any(single[0])
    return single[0] if float(part.double().mean()) > 0.9 else None


def _is_vector(parameter: Tensor) -> bool:
    return parameter.dim() > 0 and parameter.numel() == max(parameter.shape)


def block_axis(block: nn.Module, arguments: Sequence[Any], keywords: Mapping[str, Any], layout: Layout) -> int | None:
    """The axis of channels of a block's output as its weights and norms tell it, else None.

    Works on a copy in eval mode; the block itself, its hooks and its buffers are not touched.

    Args:
        block: The module.
        arguments, keywords: What it was called with.
        layout: Path and axis of images; its axis of channels is ignored.
    """
    try:
        twin = bare_copy(block)
        own = next((p.dtype for p in twin.parameters() if p.is_floating_point()), torch.float32)
        run = _runner(twin, arguments, keywords, own, layout)
        with torch.no_grad():
            shape = tuple(run().shape)
        vectors = [p for p in twin.parameters() if _is_vector(p) and p.numel() > 1 and p.is_floating_point()]
        found = votes(run, vectors[::-1][:_MOST_VECTORS], layout.batch)
        if not found:
            rows = [
                module.weight
                for module in twin.modules()
                if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d) and len(module.weight) > 1
            ]
            found = votes(run, rows[::-1][:_MOST_VECTORS], layout.batch)
        if len(found) != 1:
            found = _norm_axes(twin, run, shape, layout.batch) or found
    except _FAILURES:
        return None  # a block that cannot be copied or run alone gives no evidence
    return found.pop() if len(found) == 1 else None


def upstream_axis(network: nn.Module, name: str, inputs: Tensor, layout: Layout) -> int | None:
    """The axis of channels of a layer without weights, as the weights before it tell it, else None."""
    if any(True for _ in network.get_submodule(name).parameters()):
        return None
    try:
        twin = bare_copy(network)
        caught: list[Any] = []
        weighted: list[nn.Module] = []
        twin.get_submodule(name).register_forward_hook(lambda module, given, output: caught.append(output))
        for part in twin.modules():
            if not list(part.children()) and list(part.parameters()):
                part.register_forward_hook(lambda module, *_: weighted.append(module) if not caught else None)

        def run() -> Tensor:
            caught.clear()
            twin(inputs.clone())
            return layout.tensor(caught[0])

        with torch.no_grad():
            run()
        for part in list(dict.fromkeys(weighted[::-1]))[:8]:
            found = votes(run, [value for value in part.parameters() if _is_vector(value)], layout.batch)
            if len(found) == 1:
                return found.pop()
    except _FAILURES:
        return None
    return None


def bare_copy(module: nn.Module) -> nn.Module:
    """A copy in eval mode, without hooks and without gradients."""
    twin = copy.deepcopy(module).eval().requires_grad_(False)
    for value in twin.state_dict().values():
        if value.is_floating_point():
            value.copy_(_finite(value))
    for part in twin.modules():
        part._forward_hooks.clear()
        part._forward_pre_hooks.clear()
    return twin


def _finite(values: Tensor) -> Tensor:
    """The same with small random numbers for NaN and infinity: where channels lie does not hang on the values."""
    bad = ~values.isfinite()
    if not bool(bad.any()):
        return values
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
    return torch.where(bad, 0.1 * noise, values)


def _runner(
    twin: nn.Module, arguments: Sequence[Any], keywords: Mapping[str, Any], dtype: torch.dtype, layout: Layout
) -> Callable[[], Tensor]:
    def fresh(tensor: Tensor) -> Tensor:
        tensor = tensor.detach().clone()
        return _finite(tensor.to(dtype)) if tensor.is_floating_point() else tensor

    # Cloned each time: some blocks change their input in place.
    return lambda: layout.tensor(twin(*mapped(fresh, tuple(arguments)), **mapped(fresh, dict(keywords))))


def _norm_axes(twin: nn.Module, run: Callable[[], Tensor], shape: Shape, batch: int) -> set[int]:
    """Axes along which the norms of the same shape as the output scale."""
    entered: dict[nn.Module, Tensor] = {}
    handles = [
        module.register_forward_pre_hook(lambda module, given: entered.__setitem__(module, given[0].clone()))
        for module in twin.modules()
        if "norm" in type(module).__name__.lower() and not list(module.children())
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    found: set[int] = set()
    for norm, given in entered.items():
        if tuple(given.shape) == shape:
            vectors = [parameter for parameter in norm.parameters() if _is_vector(parameter) and parameter.numel() > 1]
            found |= votes(partial(_again, norm, given), vectors, batch)
    return found


def _again(module: nn.Module, given: Tensor) -> Tensor:
    return module(given.clone())


def layout_from_call(
    module: nn.Module, arguments: Sequence[Any], keywords: Mapping[str, Any], output: Any, num_images: int
) -> Layout:
    """The layout of one call's output, for a module of which nothing but this call is known.

    Args:
        module: What was called.
        arguments, keywords: What with.
        output: What it returned.
        num_images: How many images the call was for.

    Raises:
        Undecided: with the reason.
    """
    shapes = {path: tuple(tensor.shape) for path, tensor in tensors_in(output)}
    batch: dict[Path, int] = {}
    for path, shape in shapes.items():
        axes = [axis for axis, size in enumerate(shape) if size == num_images]
        if 2 <= len(shape) <= 4 and axes:
            batch[path] = _image_axis(module, arguments, keywords, path, shape, axes)
    like = input_shapes(arguments, keywords)
    path = choose_path(shapes, batch, like)
    shape = shapes[path]
    layout = Layout(batch[path], 0, path)
    channels = channel_axis(shape, layout.batch)
    if channels is None:
        channels = block_axis(module, arguments, keywords, layout)
    if channels is None:
        raise Undecided(f"which axis of its output {shape} holds the channels cannot be told")
    return Layout(layout.batch, channels, path)


def _image_axis(
    module: nn.Module, arguments: Sequence[Any], keywords: Mapping[str, Any], path: Path, shape: Shape, axes: list[int]
) -> int:
    """Of the axes that are as long as the batch, the one that is the batch: the first, but for sequence-first modules."""
    if len(shape) != 3 or axes[:2] != [0, 1]:
        return axes[0]
    order = {part.batch_first for part in module.modules() if isinstance(getattr(part, "batch_first", None), bool)}
    if len(order) == 1:
        return 0 if order.pop() else 1
    apart = [axis for axis in axes[:2] if _keeps_apart(module, arguments, keywords, Layout(axis, 2, path), shape)]
    if len(apart) != 1:
        raise Undecided(f"images and positions of its output {shape} are equally many")
    return apart[0]


def _keeps_apart(
    module: nn.Module, arguments: Sequence[Any], keywords: Mapping[str, Any], layout: Layout, shape: Shape
) -> bool:
    """Whether what enters at one index of an axis reaches the output at that index alone, as it does for images."""

    def changed(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.is_floating_point() and tuple(value.shape) == shape:
            value = value.detach().clone()
            part = value.select(layout.batch, 0)
            part += torch.linspace(1, 2, part.numel()).to(value).view_as(part)
        return value

    try:
        twin = bare_copy(module)
        own = next((p.dtype for p in twin.parameters() if p.is_floating_point()), torch.float32)
        with torch.no_grad():
            base = _runner(twin, arguments, keywords, own, layout)()
            moved = _runner(twin, [changed(value) for value in arguments], keywords, own, layout)() != base
    except _FAILURES:
        return True
    others = [axis for axis in range(moved.dim()) if axis != layout.batch]
    return int(moved.any(dim=tuple(others)).sum()) <= 1
