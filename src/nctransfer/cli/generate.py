"""Options from settings: each field of a pydantic model becomes an option, its description the option's help.

A verb is a plain function with a parameter ``settings``; :func:`with_settings` puts the options in its place and hands
over those that the user gave, as a mapping. Checks stay with the model, so that an option, a YAML key and a keyword of
Python are refused in the same words.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.markup import escape

from ..errors import UsageError
from ..settings import GIB, OptionFacts, Settings, choices, facts_of

__all__ = ["from_gib", "with_settings"]


@dataclasses.dataclass(frozen=True)
class _Option:
    """One option to be: its parameter's name, its field, and what help and checks need."""

    name: str
    kind: Any
    text: str
    default: Any
    facts: OptionFacts
    allowed: tuple[Any, ...] = ()

    def parameter(self) -> inspect.Parameter:
        flag = f"--{self.name.replace('_', '-')}"
        several = isinstance(self.default, tuple) and not self.facts.repeat
        info = typer.Option(
            f"{flag}/--no-{flag[2:]}" if self.kind is bool else flag,
            *(f"--{alias.replace('_', '-')}" for alias in self.facts.aliases),
            help=self.text + self._shown_default(),
            rich_help_panel=self.facts.panel,
            metavar=f"[{'|'.join(map(str, self.allowed))}]{',...' if several else ''}" if self.allowed else None,
        )
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[self.kind | None, info]
        )

    def _shown_default(self) -> str:
        value = self.default
        if value is None or value is PydanticUndefined or value == ():
            return ""
        if isinstance(value, bool):
            said = "on" if value else "off"
        elif self.facts.gib:
            said = f"{value / GIB:g}"
        else:
            said = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        return escape(f" [default: {said}]")


def with_settings(
    model: type[Settings],
    *,
    only: Collection[str] | None = None,
    omit: Collection[str] = (),
    omit_panels: Collection[str] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put an option for each field of ``model`` in the place of a verb's parameter ``settings``.

    Args:
        model: The settings.
        only: Fields that this verb offers, where these are few.
        omit: Fields that this verb does not offer.
        omit_panels: Panels of which it offers nothing.
    """
    options = [
        option
        for name, facts in facts_of(model).items()
        if not (facts.hidden or name in omit or facts.panel in omit_panels) and (only is None or name in only)
        for option in _options(name, model.model_fields[name], facts)
    ]

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            given = {option.name: _value(option, values.pop(option.name)) for option in options}
            verb(**values, settings={name: value for name, value in given.items() if value is not None})

        own = inspect.signature(verb, eval_str=True).parameters.values()
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        place = [parameter.name for parameter in parameters].index("settings")
        parameters[place : place + 1] = [option.parameter() for option in options]
        command.__name__, command.__doc__ = verb.__name__, verb.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def _options(name: str, field: FieldInfo, facts: OptionFacts) -> list[_Option]:
    text = _sentence(field.description or name.replace("_", " "))
    if not facts.parts:
        kind = list[str] if facts.repeat else float if facts.gib else str if facts.text else _kind(field.annotation)
        allowed = facts.allowed() if facts.allowed else choices(field.annotation)
        return [_Option(facts.flag or name, kind, text, field.get_default(), facts, allowed)]
    found = []
    nested = {part.name: part for part in dataclasses.fields(field.annotation)} if _is_dataclass(field) else {}  # type: ignore[arg-type]
    hints = typing.get_type_hints(field.annotation) if nested else {}
    for part, described in facts.parts.items():
        kind, words = described or (hints[part], nested[part].metadata["description"])
        default = nested[part].default if part in nested else None
        found.append(_Option(part, _kind(kind), _sentence(words), default, facts))
    return found


def _is_dataclass(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and dataclasses.is_dataclass(field.annotation)


def _kind(annotation: Any) -> Any:
    """The type that the command line reads for a field: int, float or bool; everything else is text for the model.

    Example:
        >>> _kind(int | None), _kind(tuple[str, ...]), _kind(bool)
        (<class 'int'>, <class 'str'>, <class 'bool'>)
    """
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        kinds = [part for part in typing.get_args(annotation) if part is not type(None)]
        return _kind(kinds[0]) if len(kinds) == 1 else str
    return annotation if annotation in (int, float, bool) else str


def _sentence(text: str) -> str:
    """A description as a sentence.

    Example:
        >>> _sentence("passes over the images")
        'Passes over the images.'
    """
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", ")")) else f"{text}."


def _value(option: _Option, value: Any) -> Any:
    """An option's value in the unit and kind of its field; None where it was not given."""
    if value is None or value == []:
        return None
    if option.facts.gib:
        return from_gib(value, f"--{option.name.replace('_', '-')}")
    return tuple(value) if option.facts.repeat else value


def from_gib(value: Any, where: str) -> int:
    """Bytes from GiB.

    Raises:
        UsageError: not a number from 0 on.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UsageError(f"a number of GiB from 0 on is needed, got {value}", where=where)
    return int(number * GIB)
