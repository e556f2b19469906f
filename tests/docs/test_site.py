"""The documentation's site: every public name has its entry, every diagram its picture, and the built pages hold together."""

import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROOMS = ["nctransfer", *(f"nctransfer.{room}" for room in ("metrics", "scores", "losses", "models", "probes"))]


def script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_its_entry(room):
    text = (DOCS / "reference" / f"{room.rpartition('.')[2]}.md").read_text(encoding="utf-8")
    entries = re.findall(r"^\.\. (?:autofunction|autoclass|py:\w+):: (\w+)", text, re.M)
    missing = set(entries) ^ set(importlib.import_module(room).__all__)
    assert not missing, f"write {sorted(missing)} into docs/reference (or out of it)"
    assert len(entries) == len(set(entries))


@pytest.mark.parametrize("room", ROOMS)
def test_every_parameter_that_is_described_is_one(room):
    napoleon = pytest.importorskip("sphinx.ext.napoleon", reason="the extra `docs` is not installed")
    front = importlib.import_module(room)
    wrong = []
    for name in front.__all__:
        if not callable(value := getattr(front, name)):
            continue
        said = str(napoleon.GoogleDocstring(inspect.getdoc(value) or "", napoleon.Config(napoleon_use_param=True)))
        described = {word.replace("\\", "").lstrip("*") for word in re.findall(r"^:param ([^:]+):", said, re.M)}
        wrong += [f"{name}: {word}" for word in sorted(described - set(inspect.signature(value).parameters))]
    assert wrong == []


def test_every_diagram_is_drawn():
    pytest.importorskip("docutils", reason="the extra `docs` is not installed")
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
    drawing = script(DOCS / "_ext" / "diagrams.py")
    pages = [path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")]
    texts = [text for page in pages for text in re.findall(r"^```mermaid\n(.*?)^```$", page, re.S | re.M)]
    pictures = {path.name for path in (DOCS / drawing.FOLDER).glob("*.svg")}
    assert len(texts) >= 4
    assert {drawing.drawn_name(text) for text in texts} == pictures, "run python docs/draw_diagrams.py"


def test_links_are_followed(tmp_path):
    """The tool that `make docs` ends with finds a missing page, a missing place, and what comes from the web."""
    page = (
        '<p id="here"><a href="#here"></a><a href="b.html#there"></a><a href="c.html"></a><script src="https://x/y.js">'
    )
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "b.html").write_text("<p></p>")
    wrong, followed = script(ROOT / "tools" / "check_site.py").faults(tmp_path)
    assert followed == 3
    assert [line.split(";")[0].split(",")[0] for line in wrong] == [
        "a.html loads https://x/y.js from the web",
        "a.html leads to b.html#there",
        "a.html leads to c.html",
    ]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_holds_together(tmp_path):
    pytest.importorskip("furo", reason="the extra `docs` is not installed")
    pytest.importorskip("myst_parser", reason="the extra `docs` is not installed")
    words = ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    wrong, followed = script(ROOT / "tools" / "check_site.py").faults(tmp_path)
    assert wrong == []
    assert followed > 1000
    inventory = zlib.decompress((tmp_path / "objects.inv").read_bytes().split(b"zlib.\n", 1)[1]).decode()
    known = {line.split()[0] for line in inventory.splitlines()}
    names = {f"{room}.{name}" for room in ROOMS for name in importlib.import_module(room).__all__}
    assert names <= known
