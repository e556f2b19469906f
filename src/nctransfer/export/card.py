"""The model card: what the exported model is, how it was made and how good it is, in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NCTransferError
from ..report import lead_of, lead_sentence
from ..runs import MethodRow, Result, load_run

if TYPE_CHECKING:
    from .run import ExportReport

__all__ = ["model_card"]


def model_card(folder: Path, manifest: dict[str, Any], report: ExportReport) -> str:
    """The card of an exported model.

    Args:
        folder: The run folder.
        manifest: The manifest of the exported model.
        report: The comparison with the run's own model.
    """
    try:
        record = load_run(folder)
    except NCTransferError:
        record = None
    row = record.methods.get(manifest["method"]) if isinstance(record, Result) else None
    classes = manifest["class_names"]
    facts = manifest["preprocessing"]
    block = f", block `{manifest['unit']}`" if manifest["unit"] else ""
    lines = [
        f"# {manifest['arch']} tuned on {manifest['data']}",
        "",
        "## The model",
        "",
        f"- Network: `{manifest['arch']}`, pretrained weights: {manifest['pretrained_weights']}",
        f"- Tuned by: {row.title if row else manifest['method']}{block}",
        f"- Classes ({len(classes)}): {', '.join(map(str, classes[:50]))}{', …' if len(classes) > 50 else ''}",
        f"- File: `{manifest['file']}` ({manifest['to']}), SHA-256 `{manifest['sha256']}`",
        "",
        "## Licences",
        "",
        f"- Pretrained weights: {_licence(manifest)}",
        "- Training data: _to be filled in by you_",
        "",
        "## Accuracy",
        "",
        *(_accuracy(record, row) if isinstance(record, Result) and row else ["No record of the run was found."]),
        "",
        "## Use",
        "",
        f"- Input `{manifest['input']}`: {manifest['input_type']}, of shape (batch, 3, {facts['size']}, {facts['size']}).",
        f"- Before: {facts['steps']}. Normalisation is inside the model.",
        f"- Output `{manifest['output']}`: logits of shape (batch, {len(classes)}); {_probabilities(manifest)}.",
        f"- `nctransfer predict {manifest['file']} photo.jpg` does all of this, without torch for an ONNX file.",
        "",
        "## Agreement with PyTorch",
        "",
        *(f"- {line}" for line in report.text().splitlines()[1:]),
        "",
        "## Limits",
        "",
        "- The accuracy holds for images like those of the data set named above. _Say here where it should not be used._",
        "",
    ]
    return "\n".join(lines)


def _licence(manifest: dict[str, Any]) -> str:
    """The licence of the weights that tuning started from."""
    if manifest["pretrained_weights"] == "random":
        return "none; the network started from random weights"
    return manifest["license"] or f"not known here; look where they come from ({manifest['pretrained_weights']})"


def _probabilities(manifest: dict[str, Any]) -> str:
    """How logits become probabilities."""
    temperature = manifest.get("temperature")
    if temperature is None:
        return f"softmax gives probabilities, not calibrated ({manifest.get('calibration') or 'the run has no temperature'})"
    how = manifest.get("calibration") or "of the run"
    return f"softmax(logits / {temperature:.6g}) gives calibrated probabilities (the temperature is {how})"


def _accuracy(record: Result, row: MethodRow) -> list[str]:
    plain = f"{row.test_accuracy:.1%} of {record.splits.test} images{_ends(row.test_accuracy_interval)}"
    even = f"{row.balanced_accuracy:.1%}{_ends(row.balanced_accuracy_interval)}"
    f1 = "" if row.macro_f1 is None else f", macro F1 {row.macro_f1:.1%}"
    if lead_of(record).balanced:
        tested = [
            f"- Test, every class counting the same: balanced accuracy {even}{f1}",
            f"- Test, every image counting the same: {plain}",
            f"- {lead_sentence(record)}",
        ]
    else:
        tested = [f"- Test: {plain}; balanced accuracy {even}{f1}"]
    images = record.splits.validation
    held = f"- Validation: {row.val_accuracy:.1%} of {images} images; method, block and rate were chosen on them"
    if row.out_of_fold_accuracy is not None:
        held = (
            f"- Held out: {row.out_of_fold_accuracy:.1%} of {row.out_of_fold_images} training and validation images, each by "
            "a fit that did not see it; the method was chosen on them"
        )
    return [*tested, held]


def _ends(interval: tuple[float, float] | None) -> str:
    return f" (95 % interval {interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
