"""The number that leads a page: accuracy, or balanced accuracy where the classes differ much in size."""

from __future__ import annotations

from dataclasses import dataclass

from ..runs import MethodSummary, Result, Summary
from .text import percent, significant

__all__ = ["ACCURACY", "BALANCED", "Lead", "lead_of", "lead_sentence", "of_classes"]

_MOST = 3.0


@dataclass(frozen=True)
class Lead:
    """Which number of a method leads; ``title`` opens a line, ``phrase`` stands in a sentence."""

    balanced: bool
    title: str
    phrase: str

    def value(self, row: MethodSummary) -> float | None:
        """The number on the test images, a fraction."""
        return row.balanced_accuracy if self.balanced else row.test_accuracy

    def interval(self, row: MethodSummary) -> tuple[float, float] | None:
        """Its 95 % interval."""
        return row.balanced_accuracy_interval if self.balanced else row.test_accuracy_interval


ACCURACY = Lead(False, "Test accuracy", "test accuracy")
BALANCED = Lead(True, "Balanced accuracy", "balanced accuracy")


def lead_of(record: Result | Summary) -> Lead:
    """Balanced accuracy where the largest class is over three times the smallest, if it was measured; else accuracy."""
    if isinstance(record, Summary):
        rows = [row for run in record.runs for row in run.methods.values()]
        ratios = [run.imbalance for run in record.runs]
    else:
        rows, ratios = list(record.methods.values()), [record.dataset.imbalance]
    uneven = any(ratio is not None and ratio > _MOST for ratio in ratios)
    return BALANCED if uneven and rows and all(row.balanced_accuracy is not None for row in rows) else ACCURACY


def lead_sentence(record: Result) -> str:
    """Why balanced accuracy leads; empty where it does not."""
    ratio = record.dataset.imbalance
    if ratio is None or not lead_of(record).balanced:
        return ""
    return (
        f"The largest class has {significant(ratio, 2)} times the images of the smallest. Accuracy rewards a model that "
        "ignores rare classes; in balanced accuracy and macro F1, which come first here, every class counts the same."
    )


def of_classes(row: MethodSummary) -> str:
    """Macro F1 and accuracy in the middle of a sentence, beside a leading balanced accuracy."""
    f1 = f"macro F1 {percent(row.macro_f1)}, " if row.macro_f1 is not None else ""
    return f"{f1}accuracy {percent(row.test_accuracy)}"
