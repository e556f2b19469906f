"""The rest of a page: the data, how to use the model, what the run stood on, and a glossary."""

from __future__ import annotations

import json
import shlex
from typing import Any

from .blocks import Block, Code, Details, Facts, Glossary, Section
from .source import Source
from .text import amount, count, duration, mapping, number, shorten, words

__all__ = ["conditions_section", "fact", "glossary_section", "use_section", "warnings_of"]

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


def warnings_of(result: dict[str, Any]) -> list[str]:
    """The warnings of the run, as sentences.

    Example:
        >>> warnings_of({"warnings": ["warning: few images", None]})
        ['Few images.']
    """
    given = result.get("warnings")
    return [sentence(item) for item in given if words(item)] if isinstance(given, list) else []


def sentence(note: str) -> str:
    """A note of the log as a sentence: without its label, with a capital and a full stop.

    Example:
        >>> sentence("warning: 2 images were skipped")
        '2 images were skipped.'
    """
    text = words(note).removeprefix("warning: ").strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def glossary_section(terms: list[str] | None = None) -> Section:
    """What the page's words mean; all of them, or those named."""
    chosen = [(term, text) for term, text in _GLOSSARY.items() if terms is None or term in terms]
    return Section("In plain words", [Glossary(chosen)])


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
            Code(f"nctransfer predict {shown} photo.jpg", "Class and probability of an image, or of a folder of them"),
            Code(f"nctransfer predict {shown} photos/ --csv", "The same as CSV (or --json)"),
            Code(
                f"import nctransfer\n\nfor found in nctransfer.predict({json.dumps(path, ensure_ascii=False)}, "
                '["photo.jpg"]):\n    print(found.label, found.probability)',
                "From Python",
            ),
        ],
        "The tuned network lies in this run's folder, with its classes, preprocessing and hashes.",
    )


def conditions_section(source: Source) -> Section:
    """Network, hardware, versions and configuration."""
    result, environment = source.result, source.environment_or_result
    model = mapping(result.get("model"))
    preprocess = mapping(model.get("preprocess"))
    size = number(model.get("image_size"))
    facts = [
        ("Network", words(model.get("name"))),
        ("Parameters", amount(model["total_parameters"]) if number(model.get("total_parameters")) else ""),
        ("Feature width", count(model["feature_dim"]) if number(model.get("feature_dim")) else ""),
        ("Image size", f"{count(size)} × {count(size)} pixels" if size else ""),
        ("Preprocessing", "; ".join(f"{key} {text}" for key, value in preprocess.items() if (text := fact(value)))),
        ("Weights", words(model.get("weights"))),
        ("Licence of the weights", words(model.get("license"))),
        ("Seed", words(result.get("seed"))),
        ("Processor", words(environment.get("processor"))),
        ("Cores", words(environment.get("cores"))),
        ("Devices", "none but the CPU" if environment.get("devices") == [] else fact(environment.get("devices"))),
        ("Platform", words(environment.get("platform"))),
        ("Versions", fact({**mapping(environment.get("versions")), **mapping(result.get("versions"))})),
        ("Whole run", duration(cost) if (cost := number(mapping(result.get("cost")).get("seconds"))) else ""),
        ("Date", words(environment.get("date"))),
        ("Command", _command(environment.get("command"))),
    ]
    known = [(name, text) for name, text in facts if text]
    blocks: list[Block] = [Facts(known)] if known else []
    if source.config:
        text = json.dumps(source.config, indent=1, ensure_ascii=False, sort_keys=True)
        blocks.append(Details("Configuration", [Code(text)]))
    return Section("What this run stood on", blocks)


def _command(command: Any) -> str:
    if isinstance(command, str):
        return command
    return " ".join(shlex.quote(words(part)) for part in command) if isinstance(command, list) else ""
