"""What docs/cluster.md says that a training would cost is what the benchmark computes."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

from paperzoo.papers.language import bert

ROOT = Path(__file__).parent.parent


def test_the_page_of_costs_is_what_the_benchmark_prints() -> None:
    padding = bert.padding
    try:
        cost = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "cluster_cost.py")))
        works = cost.works()
    finally:
        bert.padding = padding
    a = {name: value for name, (value, _, _) in cost.ASSUMPTIONS.items()}
    page = (ROOT / "docs" / "cluster.md").read_text()
    tables = ["\n".join(cost.markdown(work, [cost.estimate(work, gpus, a) for gpus in (1, 8, 64, 256, 1000)])) for work in works]
    assert len(tables) == 3
    for table in tables:
        assert table + "\n" in page, f"docs/cluster.md has not, as python benchmarks/cluster_cost.py --markdown prints it:\n{table}"
