"""From a run folder to its page, one self-contained file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ..runs import PretrainRecord, RankRecord, StudyResult, Summary, write_bytes
from .blocks import Page
from .kinds import pretrain_page, probe_page, tuning_page
from .markdown import figures_of, render_markdown
from .ranking import rank_page
from .source import Source
from .studies import studies_page
from .summary import run_folder, summary_page
from .text import visible

__all__ = ["render", "write_report", "write_text"]

# The only script opens the foldable parts for printing, where the style sheet alone cannot.
_SCRIPT = (
    'addEventListener("beforeprint",function(){document.querySelectorAll("details").forEach(function(d){d.open=true})})'
)


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run's folder, from the folder's JSON alone.

    Args:
        folder: A folder that holds ``result.json``; ``config.json``, ``environment.json``, ``metrics.jsonl`` and
            thumbnails are used when they are there. For a summary, the runs that have no page yet are given one.

    Returns:
        The path of the page.

    Raises:
        DataError: there is no readable result, or its kind is unknown.

    Example:
        >>> import json, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "result.json").write_text(json.dumps({"kind": "probe", "layers": []}))
        >>> write_report(folder).name
        'report.html'
    """
    source = Source.read(Path(folder))
    if isinstance(source.record, Summary):
        _complete(source, source.record)
    path = source.folder / "report.html"
    write_bytes(path, render(_page(source)).encode("utf-8"))
    return path


def write_text(folder: Path, path: Path | None = None) -> Path:
    """Write a run's page as Markdown, and its figures as SVG files into ``figures/`` of the run's folder.

    Args:
        folder: A folder that holds ``result.json``.
        path: The text; ``report.md`` in the folder when left out. Its figures are looked for where they lie.

    Raises:
        DataError: there is no readable result, or its kind is unknown.
    """
    source = Source.read(Path(folder))
    page = _page(source)
    figures = source.folder / "figures"
    figures.mkdir(exist_ok=True)
    drawings = figures_of(page)
    for old in set(figures.glob("*.svg")) - {figures / name for name in drawings}:
        old.unlink()
    for name, drawing in drawings.items():
        write_bytes(figures / name, drawing.encode("utf-8"))
    path = path or source.folder / "report.md"
    place = Path(os.path.relpath(figures.resolve(), path.resolve().parent)).as_posix()
    write_bytes(path, render_markdown(page, place).encode("utf-8"))
    return path


def render(page: Page) -> str:
    """The page as HTML; every text is escaped, and what cannot be shown is written out."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode("ascii")
    template = _environment().get_template("page.html")
    return template.render(page=page, script=Markup(_SCRIPT), digest=digest)


def _page(source: Source) -> Page:
    record = source.record
    if isinstance(record, PretrainRecord):
        return pretrain_page(source, record)
    if isinstance(record, Summary):
        return summary_page(source, record)
    if isinstance(record, RankRecord):
        return rank_page(source, record)
    if isinstance(record, StudyResult):
        return studies_page(source, record)
    return probe_page(source, record) if record.kind == "probe" else tuning_page(source, record)


def _complete(source: Source, record: Summary) -> None:
    for run in record.runs:
        folder = run_folder(source, run)
        if folder is not None and (folder / "result.json").is_file() and not (folder / "report.html").exists():
            write_report(folder)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["lines"] = _lines
    return environment


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _lines(text: str) -> Markup:
    return Markup("\n").join(visible(line) for line in text.split("\n"))
