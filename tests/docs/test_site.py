"""The documentation's site: every public name has its entry, every diagram its picture, and the built pages hold together."""

import importlib
import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROOMS = [
    "nctransfer",
    *(f"nctransfer.{room}" for room in ("metrics", "scores", "losses", "models", "probes", "studies")),
]


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


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site; warnings are errors."""
    pytest.importorskip("furo", reason="the extra `docs` is not installed")
    pytest.importorskip("myst_parser", reason="the extra `docs` is not installed")
    site = tmp_path_factory.mktemp("site")
    words = ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(site)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return site


@pytest.mark.slow
def test_the_built_site_holds_together(built):
    wrong, followed = script(ROOT / "tools" / "check_site.py").faults(built)
    assert wrong == []
    assert followed > 1000
    inventory = zlib.decompress((built / "objects.inv").read_bytes().split(b"zlib.\n", 1)[1]).decode()
    known = {line.split()[0] for line in inventory.splitlines()}
    names = {f"{room}.{name}" for room in ROOMS for name in importlib.import_module(room).__all__}
    assert names <= known


@pytest.mark.slow
def test_the_search_works_from_the_disk(built, tmp_path):
    """The built folder, opened without a server in a real browser."""
    browser = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if not browser:
        pytest.skip("no Chromium on this machine")
    words = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    words += [
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=20000",
    ]
    for query, found in {
        "nc1_calibrated": "reference/metrics.html#nctransfer.metrics.nc1_calibrated",
        "patient": "accepted.html",
    }.items():
        page = f"{(built / 'search.html').as_uri()}?q={query}"
        done = subprocess.run([*words, "--dump-dom", page], capture_output=True, text=True, timeout=120)
        results = re.search(r'<ul[^>]*class="search".*?</ul>', done.stdout, re.S)
        assert results, done.stdout[-2000:]
        assert f'href="{found}' in results[0]
