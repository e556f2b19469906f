"""The cost of a training step of a method: seconds and memory, measured in a fresh process so that nothing else is counted."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import pickle
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch

from ..engine import CachedBatches, Loop, Runtime
from ..models import Network
from .methods import TuningMethod
from .task import TuningTask, tuning_plan
from .tuned import TunedNetwork
from .workbench import Workbench

__all__ = ["StepCost", "measure_cost", "measure_step"]

_STEPS = 3
StepCost = dict[str, Any]


def measure_cost(bench: Workbench, model: TunedNetwork) -> StepCost:
    """``seconds_per_step``, ``peak_memory_bytes`` (the whole process) and ``step_memory_bytes`` (above the model's own).

    All are None, with ``cost_note``, where the fresh process failed; a run does not fail for it. A network that cannot be
    sent to another process (a local class, say) counts as that.
    """
    if not bench.settings.step_cost:
        return _nothing("not asked for")
    if not bench.runtime.is_main or bench.runtime.world_size > 1:
        return _nothing("not measured in a run of several processes")
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    batch = min(bench.batch_size, len(bench.bundle.train))
    try:
        # As bytes: torch would share the memory of tensors that it sends, and the child would train ours.
        content = pickle.dumps(bench.network)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        return _nothing(f"the network cannot be sent to another process: {error}")
    arguments = (
        sender,
        content,
        model.method,
        model.unit,
        model.read_layers,
        bench.settings.adapter_rank,
        bench.num_classes,
        batch,
        str(bench.runtime.device),
        bench.runtime.precision,
        torch.get_num_threads(),
    )
    process = context.Process(target=_child, args=arguments, daemon=True)
    try:
        with _without_main(content):
            process.start()
    except OSError as error:
        return _nothing(f"no process could be started to measure it: {error}")
    sender.close()
    try:
        return json.loads(receiver.recv())
    except EOFError:
        return _nothing("the process that measures it ended early, probably for want of memory")
    finally:
        process.join()


@contextlib.contextmanager
def _without_main(content: bytes) -> Iterator[None]:
    """Keep a new process from importing the user's script, which would run it again where it lacks a main guard.

    Only a network of a class that the script itself defines needs that import.
    """
    main = sys.modules["__main__"]
    names = () if b"__main__" in content else ("__file__", "__spec__")
    hidden = {name: vars(main)[name] for name in names if name in vars(main)}
    try:
        for name in hidden:
            setattr(main, name, None)
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


def _context() -> Any:
    """A way to start processes that have imported this package and done nothing else.

    A fork server imports once and then hands out clean copies of itself; where there is none, each process imports anew.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _nothing(note: str) -> StepCost:
    return {"seconds_per_step": None, "peak_memory_bytes": None, "step_memory_bytes": None, "cost_note": note}


def _child(
    sender: Any,
    content: bytes,
    method: TuningMethod,
    unit: str | None,
    layers: tuple[str, ...] | None,
    rank: int,
    classes: int,
    batch: int,
    device: str,
    precision: str,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    network: Network = pickle.loads(content)
    model = TunedNetwork(network.optimise_layout(), method, unit, classes, layers, adapter_rank=rank).to(device)
    sender.send(json.dumps(measure_step(model, batch, runtime=Runtime(device, precision))))
    sender.close()


def measure_step(model: TunedNetwork, batch: int, steps: int = _STEPS, runtime: Runtime | None = None) -> StepCost:
    """Time and memory of training steps of ``model`` in this process, on random pixels: those of the training loop.

    Args:
        model: On its device.
        batch: Images of a step.
        steps: Number of steps, the first of which is not counted.
        runtime: Device and precision; a new one of the model's device, in fp32, where left out.

    Returns:
        ``seconds_per_step`` (median after a first step), ``peak_memory_bytes`` (largest resident memory of the process,
        or, on CUDA, the largest allocation) and ``step_memory_bytes`` (that above the memory before the first step).
    """
    device = next(model.parameters()).device
    size = model.network.size
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device=device)
    labels = torch.randint(0, model.num_classes, (batch,), device=device)
    batches = CachedBatches(images, labels, batch_size=batch, shuffle=False)
    task = TuningTask(model, 1e-6, validate=lambda tuned: 0.0)
    loop = Loop(task, batches, tuning_plan(task, epochs=steps), runtime or Runtime(str(device)))
    (whole,) = batches.epoch(0)
    model.train()
    before = _reset_peak(device)
    seconds = []
    for _ in range(steps):
        started = time.perf_counter()
        loop.take_step(whole)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    peak = _peak(device)
    loop.runtime.release()
    return {
        "seconds_per_step": statistics.median(seconds[1:]),
        "peak_memory_bytes": peak,
        "step_memory_bytes": None if peak is None or before is None else max(0, peak - before),
    }


def _reset_peak(device: torch.device) -> int | None:
    """Forget the largest memory so far; returns the memory in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return None
    return _status("VmRSS")


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    found = _status("VmHWM")
    if found is not None:
        return found
    try:
        import resource
    except ImportError:  # not on this system
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status(key: str) -> int | None:
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
