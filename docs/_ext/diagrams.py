"""Fences of mermaid become pictures that were drawn beforehand: no script, no network, the same in print.

`python docs/draw_diagrams.py` draws them into `docs/images/diagrams`, each named by the digest of its text.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

FOLDER = "images/diagrams"


class Mermaid(Directive):
    """A diagram, shown by its drawn picture."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = "\n".join(self.content)
        picture = f"{FOLDER}/{drawn_name(text)}"
        if not (Path(self.state.document.settings.env.srcdir) / picture).exists():
            raise self.error(f"{picture} is missing; run python docs/draw_diagrams.py")
        frame = nodes.container(classes=["diagram"])
        frame += nodes.image(uri=f"/{picture}", alt=words_of(text))
        return [frame]


def drawn_name(text: str) -> str:
    """The picture's file name."""
    return hashlib.sha256(text.strip().encode()).hexdigest()[:12] + ".svg"


def words_of(text: str) -> str:
    """The words of a diagram, for readers who do not see it: the labels of its nodes in order."""
    labels = re.findall(r"[\[(]+([^\[\]()\"]+|\"[^\"]+\")[\])]+", text)
    plain = [re.sub(r"<[^>]+>", " ", label.strip('"')).strip() for label in labels]
    return "Diagram: " + ", ".join(dict.fromkeys(re.sub(r"\s+", " ", label) for label in plain if label))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True}
