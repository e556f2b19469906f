"""Looking into a network: which of its layers can be read, and where images and channels lie in what they return."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import NCTransferError
from ..layouts import (
    Layout,
    Undecided,
    batch_axes,
    block_axis,
    channel_axis,
    choose_path,
    input_shapes,
    tensors_in,
    upstream_axis,
)

__all__ = ["Look", "kept_modes", "look_inside"]

Shapes = dict[Any, tuple[int, ...]]


@dataclasses.dataclass
class Look:
    """Findings of a few forward passes through a network.

    Attributes:
        output: Where in its output the features are.
        feature_dim: Their number D.
        layouts: Of the layers that can be read, in the order in which they finish.
        shapes: Shape of each for one image.
        reasons: Why each of the others cannot.
    """

    output: Layout
    feature_dim: int
    layouts: dict[str, Layout]
    shapes: dict[str, tuple[int, ...]]
    reasons: dict[str, str]


@dataclasses.dataclass
class _Seen:
    """Findings of one pass about one module: the shapes in its output and input, and how often it was called."""

    output: Shapes
    inputs: list[tuple[int, ...]]
    calls: int = 1


def look_inside(
    encoder: nn.Module,
    names: Sequence[str],
    size: int,
    prepare: Callable[[Tensor], Tensor],
    device: torch.device,
    told: Mapping[str, Layout],
) -> Look:
    """Decide the layout of every named layer from three small passes, and from the layers' weights where sizes say nothing.

    Args:
        encoder: The network; its modes, hooks and weights are as before afterwards.
        names: ``named_modules()`` names.
        size: Side of its input.
        prepare: Normalises images in [0, 1].
        device: Where the network lies.
        told: Layouts that are not to be decided.

    Raises:
        Undecided: the network's own output is not one vector per image.
        Exception: whatever the network raises on images of this size.
    """
    draw = torch.Generator().manual_seed(0)

    def images(count: int, side: int) -> Tensor:
        return prepare(torch.rand(count, 3, side, side, generator=draw).to(device))

    with kept_modes(encoder), torch.no_grad(), torch.random.fork_rng(devices=[]):
        encoder.eval()
        two = images(2, size)
        first = _watch(encoder, names, two)
        second = _watch(encoder, names, images(3, size))
        resized = _resized(encoder, names, size, images)
        output = _output_layout(first[""], second[""])
        look = Look(output, first[""].output[output.path][output.channels], {}, {}, {})
        open_cases: dict[str, Layout] = {}
        for name in first:
            if name == "":
                continue
            try:
                layout, certain = told.get(name), True
                if layout is None:
                    layout, certain = _by_sizes(name, first, second, resized)
                elif layout.path not in first[name].output or max(layout.batch, layout.channels) >= len(
                    first[name].output[layout.path]
                ):
                    raise Undecided(
                        f"its output {list(first[name].output.values())} is not of the layout that was given"
                    )
            except Undecided as reason:
                look.reasons[name] = str(reason)
                continue
            look.layouts[name] = layout
            shape = first[name].output[layout.path]
            look.shapes[name] = tuple(size for axis, size in enumerate(shape) if axis != layout.batch)
            if not certain:
                open_cases[name] = layout
        _by_weights(encoder, two, open_cases, look)
    look.reasons |= {name: "it is not called in a forward pass" for name in names if name not in first}
    return look


@contextmanager
def kept_modes(module: nn.Module) -> Iterator[None]:
    """Leave every submodule in the mode in which it was."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _watch(encoder: nn.Module, names: Sequence[str], inputs: Tensor) -> dict[str, _Seen]:
    """Shapes by layer in the order in which the layers finish; the network's own output under the empty name."""
    seen: dict[str, _Seen] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: Any, keywords: Any, output: Any) -> None:
            calls = seen.pop(name).calls + 1 if name in seen else 1
            shapes = {path: tuple(tensor.shape) for path, tensor in tensors_in(output)}
            seen[name] = _Seen(shapes, input_shapes(given, keywords), calls)

        return hook

    handles = [encoder.get_submodule(name).register_forward_hook(keep(name), with_kwargs=True) for name in names]
    try:
        output = encoder(inputs)
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(output, torch.Tensor) and not any(True for _ in tensors_in(output)):
        raise Undecided(f"it returns {type(output).__name__}, in which there is no tensor")
    return {**seen, "": _Seen({path: tuple(tensor.shape) for path, tensor in tensors_in(output)}, [])}


