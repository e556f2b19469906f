"""Write docs/record.md: every field of a run's record, from the models themselves.

    python docs/record_fields.py

A test holds that the committed page is what this makes.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from nctransfer.runs import SCHEMA_VERSION, PretrainRecord, RankRecord, Result, StudyResult, Summary

HEAD = f"""# The record of a run

Every run folder holds `result.json`, the record from which its page is made. Its schema is a set of frozen pydantic models in
`nctransfer.runs`, of which this page is made (`python docs/record_fields.py`); this is version {SCHEMA_VERSION}.

```python
import nctransfer

record = nctransfer.load_run("runs/digits-tf_efficientnet_lite0")
print(record.best_method, record.best.test_accuracy, record.layers[-1].nc1)
```

`load_run` gives a `Result` for `auto`, `tune` and `probe`, a `PretrainRecord` for `pretrain`, a `Summary` for a folder
of several networks or seeds, a `StudyResult` for the paper's studies, and a `RankRecord` for `rank`. Results that an
earlier version wrote are brought up to date in memory; a result of a later version, or one with an invalid value, is
refused with the place of the value named.

A number that is missing is `null`, and its reason stands in the same row: under `notes`, by the field's name, or in
`cost_note` for time and memory of a step. A field without a default is always written; of the others, only those that the
run set. A field is never renamed: where its meaning changes, a new one is added and the version is raised.
"""


def page() -> str:
    """The page as Markdown."""
    done: dict[str, type[BaseModel]] = {}
    for kind in (Result, PretrainRecord, Summary, StudyResult, RankRecord):
        for model in models_of(kind):
            done.setdefault(model.__name__, model)
    return HEAD + "".join(_section(model) for model in done.values())


def models_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inner in _inside(field.annotation):
            yield from models_of(inner)


def _inside(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in typing.get_args(annotation) for found in _inside(argument)]


def _section(model: type[BaseModel]) -> str:
    lines = [
        f"\n## {model.__name__}\n",
        (model.__doc__ or "").strip().replace("``", "`") + "\n",
        "| key | holds | meaning |",
        "|---|---|---|",
    ]
    for name, field in model.model_fields.items():
        holds = _shown(field.annotation) + ("" if field.is_required() else ", optional")
        lines.append(f"| `{field.alias or name}` | {holds} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown(annotation: object) -> str:
    """A type in words.

    >>> _shown(dict[str, tuple[int, ...]]), _shown(float | None)
    ('map of lists of whole numbers', 'number or null')
    """
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
    if isinstance(annotation, type) and annotation in plain:
        return plain[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _shown(arguments[0])
    if origin is typing.Literal:
        return " or ".join(f"`{word}`" for word in arguments)
    if origin is dict:
        return f"map of {_many(arguments[1])}"
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_many(arguments[0])}"
    if origin is tuple:
        return f"list of {len(arguments)}: " + ", ".join(_shown(argument) for argument in arguments)
    if origin is not None:
        return " or ".join(dict.fromkeys(_shown(argument) for argument in arguments))
    return "any value"


def _many(annotation: object) -> str:
    said = _shown(annotation)
    said = re.sub(r"^(list|map) of", r"\1s of", said)
    return {"text": "texts", "whole number": "whole numbers", "number": "numbers"}.get(said, said)


if __name__ == "__main__":
    (Path(__file__).parent / "record.md").write_text(page(), encoding="utf-8")
