"""The page of a real run in a real browser: nothing sticks out, is cut off, too pale or out of reach of the keyboard."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nctransfer
from nctransfer.cli.app import app

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")]

# The page stands in a frame of a given width, and this script looks at it from outside: its own policy allows no script.
_LOOK = """
onload = function () {
  const frame = document.querySelector("iframe"), page = frame.contentDocument, view = frame.contentWindow;
  const print = PRINT, width = frame.clientWidth, found = {width: page.documentElement.scrollWidth, out: [], pale: [], stuck: []};
  if (print) {
    const style = page.querySelector("style");
    style.textContent = style.textContent.replaceAll("@media print", "@media all")
      .replaceAll("@media screen", "@media not all").replace(/@page[^}]*}/, "");
    page.querySelectorAll("details").forEach(fold => fold.open = true);
    found.width = page.documentElement.scrollWidth;
  }
  const scrolls = node => { for (let up = node; up && up !== page.body; up = up.parentElement)
    if (/(auto|scroll)/.test(view.getComputedStyle(up).overflowX)) return true; return false; };
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = node => { for (let up = node; up; up = up.parentElement) {
    const c = parse(view.getComputedStyle(up).backgroundColor);
    if (c.length && !(c.length === 4 && c[3] === 0)) return c.slice(0, 3); } return [255, 255, 255]; };
  page.querySelectorAll("main *, footer *").forEach(node => {
    const box = node.getBoundingClientRect(), style = view.getComputedStyle(node);
    if (!box.width || style.clipPath !== "none") return;
    if (box.right > width + 1 && (print || !scrolls(node)))
      found.out.push(node.tagName + " " + (node.textContent || "").trim().slice(0, 60));
    const own = [...node.childNodes].some(part => part.nodeType === 3 && part.textContent.trim());
    if (!own || node.closest("svg") || node.closest("img")) return;
    const a = light(parse(style.color).slice(0, 3)), b = light(behind(node));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.pale.push(ratio.toFixed(2) + " " + node.textContent.trim().slice(0, 60));
  });
  page.querySelectorAll("details").forEach(fold => fold.open = true);
  page.querySelectorAll("summary, a[href], pre, .table").forEach(node => {
    node.focus();
    if (page.activeElement !== node) found.stuck.push(node.tagName + " " + node.textContent.trim().slice(0, 40));
  });
  found.folds = page.querySelectorAll("summary").length;
  document.querySelector("pre").textContent = JSON.stringify(found);
};
"""


def browse(folder: Path, address: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What the browser prints for a page; its profile lies in ``folder``."""
    quiet = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    return subprocess.run(
        [
            str(BROWSER),
            *quiet.split(),
            "--disable-component-update",
            "--enable-logging=stderr",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
            *options,
            address,
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )


def look(page: Path, folder: Path, width: int, *, paper: bool = False) -> dict:
    """The page in a frame of ``width`` pixels, as the script above sees it."""
    script = _LOOK.replace("PRINT", "true" if paper else "false")
    wrapper = folder / f"look-{width}-{paper}.html"
    frame = f'<iframe src="{page.as_uri()}" style="width:{width}px;height:900px;border:0"></iframe>'
    wrapper.write_text(f"<!doctype html><body>{frame}<pre></pre><script>{script}</script></body>", encoding="utf-8")
    options = ("--allow-file-access-from-files", "--virtual-time-budget=8000", "--window-size=1400,1000", "--dump-dom")
    done = browse(folder, wrapper.as_uri(), *options)
    found = re.search(r"<pre>(\{.*?\})</pre>", done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found.group(1)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `auto` on real images of digits, with every section that a page has."""
    return nctransfer.auto(
        "digits",
        "cifar_resnet20",
        out=tmp_path_factory.mktemp("browser") / "run",
        weights="random",
        image_size=16,
        limit=120,
        epochs=2,
        device="cpu",
        step_cost=False,
    ).folder


def test_no_script_fails_and_nothing_is_fetched(run: Path, tmp_path: Path) -> None:
    done = browse(tmp_path, (run / "report.html").as_uri(), "--virtual-time-budget=3000", "--dump-dom")
    assert "Methods side by side" in done.stdout
    assert "CONSOLE" not in done.stderr


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_sticks_out_and_all_text_can_be_read_and_reached(run: Path, tmp_path: Path, width: int) -> None:
    found = look(run / "report.html", tmp_path, width)
    assert found["width"] <= width
    assert found["out"] == []
    assert found["pale"] == []
    assert found["stuck"] == []
    assert found["folds"] >= 4


def test_nothing_is_cut_off_in_print(run: Path, tmp_path: Path) -> None:
    found = look(run / "report.html", tmp_path, 688, paper=True)  # A4 less the margins, at 96 pixels an inch
    assert found["width"] <= 688
    assert found["out"] == []
    assert found["pale"] == []
    browse(
        tmp_path, (run / "report.html").as_uri(), f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer"
    )
    pdf = (tmp_path / "page.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type /Page/") >= 3


def test_the_commands_that_the_page_prints_work(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    shutil.copy(next((run / "mistakes").glob("*.png")), tmp_path / "photo.jpg")
    shutil.copy(tmp_path / "photo.jpg", tmp_path / "photos" / "one.png")
    blocks = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", (run / "report.html").read_text(), re.DOTALL)
    printed = [html.unescape(re.sub(r"<[^>]*>", "", block)) for block in blocks]
    commands = [line for line in printed if line.startswith("nctransfer predict")]
    assert len(commands) == 2
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, done.output
    (code,) = (block for block in printed if block.startswith("import nctransfer"))
    exec(compile(code, "the page", "exec"), {})
