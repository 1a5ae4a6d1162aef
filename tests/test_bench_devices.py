"""``minigan bench --backend``: what is measured, shown and written, and the report of gpu.sh."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import strict
from click.testing import CliRunner
from minigan_bench import device_kernels, devices, report, showing, standstill
from minigan_bench.timing import Timing

from minigan import backends
from minigan.cli import program

TINY = {"widths": "4", "image_size": "8", "latent_dim": "3"}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Few steps, small peaks, and no PyTorch, which would take longest."""
    monkeypatch.setattr(standstill, "BLOCKS", 2)
    monkeypatch.setattr(standstill, "BLOCK", {"numpy": 1, "cupy": 2})
    monkeypatch.setattr(device_kernels, "LAYER", (4, 8, 6))
    monkeypatch.setattr(device_kernels, "WEIGHTS", 1000)
    monkeypatch.setattr(device_kernels, "REPEATS", 2)
    monkeypatch.setattr(standstill, "PEAK", dict.fromkeys(backends.NAMES, (16, 1024)))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("gc.collect", lambda: 0)  # 60 times through the whole suite's objects


@pytest.fixture
def cupy(monkeypatch):
    with strict.installed() as module:
        yield module


def test_steps_and_kernels_of_both_backends(cupy, tmp_path):
    before = backends.current_backend()
    said = []
    result = devices.run(
        ["dcgan"], batch_sizes=[2, 4], settings=TINY,
        say=lambda text, so_far: said.append((text, len(so_far["steps"]))),
    )  # fmt: skip
    assert said[:3] == [("numpy: peaks", 0), ("numpy: dcgan, batch 2, minigan", 0),
                        ("numpy: dcgan, batch 4, minigan", 1)]  # fmt: skip
    assert backends.current_backend() == before
    assert not backends.uses_tf32()
    assert json.loads(json.dumps(result)) == result
    found = {(r["batch"], r["backend"], r["side"]) for r in result["steps"]}
    sides = [("numpy", "minigan"), ("cupy", "minigan graph"), ("cupy", "minigan eager")]
    assert found == {(batch, *side) for batch in (2, 4) for side in sides}
    assert cupy.cuda.log.count("free_all_blocks") == 2 + 26  # of steps and kernels
    for r in result["steps"]:
        assert r["images_per_second"] == pytest.approx(1e3 * r["batch"] / r["median_ms"])
    rows = {(r["kernel"], r["batch"], r["backend"]): r for r in result["kernels"]}
    assert len(rows) == 13 * 2 * 2
    assert result["left_out"] == []
    r = rows["convolution", 4, "numpy"]
    # 2 * 4 images * 6 x 4 x 4 outputs * 4 channels * 4 x 4 kernel
    assert r["gflops"] * r["median_us"] == pytest.approx(1e-3 * 2 * 4 * 6 * 16 * 4 * 16)
    r = rows["leaky_relu", 2, "cupy"]
    assert r["is_recorded"]
    assert r["gbs"] * r["median_us"] == pytest.approx(1e-3 * 2 * 4 * 2 * 4 * 8 * 8)
    assert result["gpu"] == "no GPU, but NumPy"
    text = showing.table(result)
    assert "dcgan      4  minigan graph, GPU" in text
    names = [path.name for path in showing.write(result, tmp_path / "out")]
    assert names == ["bench.json", "bench.txt", "steps.png", "kernels.png"]
    assert all((tmp_path / "out" / name).stat().st_size > 100 for name in names)


def test_what_takes_too_long_is_left_out(monkeypatch):
    monkeypatch.setattr(devices, "time_blocks", lambda *_: Timing(1.0, 0.9, 1.1))
    result = devices.run(
        ["dcgan"], ["numpy"], batch_sizes=[2, 4, 16], settings=TINY, budget=7, with_kernels=False
    )
    assert [r["batch"] for r in result["steps"]] == [2, 4]  # three steps of about 4 s are 12
    assert result["left_out"] == ["numpy: dcgan, batch 16, minigan: would take more than 7 s"]


def test_a_side_that_fails_does_not_stop_the_others(monkeypatch):
    def fail(recipe, *, graph):
        raise MemoryError("out of memory:\nall of it")

    monkeypatch.setattr(devices, "_own", fail)
    result = devices.run(["gan"], ["numpy"], batch_sizes=[2, 4], with_kernels=False)
    assert result["left_out"] == ["numpy: gan, batch 2, minigan: out of memory:"]


def test_bars():
    def row(recipe, side, ms):
        return {"recipe": recipe, "batch": 64, "side": side, "median_ms": ms}

    rows = [row("gan", "minigan graph", 0.25), row("gan", "PyTorch eager", 1.1),
            row("gan", "PyTorch graph", 0.2)]  # fmt: skip
    bars = devices._bars(rows)
    assert [bar["met"] for bar in bars] == [True, False, None, None]
    assert bars[0]["ratio"] == pytest.approx(4.4)
    assert bars[1]["ratio"] == pytest.approx(0.8)


# The command --------------------------------------------------------------------------------


def invoke(*arguments):
    return CliRunner().invoke(program, ["bench", *arguments])


