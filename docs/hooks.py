"""What mkdocs does beside its own: folders in ``nav`` become their pages, and ``results/`` joins the site.

A paper's page is ``results/<paper>/README.md``, with its pictures beside it, as it is read where the code is hosted. The
site has ``results/`` below ``docs/``, so links from ``docs/`` to ``../results/`` lose a step, and what is not on the site
(a paper's file) loses its link.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

SOURCE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+src/[^)]*\)")


def on_config(config: Any) -> Any:
    """Replaces each folder in the navigation by the pages in it; one without pages is left out."""
    docs, nav = Path(config["docs_dir"]), []
    for entry in config["nav"]:
        ((title, place),) = entry.items()
        if place == "results/":
            nav.append({title: [{"Every result": "results/README.md"}, *_papers(docs.parent)]})
        elif place.endswith("/"):
            pages = sorted(p.relative_to(docs).as_posix() for p in (docs / place).glob("*.md"))
            nav += [{title: pages}] if pages else []
        else:
            nav.append(entry)
    config["nav"] = nav
    return config


def _papers(root: Path) -> list[dict[str, str]]:
    return [{path.parent.name: path.relative_to(root).as_posix()} for path in sorted((root / "results").glob("*/README.md"))]


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages and pictures of ``results/`` as if they lay in ``docs/results``."""
    root = Path(config["config_file_path"]).parent
    for pattern in ("README.md", "*/README.md", "*/*.png"):
        for path in sorted((root / "results").glob(pattern)):
            files.append(File(path.relative_to(root).as_posix(), str(root), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as the site has them."""
    return SOURCE.sub(r"\1", markdown.replace("../results/", "results/") if not page.file.src_uri.startswith("results/") else markdown)
