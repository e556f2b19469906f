"""Fitting a tuned network: the task, its batches and its validation put together, and the loop run to the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..engine import Batches, Checkpoints, EpochReport, Hooks, Journal, Listener, Plan, Runtime, StopRequest, train
from ..runs import RunFolder
from .task import FitOutcome, TuningTask

__all__ = ["Keeping", "fit"]


class Keeping:
    """Where a method in progress is kept, so that it goes on after a kill: checkpoints and a line for each epoch.

    Args:
        run: The run folder.
        listeners: Told each line.
        write: Whether this process writes.
    """

    def __init__(self, run: RunFolder, listeners: Sequence[Listener] = (), *, write: bool = True) -> None:
        self.run, self.listeners, self.writes = run, listeners, write
        self.checkpoints = Checkpoints(
            run.checkpoints,
            remedy="remove the files step-* there and go on with --resume; the method in progress then starts anew",
        )
        self._journal: Journal | None = None

    def begin(self, method: str, reported: int) -> None:
        """Take out the lines of epochs after the first ``reported``, which will be trained or validated again."""
        self._journal = Journal(
            self.run,
            self.listeners,
            keep=lambda record: record.get("method") != method or record.get("epoch", 0) <= reported,
            write=self.writes,
        )

    def write(self, method: str, unit: str | None, report: EpochReport, val_accuracy: float | None) -> None:
        """A line for an epoch."""
        assert self._journal is not None, "begin comes first"
        self._journal.write({"method": method, "unit": unit, **vars(report), "val_accuracy": val_accuracy})

    def done(self) -> None:
        """The method is finished and stands in the ledger: its checkpoints go."""
        if self.writes:
            self.checkpoints.discard_from(0)


def fit(
    task: TuningTask,
    batches: Batches,
    plan: Plan,
    runtime: Runtime,
    *,
    stop: StopRequest | None = None,
    keeping: Keeping | None = None,
    advance: Callable[[int], None] = lambda parts: None,
) -> FitOutcome:
    """Train ``task`` and leave its model at the epoch that is kept.

    Args:
        task: What to tune.
        batches: Training batches.
        plan: How long and how fast.
        runtime: Device, precision, processes.
        stop: Says whether to stop.
        keeping: Where the state is kept; a kill loses it where left out.
        advance: Told the number of epochs just done.

    Raises:
        Diverged: the loss is not finite.
        PreemptedError: told to stop.
    """
    method, unit = task.label, task.model.unit
    validated = 0.0

    def begin(step: int) -> int:
        nonlocal validated
        started = time.perf_counter()
        reported = task.begin(step)
        validated += time.perf_counter() - started
        if keeping is not None:
            keeping.begin(method, reported)
        advance(reported)
        return reported

    def epoch(report: EpochReport) -> None:
        nonlocal validated
        started = time.perf_counter()
        accuracy = task.end_epoch(report, last=report.epoch == plan.epochs)
        validated += time.perf_counter() - started
        if keeping is not None:
            keeping.write(method, unit, report, accuracy)
        advance(1)

    hooks = Hooks(stop=stop or StopRequest(), begin=begin, epoch=epoch)
    if keeping is not None:
        hooks.checkpoints, hooks.resume = keeping.checkpoints, True
    trained = train(task, batches, plan, runtime, hooks)
    return task.finish(trained, trained.seconds + validated)
