"""Tests in parts: none is left out, none runs twice."""

from fixtures.reach import in_share


def test_every_test_is_in_one_part_and_parts_are_alike() -> None:
    names = [f"tests/test_a.py::test_{i}[{i % 7}]" for i in range(3000)]
    assert all(in_share(name, "1/1") for name in names)
    for parts in (2, 6):
        counts = [sum(in_share(name, f"{part}/{parts}") for name in names) for part in range(1, parts + 1)]
        assert sum(counts) == len(names) and min(counts) > 0.8 * len(names) / parts
        assert all(sum(in_share(name, f"{part}/{parts}") for part in range(1, parts + 1)) == 1 for name in names)
