"""Writing a network in each format, and opening what was written to run it: images (B, 3, S, S) uint8 to logits (B, K)."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import SetupError, UsageError

__all__ = ["INPUT", "OUTPUT", "Runner", "open_model", "write_model"]

INPUT, OUTPUT = "images", "logits"
_EMBED_LIMIT = 3 << 29  # bytes; a protobuf holds 2 GiB, larger weights lie beside the file
Runner = Callable[[np.ndarray], np.ndarray]
"""Images (B, 3, S, S), uint8, to logits (B, K), float32."""


def write_model(model: nn.Module, example: Tensor, form: str, path: Path) -> None:
    """Write a network so that it takes batches of any number.

    Args:
        model: In eval mode, on the processor.
        example: Two images, (2, 3, S, S), uint8.
        form: ``onnx``, ``torchscript`` or ``exported-program``.
        path: The file.

    Raises:
        UsageError: the network cannot be traced; it is named, with the exporter's reason.
        SetupError: a package that the format needs is not installed.
    """
    writer = {"onnx": _write_onnx, "torchscript": _write_torchscript, "exported-program": _write_program}[form]
    with _quiet():
        writer(model, example, path)


def open_model(form: str, path: Path) -> Runner:
    """Open a written model, ready to run on the processor."""
    if form == "onnx":
        return open_onnx(path)
    with _quiet():
        module: Any = torch.jit.load(str(path)) if form == "torchscript" else torch.export.load(path).module()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(images)).float().numpy()

    return run


def open_onnx(path: Path) -> Runner:
    """An ONNX file as a function."""
    from .exported import open_session

    session = open_session(path, threads=torch.get_num_threads())
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def _program(model: nn.Module, example: Tensor, form: str) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    try:
        return torch.export.export(model, (example,), dynamic_shapes=({0: batch},), strict=False)
    except Exception as error:
        raise _untraceable(model, example, form, error) from error


def _write_program(model: nn.Module, example: Tensor, path: Path) -> None:
    torch.export.save(_program(model, example, "exported-program"), path)


def _write_onnx(model: nn.Module, example: Tensor, path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError as error:
            raise SetupError(
                f"{package} is not installed", where="--to onnx", remedy="pip install 'nctransfer[onnx]'"
            ) from error
    program = _program(model, example, "onnx")
    try:
        made = torch.onnx.export(
            program, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False, optimize=True
        )
    except Exception as error:
        raise _untraceable(model, example, "onnx", error) from error
    assert made is not None
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    made.save(str(path), external_data=size > _EMBED_LIMIT)


def _write_torchscript(model: nn.Module, example: Tensor, path: Path) -> None:
    if _reads_pixels(model, example):  # a trace would follow the path of the example for every image, and say nothing
        raise _untraceable(model, example, "torchscript")
    try:
        with torch.inference_mode():
            traced = torch.jit.trace(model, example, check_trace=False)
    except Exception as error:
        raise _untraceable(model, example, "torchscript", error) from error
    traced.save(str(path))


class _Reads(TorchDispatchMode):
    """Notes the numbers that Python takes out of tensors while a network runs (``float(x)``, ``if x:``)."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._local_scalar_dense.default:
            self.values.append(repr(result))
        return result


def _reads_pixels(model: nn.Module, example: Tensor) -> bool:
    """Whether numbers that the forward pass reads in Python change with the image; settings kept in buffers do not."""
    found = []
    for images in (example, 255 - example, torch.zeros_like(example)):
        with torch.no_grad(), _Reads() as reads:
            model(images)
        found.append(reads.values)
    return any(values != found[0] for values in found)


def _untraceable(model: nn.Module, example: Tensor, form: str, error: Exception | None = None) -> UsageError:
    others = [name for name in ("onnx", "torchscript", "exported-program") if name != form]
    remedy = "tune a network whose forward pass is the same for every image"
    reasons = []
    if _reads_pixels(model, example):  # no format can hold such a network
        reasons.append("its forward pass decides by the values of pixels")
    else:
        remedy = f"try --to {others[0]} or {others[1]}, or {remedy}"
    if error is not None:
        first = (str(error).strip().splitlines() or [""])[0]
        reasons.append(f"{type(error).__name__}: {first[:300]}")
    return UsageError(f"the network cannot be traced: {'; '.join(reasons)}", where=f"--to {form}", remedy=remedy)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporters warn of their own internals and print their progress."""
    import io
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        aside = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(aside), contextlib.redirect_stderr(aside):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
