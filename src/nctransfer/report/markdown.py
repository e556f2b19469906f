"""The same pages as Markdown, with their figures as files of their own, for documentation and for papers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .blocks import Block, Columns, Details, Figure, Note, Page, Prose, Section, Table
from .svg import standalone
from .text import visible

__all__ = ["figures_of", "render_markdown"]


def render_markdown(page: Page, figures: str = "figures") -> str:
    """The page as Markdown: tables, prose and figures; what only a screen can show is left out.

    Args:
        page: The page.
        figures: Where the figures lie, as seen from the text.

    Example:
        >>> page = Page("Title", "kicker", "One thing holds.", [Section("Part", [Table(["a", "b"], [["x|y", "1"]])])])
        >>> print(render_markdown(page))
        # Title
        <BLANKLINE>
        One thing holds.
        <BLANKLINE>
        ## Part
        <BLANKLINE>
        | a | b |
        |---|--:|
        | x\\|y | 1 |
        <BLANKLINE>
    """
    names = {id(figure): name for name, figure in _named(page)}
    anchors = {f"#{section.anchor}": f"#{_slug(section.title)}" for section in page.sections}
    parts = [f"# {visible(page.title)}", visible(page.headline), *map(visible, page.lead)]
    parts += [f"**{visible(warning)}**" for warning in page.warnings]
    for section in page.sections:
        parts += [f"## {visible(section.title)}", *([visible(section.lead)] if section.lead else [])]
        for block in _flat(section.blocks):
            if isinstance(block, Figure):
                parts.append(f"![{visible(block.alt)}]({figures}/{names[id(block)]})")
                parts.append(f"*{visible(block.caption)}*")
            else:
                parts += _words(block, anchors)
    return "\n\n".join(parts) + "\n"


def figures_of(page: Page) -> dict[str, str]:
    """The page's figures as SVG documents by file name, such as ``table-1-2.svg``: the section and the figure's place in it."""
    return {name: standalone(figure.svg) for name, figure in _named(page)}


def _named(page: Page) -> Iterator[tuple[str, Figure]]:
    for section in page.sections:
        place = 0
        for block in _flat(section.blocks):
            if isinstance(block, Figure):
                place += 1
                yield f"{_stem(section)}-{place}.svg", block


def _stem(section: Section) -> str:
    """The section's title up to its colon, for a file's name.

    Example:
        >>> _stem(Section("Table 2, Table 3: what is tuned", []))
        'table-2-table-3'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in section.title.split(":")[0].lower()).split())


def _flat(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, (Columns, Details)):
            yield from _flat(block.blocks)
        else:
            yield block


def _words(block: Block, anchors: dict[str, str]) -> list[str]:
    if isinstance(block, Prose):
        return [visible(block.text)]
    if isinstance(block, Note):
        return [f"> **{visible(block.label)}** {visible(block.text)}"]
    if isinstance(block, Table):
        return [
            *([f"**{visible(block.caption)}**"] if block.caption else []),
            _table(block, anchors),
            *map(visible, block.notes),
        ]
    return []


def _table(block: Table, anchors: dict[str, str]) -> str:
    left = {0, *block.words}
    lines = [
        _row([_escaped(title) for title in block.columns]),
        "|" + "|".join("---" if place in left else "--:" for place in range(len(block.columns))) + "|",
    ]
    for row in block.rows:
        cells = block.cells(row)
        shown = [_escaped(cell.text) for cell in cells]
        links = [anchors.get(cell.href, cell.href) for cell in cells]
        lines.append(_row([f"[{text}]({link})" if link else text for text, link in zip(shown, links, strict=True)]))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _slug(title: str) -> str:
    """The anchor that code hosts give to a heading.

    Example:
        >>> _slug("Table 1: Loss, head")
        'table-1-loss-head'
    """
    return "".join(c for c in title.lower() if c.isalnum() or c in " -_").replace(" ", "-")


def _escaped(text: str) -> str:
    return visible(text).replace("|", "\\|").replace("\n", " ")
