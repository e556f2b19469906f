"""Draw the pages' mermaid diagrams into docs/images/diagrams, so that the site needs no script.

    python docs/draw_diagrams.py path/to/mermaid.min.js --browser chromium

Pictures of diagrams that no page holds any more are removed.
"""

from __future__ import annotations

import argparse
import html
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

from diagrams import FOLDER, drawn_name  # noqa: E402

PAGE = """<!doctype html><meta charset="utf-8"><pre id="text">{text}</pre><div id="place"></div>
<script src="{script}"></script><script>
mermaid.initialize({{startOnLoad: false, theme: "neutral", fontFamily: "sans-serif"}});
mermaid.render("diagram", document.getElementById("text").textContent).then(({{svg}}) => {{
  const holder = document.createElement("div");
  holder.innerHTML = svg;
  document.body.dataset.svg = new XMLSerializer().serializeToString(holder.querySelector("svg"));
}});
</script>"""


def fences() -> set[str]:
    """The text of every diagram."""
    pages = [path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))]
    return {text.strip() for page in pages for text in re.findall(r"^```mermaid\n(.*?)^```$", page, re.S | re.M)}


def draw(text: str, script: Path, browser: str) -> str:
    """The diagram as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE.format(text=html.escape(text), script=script.resolve().as_uri()), encoding="utf-8")
        quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        words = [browser, *quiet, f"--user-data-dir={folder}/profile", "--virtual-time-budget=20000", "--dump-dom"]
        done = subprocess.run([*words, page.as_uri()], capture_output=True, text=True, check=True)
    found = re.search(r'data-svg="([^"]*)"', done.stdout)
    if not found:
        sys.exit(f"the browser drew nothing of:\n{text}")
    svg = html.unescape(found[1])
    width, height = re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg).groups()
    # An <img> takes its size from these; mermaid's own width of 100 % would fill the page.
    return re.sub(
        r'(<svg [^>]*?)width="100%"', rf'\1width="{float(width):.0f}" height="{float(height):.0f}"', svg, count=1
    )


def main() -> None:
    """Draw what is missing, remove what is left over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", type=Path, help="mermaid.min.js of the npm package mermaid, version 11")
    parser.add_argument("--browser", default="chromium")
    words = parser.parse_args()
    place = DOCS / FOLDER
    place.mkdir(exist_ok=True)
    wanted = {drawn_name(text): text for text in fences()}
    for name, text in wanted.items():
        if not (place / name).exists():
            (place / name).write_text(draw(text, words.script, words.browser) + "\n", encoding="utf-8")
    for path in place.glob("*.svg"):
        if path.name not in wanted:
            path.unlink()


if __name__ == "__main__":
    main()
