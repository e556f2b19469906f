"""Settings of the site that `make docs` builds from this folder. It needs no network, and neither do its readers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "_ext"))
VERSION_FILE = (ROOT / "src" / "nctransfer" / "version.py").read_text(encoding="utf-8")

project = "nctransfer"
copyright = "the nctransfer authors"
release = version = re.search(r'"(.+?)"', VERSION_FILE)[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "diagrams"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
myst_fence_as_directive = ["mermaid"]

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "nctransfer"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
# A page that is opened from the disk cannot fetch others, so results are shown by title; the search itself works there.
html_show_search_summary = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