def test_without_cupy_its_part_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(
        backends, "why_unavailable", lambda name: "no GPU" if name == "cupy" else None
    )
    settings = [f"--set={key}={value}" for key, value in TINY.items()]
    options = ["--backend", "numpy", "--backend", "cupy", "--batch-sizes", "2", "--threads", "1"]
    result = invoke("dcgan", *settings, *options, "--out", str(tmp_path))
    assert result.exit_code == 1
    assert "dcgan      2  minigan, CPU" in result.stdout
    errors = [line for line in result.stderr.splitlines() if "error" in line]
    assert errors == ["minigan: error: backend 'cupy' cannot be used: no GPU"]
    assert (tmp_path / "kernels.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "numpy", "--steps", "3"], "--steps does not go with --backend"),
        (["--out", "x"], "--out goes with --backend"),
        (["--backend", "numpy", "--batch-sizes", "64,x"], "expected numbers above 1"),
        (["--backend", "numpy", "--batch-sizes", "1"], "expected numbers above 1"),
        (["--backend", "numpy", "--set", "lr=1"], "needs the NAME of a recipe"),
        (["--backend", "tpu"], "'tpu' is not one of"),
    ],
)
def test_options_that_do_not_go_together(arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


# The report ---------------------------------------------------------------------------------


def test_the_report_says_what_failed(tmp_path):
    step = {"recipe": "gan", "batch": 64, "backend": "cupy", "median_ms": 0.5}
    bench = {
        "gpu": "a card", "machine": "m", "versions": {"numpy": "2"}, "left_out": ["one row"],
        "peaks": {"cupy": {"gflops": 50_000.0, "gbs": 4000.0}}, "kernels": [],
        "steps": [{**step, "side": "minigan graph"}, {**step, "side": "PyTorch eager"}],
        "bars": [{"text": "a bar", "ratio": 1.0, "needed": 4.0, "met": False},
                 {"text": "another", "ratio": None, "needed": 1.0, "met": None}],
    }  # fmt: skip
    (tmp_path / "bench.json").write_text(json.dumps(bench))
    parts = "info\t0\t1\t30\ntests\t1\t50\t170\nbench\t124\t190\t190\n"
    (tmp_path / "parts.tsv").write_text(parts)
    (tmp_path / "tests.log").write_text("line 1\nFAILED test_x\n=== 1 failed, 3 passed ===\n")
    (tmp_path / "bench.log").write_text("gan\n")
    text, is_well = report.report(tmp_path)
    assert not is_well
    for part in ("GPU: a card", "| tests | FAILED (1) | 50 | 170 |", "| bench | out of time |",
                 "- tests: 1 failed, 3 passed", "| a bar | 1.00 times | **not met** |",
                 "| another | not measured |", "FAILED test_x", "- one row",
                 "| gan | 64 | 0.500 | 0.500 |"):  # fmt: skip
        assert part in text, part
    (tmp_path / "parts.tsv").write_text("info\t0\t1\t30\n")
    assert not report.report(tmp_path)[1]  # a bar is missed
    (tmp_path / "bench.json").unlink()
    text, is_well = report.report(tmp_path)
    assert is_well
    assert "No benchmark came to an end" in text


def test_tests_that_were_all_skipped_on_a_gpu_are_no_success(tmp_path):
    bench = {"machine": "m", "versions": {}, "peaks": {}}
    bench |= {key: [] for key in ("steps", "kernels", "bars", "left_out")}
    (tmp_path / "parts.tsv").write_text("tests\t0\t1\t30\nfloat32\t0\t1\t30\n")
    (tmp_path / "tests.log").write_text("3 passed in 1s\n")
    for last, gpu, expected in [
        ("250 skipped in 1s", "a card", False),
        ("2 passed, 250 skipped in 1s", "a card", True),
        ("250 skipped in 1s", None, True),
    ]:
        (tmp_path / "float32.log").write_text(f"{last}\n")
        (tmp_path / "bench.json").write_text(json.dumps(bench | {"gpu": gpu}))
        text, is_well = report.report(tmp_path)
        assert is_well == expected
        assert f"- float32: {last}" in text


def test_a_block_is_as_many_steps_as_its_time_needs(monkeypatch):
    monkeypatch.setattr(standstill, "BLOCK", {"numpy": 20})
    now = [0.0]
    monkeypatch.setattr(standstill.time, "perf_counter", lambda: now[0])
    for seconds, count in [(0.001, 20), (0.019, 5), (3.0, 1)]:
        calls = []

        def step(seconds=seconds, calls=calls):
            calls.append(seconds)
            now[0] += seconds

        timing = standstill.time_blocks(step, "numpy", budget=4)
        assert timing.median == pytest.approx(seconds)
        assert len(calls) == 2 + 2 * count  # two to see how long one takes, and two blocks


def test_the_one_command_goes_on_after_a_failure(tmp_path):
    """gpu.sh with a Python that fails in one part, and writes the report."""
    script = Path(devices.__file__).parents[1] / "gpu.sh"
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *minigan_bench.report*) exec {sys.executable} "$@";; esac\n'
        'echo "$*"\ncase "$1 $2" in "-m pytest") echo broken; exit 3;; esac\n'
    )
    fake.chmod(0o755)
    done = subprocess.run(
        ["bash", str(script), str(tmp_path / "out")],
        env={"PYTHON": str(fake), "PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| tests | FAILED (3) |" in text
    assert "broken" in text
    assert "| bench | passed |" in text
    log = (tmp_path / "out" / "bench.log").read_text()
    assert "minigan bench --backend cupy --backend numpy" in log
    rows = [line.split("\t") for line in (tmp_path / "out" / "parts.tsv").read_text().splitlines()]
    limits = {name: int(limit) for name, *_, limit in rows}
    assert limits.keys() == {"info", *report.TESTS, "bench", "tf32"}
    side_by_side = min(limits["float32"], limits["float64"], limits["derivatives"])
    assert sum(limits.values()) - 2 * side_by_side < 8 * 60 - 15  # and the report
