"""What mkdocs does beside its own: folders in ``nav`` become their pages, ``results/`` joins the site, and papers' code is shown there.

A paper's page is ``results/<paper>/README.md``, with its pictures beside it, as it is read where the code is hosted. The
site has ``results/`` below ``docs/``, so links from ``docs/`` to ``../results/`` lose a step; what is not on the site (a paper's file)
loses its link, and the list of what stands in it becomes the code itself, folded by class and function.
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

SOURCE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+src/[^)]*\)")
#: an equation as LaTeX, which the code's host typesets, and the site as MathML, for which a browser needs no script
EQUATION = re.compile(r"^```math\n(.*?)\n```$", re.M | re.S)
#: the line of a paper's page that lists what stands in a file
OUTLINE = re.compile(r"^- `(\w+\.py)`: .*$", re.M)
PAPERS = Path(__file__).parent.parent / "src" / "paperzoo" / "papers"
#: of results/, what the site has beside pages
SHOWN = ("*.png", "*.svg", "*.gif", "*.wav")


def on_config(config: Any) -> Any:
    """Replaces each folder in the navigation by the pages in it; one without pages is left out."""
    docs, nav = Path(config["docs_dir"]), []
    for entry in config["nav"]:
        ((title, place),) = entry.items()
        if place == "results/":
            nav.append({title: [{"Every result": "results/README.md"}, *_families(docs.parent)]})
        elif place.endswith("/"):
            pages = sorted(p.relative_to(docs).as_posix() for p in (docs / place).glob("*.md"))
            nav += [{title: pages}] if pages else []
        else:
            nav.append(entry)
    config["nav"] = nav
    return config


def _families(root: Path) -> list[dict[str, Any]]:
    """Papers' pages by family."""
    families: dict[str, list[dict[str, str]]] = {}
    for record in sorted(PAPERS.glob("*/*.toml"), key=lambda path: path.stem):
        page = root / "results" / record.stem / "README.md"
        if page.is_file():
            families.setdefault(record.parent.name, []).append({record.stem: page.relative_to(root).as_posix()})
    return [{name.replace("_", " ").capitalize().replace("Gan", "GAN"): pages} for name, pages in sorted(families.items())]


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages, pictures and sounds of ``results/`` as if they lay in ``docs/results``."""
    root = Path(config["config_file_path"]).parent
    for pattern in ("README.md", "*/README.md", *(f"*/{kind}" for kind in SHOWN)):
        for path in sorted((root / "results").glob(pattern)):
            files.append(File(path.relative_to(root).as_posix(), str(root), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as the site has them, and the code of a paper on its page."""
    if not page.file.src_uri.startswith("results/"):
        return SOURCE.sub(r"\1", markdown.replace("../results/", "results/"))
    text = re.sub(r"\]\(\.\./\.\./docs/", "](../../", markdown)
    text = EQUATION.sub(lambda found: typeset(found[1]), text)
    return OUTLINE.sub(lambda found: _code(found[1]), SOURCE.sub(r"\1", text))


def typeset(latex: str) -> str:
    """An equation as MathML, in a frame that scrolls where the page is narrower; columns are aligned by style, as browsers read it."""
    drawn = convert(re.sub(r"\{aligned\}", "{align*}", latex), display="block")
    styled = re.sub('columnalign="([a-z]+)"', r'style="text-align: \1"', drawn)
    return f'<div class="equation">{styled}</div>'


def _code(name: str) -> str:
    """A paper's file, folded by class and function; each says which lines it is."""
    (path,) = PAPERS.glob(f"*/{name}")
    lines = path.read_text(encoding="utf-8").splitlines()
    parts, last = [f"**{name}**"], 0
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            what = "class" if isinstance(node, ast.ClassDef) else "def"
            parts.append(_folded("head" if not last else "between", lines, last + 1, first - 1))
            last = node.end_lineno or first
            parts.append(_folded(f"{what} {node.name}", lines, first, last))
    return "\n\n".join(filter(None, [*parts, _folded("variants and recipes", lines, last + 1, len(lines))]))


def _folded(title: str, lines: list[str], first: int, last: int) -> str:
    body = "\n".join(lines[first - 1 : last]).strip("\n")
    if not body.strip():
        return ""
    fence = "~~~~"
    return f'<details markdown="1">\n<summary>{title}, lines {first} to {last}</summary>\n\n{fence}python\n{body}\n{fence}\n\n</details>'


def on_post_build(config: Any) -> None:
    """The gallery, where one was built, is part of the site."""
    built = Path(config["config_file_path"]).parent / "build" / "gallery"
    if (built / "rooms.json").is_file():
        shutil.copytree(built, Path(config["site_dir"]) / "play", dirs_exist_ok=True)
