"""What mkdocs does beside its own: folders in ``nav`` become their pages, and pictures of ``results/`` join the site.

The papers' pages link to ``../../results/...``, as they lie in the repository, so that they can be read there too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

RESULTS = "../../results/"


def on_config(config: Any) -> Any:
    """Replaces each folder in the navigation by the pages in it; one without pages is left out."""
    docs, nav = Path(config["docs_dir"]), []
    for entry in config["nav"]:
        ((title, place),) = entry.items()
        if place.endswith("/"):
            pages = sorted(p.relative_to(docs).as_posix() for p in (docs / place).glob("*.md"))
            nav += [{title: pages}] if pages else []
        else:
            nav.append(entry)
    config["nav"] = nav
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the pictures of ``results/`` as if they lay in ``docs/results``."""
    root = Path(config["config_file_path"]).parent
    for picture in sorted((root / "results").glob("*/*.png")):
        files.append(File(picture.relative_to(root).as_posix(), str(root), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to ``results/`` as the site has it."""
    return markdown.replace(RESULTS, "../results/")