def _resized(
    encoder: nn.Module, names: Sequence[str], size: int, images: Callable[[int, int], Tensor]
) -> dict[str, _Seen]:
    """The same for another image size, empty where the network takes none."""
    for side in (size // 2 // 32 * 32, 2 * size):
        if not 16 <= side <= 512:
            continue
        try:
            return _watch(encoder, names, images(2, side))
        except Exception:  # whatever a network raises on a size that it was not built for
            continue
    return {}


def _output_layout(first: _Seen, second: _Seen) -> Layout:
    """The one tensor of the network's output that is a vector per image."""
    flat = {
        path: axis
        for path, axis in batch_axes(first.output, second.output, (2, 3)).items()
        if axis == 0 and all(size == 1 for size in first.output[path][2:])
    }
    vectors = {path: axis for path, axis in flat.items() if len(first.output[path]) == 2}
    flat = vectors or flat
    if not flat:
        shapes = ", ".join(str(shape) for shape in first.output.values())
        raise Undecided(f"it returns shape {shapes}, not one feature vector per image")
    try:
        path = choose_path(first.output, flat)
    except Undecided:
        named = [path for path in flat if path[-1] in ("pooler_output", "features", "embeddings")]
        if len(named) != 1:
            listed = ", ".join(f"{'.'.join(map(str, path))}: {first.output[path]}" for path in flat)
            raise Undecided(f"it returns {len(flat)} tensors that could be its features ({listed})") from None
        path = named[0]
    return Layout(0, 1, path)


def _by_sizes(
    name: str, first: dict[str, _Seen], second: dict[str, _Seen], resized: dict[str, _Seen]
) -> tuple[Layout, bool]:
    """The layout as far as sizes tell it, and whether they tell it whole."""
    seen, other = first[name], second.get(name)
    if seen.calls > 1 or other is None:
        raise Undecided(f"one forward pass calls it {seen.calls} times")
    batch = batch_axes(seen.output, other.output, (2, 3))
    path = choose_path(seen.output, batch, seen.inputs)
    larger = resized[name].output.get(path) if name in resized else None
    channels = channel_axis(seen.output[path], batch[path], larger)
    return Layout(batch[path], 0 if channels is None else channels, path), channels is not None


def _by_weights(encoder: nn.Module, inputs: Tensor, open_cases: dict[str, Layout], look: Look) -> None:
    """Ask the weights of the layers that sizes say nothing of; layers of one kind and shape are asked once."""
    if not open_cases:
        return
    known: dict[Any, int | None] = {}

    def keep(name: str, layout: Layout) -> Callable[..., None]:
        def hook(module: nn.Module, given: Any, keywords: Any, output: Any) -> None:
            kind = _kind(module, given, layout.tensor(output))
            if kind not in known:
                known[kind] = block_axis(module, given, keywords, layout)
            axis = known[kind]
            if axis is None:
                axis = upstream_axis(encoder, name, inputs, layout)
            if axis is None:
                shape = look.shapes[name]
                look.reasons[name] = f"which axis of its output {shape} holds the channels cannot be told"
                del look.layouts[name], look.shapes[name]
            else:
                look.layouts[name] = dataclasses.replace(layout, channels=axis)

        return hook

    handles = [
        encoder.get_submodule(name).register_forward_hook(keep(name, layout), with_kwargs=True)
        for name, layout in open_cases.items()
    ]
    try:
        encoder(inputs)
    except NCTransferError as error:  # pragma: no cover - the output changed its form between two passes
        raise Undecided(str(error)) from error
    finally:
        for handle in handles:
            handle.remove()


def _kind(module: nn.Module, given: Any, output: Tensor) -> Any:
    plain = tuple(sorted((key, value) for key, value in vars(module).items() if isinstance(value, bool | int | str)))
    parameters = tuple((name, tuple(value.shape)) for name, value in module.named_parameters())
    kinds = tuple(type(part).__name__ for part in module.modules())
    entered = tuple(tuple(tensor.shape) for _, tensor in tensors_in(given))
    return type(module), kinds, plain, parameters, entered, tuple(output.shape)
