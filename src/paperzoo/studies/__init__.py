"""One experiment, one file: it trains several papers, draws one figure, and states its finding."""

import ast
from pathlib import Path


def titles() -> dict[str, str]:
    """Every study's ``TITLE`` by name, in order of name; read without running it, so that torch is not waited for."""
    by_name = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "TITLE":
                by_name[path.stem] = str(ast.literal_eval(node.value))
    return by_name
