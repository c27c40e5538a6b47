"""One row of the results as text."""

from __future__ import annotations

from typing import Any

from paperzoo import catalog

#: statuses in the order in which a summary counts them; ``measured`` is a figure that no one promised anything about
STATUSES = ("reproduced", "scaled", "missed", "stale", "unverified")
MEASURED = "measured"



def figure(row: dict[str, Any]) -> str:
    """``mean ± spread`` of a row, or nothing."""
    if row["mean"] is None:
        return ""
    return f"{row['mean']:.4g}" + (f" ± {row['spread']:.2g}" if row["spread"] is not None else "")


def full_name(row: dict[str, Any]) -> str:
    """``paper`` or ``paper:variant``."""
    return catalog.load(f"{row['paper']}:{row['variant']}").name


def status(row: dict[str, Any]) -> str:
    """A row's status and what stands against it: ``scaled (1 seed)``, ``stale (method)``."""
    against = row["reason"] if row["status"] == "stale" else row["sure"]
    return f"{row['status']} ({against})" if against else str(row["status"])


def is_promised(row: dict[str, Any]) -> bool:
    """Whether a row has a target or a claim, or was never run; other rows are figures measured along the way."""
    return bool(row["target"] or row["claim"]) or row["status"] == "unverified"


def counted(rows: list[dict[str, Any]], always: str = "") -> str:
    """``3 scaled, 1 missed`` of rows with a status; of one status only, and even if there are none, where it is named."""
    counts = [(sum(row["status"] == status for row in rows), status) for status in ([always] if always else STATUSES)]
    return ", ".join(f"{count} {status}" for count, status in counts if count or always)


def seeds(row: dict[str, Any]) -> str:
    """How many seeds and seconds, in brackets; nothing of a row that was never run."""
    plural = "seed" if row["seeds"] == 1 else "seeds"
    return f" ({row['seeds']} {plural}, {row['seconds']:.0f} s)" if row["seeds"] else ""
