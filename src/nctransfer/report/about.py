"""The rest of a page: the data, how to use the model, what the run stood on, and a glossary."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ..runs import Cost, ModelFacts, PretrainRecord, Result
from .blocks import Block, Code, Details, Facts, Glossary, Section
from .source import Source
from .text import amount, count, duration, join, number, percent, shorten, words

__all__ = ["conditions_section", "fact", "glossary_section", "use_section"]

_GLOSSARY = {
    "NC1": "How tightly the features of each class sit together, compared with how far the classes stand apart. Each "
    "image becomes a point in feature space; NC1 is the scatter of the points around the mean of their class, measured "
    "in units of the spread of those means. 0 means that all images of a class fall on one point; smaller is more "
    "collapsed. The value depends on the number of images and on the width of the layer: compare it within one page.",
    "Neural collapse": "What happens in the last layers of a well-trained classifier: the features of a class shrink "
    "to their mean. On the data of a new task, the more collapsed the features of a layer are, the easier a linear "
    "classifier can usually tell the classes apart.",
    "CDNV": "Class-distance normalised variance: the same idea as NC1, taken over pairs of classes. Smaller is more "
    "collapsed.",
    "Numerical rank": "How many directions the features of a class really use.",
    "Linear probe": "A linear classifier trained on the features of a network that stays as it is. Cheap, and the "
    "yardstick for everything else.",
    "Held-out images": "Images that the model in question was not trained on: the validation images or, where there are "
    "few, each training image in its turn (cross-validation). Everything is chosen on them, and nothing on the test images.",
    "Layer fine-tuning": "One part of the network is trained together with a new classifier; the rest stays frozen.",
    "SCL fine-tuning": "Skip-connection layer fine-tuning: like layer fine-tuning, and the output of the trained part "
    "is also added straight to the last features, past the frozen layers between.",
    "Full fine-tuning": "All parameters are trained.",
    "Penultimate": "The last features before the classifier.",
    "95\u00a0% interval": "The range in which the accuracy on many more such images would plausibly lie. Where two "
    "intervals overlap, the order of two methods may be luck.",
    "Balanced accuracy": "The accuracy of each class, averaged over classes, so that rare classes count as much as "
    "common ones.",
}


def glossary_section(terms: list[str] | None = None, more: dict[str, str] | None = None) -> Section:
    """The meaning of the page's words: all of them, or those named, and ``more`` that are not among them."""
    chosen = {term: text for term, text in _GLOSSARY.items() if terms is None or term in terms}
    rest = [(term, text) for term, text in (more or {}).items() if term not in chosen]
    return Section("In plain words", [Glossary([*chosen.items(), *rest])])


_FEATURES = {"cold": "computed", "warm": "found on disk", "partly warm": "partly found on disk"}


def fact(value: Any) -> str:
    """A plain value in a line; counts per class are left to their own table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return shorten(value, 300)
    if number(value) is not None:
        return count(value) if float(value).is_integer() else f"{value:.4g}"
    if isinstance(value, list):
        if not value:
            return ""
        items = [fact(item) for item in value[:8]]
        return ", ".join(item for item in items if item) + (f" … ({len(value)} in all)" if len(value) > 8 else "")
    if (
        isinstance(value, dict)
        and len(value) <= 16
        and not any(isinstance(item, dict | list) for item in value.values())
    ):
        return ", ".join(f"{key} {text}" for key, item in value.items() if (text := fact(item)))
    return ""


def use_section(source: Source) -> Section:
    """The commands that use the tuned model."""
    path = source.display_path
    shown = shlex.quote(path)
    return Section(
        "Use the model",
        [
            Code(
                f"nctransfer predict {shown} photo.jpg",
                "Class and calibrated probability of an image, or of a folder of them (--raw leaves the temperature out)",
            ),
            Code(f"nctransfer predict {shown} photos/ --csv", "The same as CSV (or --json)"),
            Code(
                f"import nctransfer\n\nfor found in nctransfer.predict({json.dumps(path, ensure_ascii=False)}, "
                '["photo.jpg"]):\n    print(found.label, found.probability)',
                "From Python",
            ),
        ],
        "The tuned network is in this run's folder, with its classes, preprocessing and hashes.",
    )


def conditions_section(
    source: Source, record: Result | PretrainRecord | None = None, title: str = "How this run was made"
) -> Section:
    """Network, hardware, versions and configuration; a record of several runs gives no network."""
    environment = source.environment
    facts = _network(record.model, record.seed) if record else []
    hardware = record.hardware if record else environment
    processor, cores = environment.processor or hardware.processor, environment.cores or hardware.cores
    devices = environment.devices or hardware.devices
    known = "devices" in environment.model_fields_set | hardware.model_fields_set
    versions = {**environment.versions, **(record.versions if record else {})}
    cost = source.record.cost
    facts += [
        ("Processor", processor),
        ("Cores", words(cores)),
        ("Accelerators", join(devices) if devices else "none" if known else ""),
        ("Device", hardware.device or ""),
        ("Precision", hardware.precision or ""),
        ("Processes", words(hardware.processes) if (hardware.processes or 1) > 1 else ""),
        ("Platform", environment.platform),
        ("Python", environment.python),
        ("Versions", fact(versions)),
        ("Total time", _total_time(cost) if cost and cost.seconds is not None else ""),
        ("Features", _FEATURES.get(cost.features or "", cost.features or "") if cost else ""),
        ("Date", environment.date),
        ("Command", " ".join(shlex.quote(part) for part in environment.command)),
    ]
    shown = [(name, text) for name, text in facts if text]
    blocks: list[Block] = [Facts(shown)] if shown else []
    if source.config:
        text = json.dumps(source.config, indent=1, ensure_ascii=False, sort_keys=True)
        blocks.append(Details("Configuration", [Code(text)]))
    return Section(title, blocks)


def _total_time(cost: Cost) -> str:
    """The time of the whole run; where it was resumed, what of it the last process took."""
    whole, last = duration(cost.whole), duration(cost.seconds)
    return whole if whole == last else f"{whole}, {last} of it since it was last resumed"


def _network(model: ModelFacts, seed: int | None) -> list[tuple[str, str]]:
    size, inputs = model.image_size, model.preprocess
    prepared = []
    if inputs:
        prepared = [
            f"mean {fact(list(inputs.mean))}" if inputs.mean else "",
            f"standard deviation {fact(list(inputs.std))}" if inputs.std else "",
            f"{inputs.interpolation} interpolation" if inputs.interpolation else "",
            f"centre crop {percent(inputs.crop_pct)} of the side" if inputs.crop_pct not in (None, 1.0) else "",
        ]
    return [
        ("Network", model.name),
        ("Parameters", amount(model.total_parameters) if model.total_parameters is not None else ""),
        ("Feature width", count(model.feature_dim) if model.feature_dim is not None else ""),
        ("Image size", f"{count(size)} × {count(size)} pixels" if size else ""),
        ("Preprocessing", "; ".join(part for part in prepared if part)),
        ("Weights", model.weights or ""),
        ("Licence of the weights", model.license or ""),
        ("Seed", words(seed)),
    ]
