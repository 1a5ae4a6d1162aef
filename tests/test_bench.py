"""The benchmark harness: it runs, it is fair in what it counts, and its output reads well."""

import minigan_bench
import pytest
from minigan_bench.timing import BLOCK, SETTLE, take_turns

import minigan


def test_sides_take_turns_in_blocks():
    order = []
    sides = {name: lambda name=name: order.append(name) for name in "ab"}
    timings, turns = take_turns(sides, steps=2 * (BLOCK - SETTLE), warmup=3)
    assert "".join(order) == "aaabbb" + ("a" * BLOCK + "b" * BLOCK) * 2
    assert [len(turns[name]) for name in "ab"] == [2, 2]
    for timing in timings.values():
        assert 0 <= timing.low <= timing.median <= timing.high


def test_bench_reports_every_side():
    result = minigan_bench.run("gan", steps=4, batch_size=4, threads=1)
    assert result["batch_size"] == 4
    assert result["sides"]["minigan"]["median_ms"] > 0
    assert result["sides"]["minigan"]["peak_mib"] > 20
    text = minigan_bench.table(result)
    assert "minigan" in text
    if "ratio" in result:
        best = min(
            (side for side in result["sides"] if side != "minigan"),
            key=lambda side: result["sides"][side]["median_ms"],
        )
        assert result["best_peer"] == best
        assert result["ratio"] == pytest.approx(
            result["sides"][best]["median_ms"] / result["sides"]["minigan"]["median_ms"]
        )


def test_unknown_recipe_is_a_one_line_error():
    with pytest.raises(minigan.MiniganError, match="no recipe"):
        minigan_bench.run("gna")
