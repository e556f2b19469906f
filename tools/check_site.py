"""Follow every internal link of a built site: the file is there, and so is the place on the page that it names.

    python tools/check_site.py build/docs

Links to the web are counted and not followed. Anything that a page loads from the web (script, style, font, picture) is an
error, since the site must work from a folder without a network.
"""

from __future__ import annotations

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The names of a page's places, its links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attributes if value is not None}
        self.places.update(found[name] for name in ("id", "name") if name in found)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("img", "script", "iframe", "source") and "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload") and "href" in found:
            self.loaded.append(found["href"])


def faults(site: Path) -> tuple[list[str], int]:
    """What is wrong, a line each, and the number of internal links that were followed."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    wrong, followed = [], 0
    for path, page in pages.items():
        here = path.relative_to(site.resolve())
        for target in page.loaded:
            if urlsplit(target).netloc:
                wrong.append(f"{here} loads {target} from the web")
        for target in page.links + page.loaded:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            followed += 1
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not there.is_file():
                wrong.append(f"{here} leads to {target}, which is not there")
            elif parts.fragment and there in pages and unquote(parts.fragment) not in pages[there].places:
                wrong.append(f"{here} leads to {target}; the page has no such place")
    return wrong, followed


def main() -> None:
    """Check a site and end with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    wrong, followed = faults(parser.parse_args().site)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if not followed:
        sys.exit("no page, or no link, in that folder")
    print(f"{followed} internal links, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
