"""The pages of single runs: tuned, only measured, pre-trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .about import conditions_section, glossary_section, use_section, warnings_of
from .blocks import Page, Section, Tile
from .curves import curves_section, last, pretrain_headline, pretrain_tiles
from .dataset import data_section
from .headline import headline, probe_headline
from .layers import layers_section
from .methods import methods_section, tiles, trials_section
from .mistakes import mistakes_section
from .source import Source
from .text import count, mapping, percent, rows, significant, words

__all__ = ["pretrain_page", "probe_page", "tuning_page"]


def tuning_page(source: Source) -> Page:
    """The page of an `auto` or `tune` run."""
    result = source.result
    sections = [
        methods_section(result),
        layers_section(result),
        mistakes_section(source),
        trials_section(result),
        data_section(result),
        use_section(source),
        conditions_section(source),
        glossary_section(),
    ]
    return _page(source, headline(result), sections, tiles(result))


def probe_page(source: Source) -> Page:
    """The page of a run that measured layers and tuned nothing."""
    result = source.result
    layers = rows(result.get("layers"))
    sections = [
        layers_section(result),
        data_section(result),
        conditions_section(source),
        glossary_section(["NC1", "Neural collapse", "CDNV", "Numerical rank", "Linear probe", "Penultimate"]),
    ]
    numbers = []
    if layers:
        end = layers[-1]
        numbers = [
            Tile("Layers measured", count(len(layers))),
            Tile("Penultimate NC1", significant(end.get("nc1")), words(end.get("name"))),
            Tile("Its probe accuracy", percent(end.get("probe_val_accuracy")), "validation images"),
        ]
    return _page(source, probe_headline(result, layers), sections, numbers)


def pretrain_page(source: Source) -> Page:
    """The page of a pre-training run: curves over epochs."""
    final = last(source.metrics)
    sections = [
        curves_section(source.metrics),
        layers_section(source.result),
        data_section(source.result),
        conditions_section(source),
        glossary_section(["NC1", "Neural collapse", "CDNV"]),
    ]
    return _page(source, pretrain_headline(source, final), sections, pretrain_tiles(final, source.config))


def _page(source: Source, said: str, sections: list[Section], numbers: Sequence[Tile]) -> Page:
    result = source.result
    parts = [
        words(mapping(result.get("dataset")).get("name")),
        words(mapping(result.get("model")).get("name")),
        f"seed {words(result['seed'])}" if words(result.get("seed")) else "",
        words(source.environment.get("date"))[:10],
    ]
    kicker = " · ".join(part for part in parts if part)
    return Page(
        title=kicker or "nctransfer report",
        kicker=kicker,
        headline=said,
        sections=[section for section in sections if section.blocks or section.lead],
        tiles=numbers,
        warnings=warnings_of(result),
        footer=_footer(result, source.environment),
    )


def _footer(result: dict[str, Any], environment: dict[str, Any]) -> str:
    versions = {**mapping(environment.get("versions")), **mapping(result.get("versions"))}
    version = words(versions.get("nctransfer"))
    return f"Made by {f'nctransfer {version}'.strip()} from the files of the run's folder."
