"""The pages of single runs: tuned, only measured, pre-trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..runs import PretrainRecord, Result
from .about import conditions_section, glossary_section, use_section
from .blocks import Page, Section, Tile
from .calibration import CALIBRATION_TERMS, trust_section
from .collapse_figure import collapse_section, collapse_strip
from .curves import curves_section, last, pretrain_headline, pretrain_tiles
from .dataset import data_section
from .footnotes import sentence
from .frontier import frontier_section
from .headline import better_layer, headline, probe_headline
from .layers import layers_section
from .lead import lead_sentence
from .methods import methods_section, tiles, trials_section
from .mistakes import mistakes_section
from .source import Source
from .text import count, percent, significant

__all__ = ["pretrain_page", "probe_page", "tuning_page", "warnings_of"]


_MOST_LOST = 8


def tuning_page(source: Source, record: Result) -> Page:
    """The page of an `auto` or `tune` run."""
    sections = [
        methods_section(record),
        frontier_section(record),
        collapse_section(record),
        layers_section(record),
        mistakes_section(source, record),
        trust_section(record),
        trials_section(record),
        data_section(record, warnings_of(source)),
        use_section(source),
        conditions_section(source, record),
        glossary_section(more=_more_terms(record)),
    ]
    page = _page(source, record, headline(record), sections, tiles(record))
    return dataclasses.replace(page, lead=[text for text in (lead_sentence(record), better_layer(record)) if text])


def probe_page(source: Source, record: Result) -> Page:
    """The page of a run that measured layers and tuned nothing."""
    sections = [
        layers_section(record),
        data_section(record, warnings_of(source)),
        conditions_section(source, record),
        glossary_section(["NC1", "Neural collapse", "CDNV", "Numerical rank", "Linear probe", "Penultimate"]),
    ]
    numbers = []
    if record.layers:
        end = record.layers[-1]
        numbers = [
            Tile("Layers measured", count(len(record.layers))),
            Tile(
                "Penultimate NC1", significant(end.nc1), end.name if end.nc1 is not None else end.notes.get("nc1", "")
            ),
            Tile("Its probe accuracy", percent(end.probe_val_accuracy), "held-out images"),
        ]
    return _page(source, record, probe_headline(record), sections, numbers)


def pretrain_page(source: Source, record: PretrainRecord) -> Page:
    """The page of a pre-training run: curves over epochs."""
    epochs = source.epochs or list(record.history)
    final = last(epochs)
    sections = [
        curves_section(epochs),
        collapse_strip(epochs),
        layers_section(record),
        data_section(record, warnings_of(source)),
        conditions_section(source, record),
        glossary_section(["NC1", "Neural collapse", "CDNV"]),
    ]
    return _page(source, record, pretrain_headline(record, final), sections, pretrain_tiles(record, final))


def _more_terms(record: Result) -> dict[str, str]:
    """The methods and metrics of this run that the glossary does not know, in their own words."""
    terms = {row.title: f"What learns: {row.tunes}." for row in record.methods.values() if row.title and row.tunes}
    if record.best is not None and record.best.calibration is not None:
        terms |= CALIBRATION_TERMS
    return terms | {facts.title: sentence(facts.meaning) for facts in record.metrics.values() if facts.meaning}


def _word(record: Result, nc1: float | None) -> str:
    """The word for a value on the scale of NC1."""
    facts = record.metrics.get("nc1")
    return facts.word(nc1) if facts else ""


def warnings_of(source: Source) -> list[str]:
    """The warnings of a run as sentences, with what the record lost."""
    given = getattr(source.record, "warnings", ())
    damage = [f"A value of result.json is invalid: {item}" for item in source.lost[:_MOST_LOST]]
    if len(source.lost) > _MOST_LOST:
        damage.append(f"{len(source.lost) - _MOST_LOST} more values of result.json are invalid and left out")
    return [sentence(item) for item in (*given, *damage) if item]


def _page(
    source: Source, record: Result | PretrainRecord, said: str, sections: list[Section], numbers: Sequence[Tile]
) -> Page:
    parts = [
        record.dataset.name,
        record.model.name,
        f"seed {record.seed}" if record.seed is not None else "",
        source.environment.date[:10],
    ]
    kicker = " · ".join(part for part in parts if part)
    version = {**source.environment.versions, **record.versions}.get("nctransfer", "")
    return Page(
        title=kicker or "nctransfer report",
        kicker=kicker,
        headline=said,
        sections=[section for section in sections if section.blocks or section.lead],
        tiles=numbers,
        warnings=warnings_of(source),
        footer=f"Made by {f'nctransfer {version}'.strip()} from the files of the run's folder.",
    )
