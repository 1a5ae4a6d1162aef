"""The CPU against the GPU: training steps and kernels on NumPy and CuPy, PyTorch beside each.

``minigan bench --backend numpy --backend cupy`` calls ``run``, ``table`` and ``write``.

A GPU works on while Python goes on, so a block of steps is timed from one standstill to the next
and divided by their number; nobody reads a loss inside.  A kernel is recorded several times into
one graph, so that its own time is measured and not that of starting it from Python.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigan
from minigan import backends, kernels, recipes
from minigan.files import write_atomically
from minigan.kernels import convolution
from minigan.kernels.geometry import Geometry
from minigan_bench.timing import Timing, cores

RECIPES = ("gan", "dcgan")
BATCH_SIZES = (64, 256, 1024, 4096)
BUDGET = 20.0  # seconds for one side of one row, at most
BLOCKS = 15  # timed blocks of a side, fewer if the budget does not last
BLOCK = {"numpy": 1, "cupy": 20}  # steps between two standstills, at most
BLOCK_SECONDS = 0.1  # enough for one: beside slow steps the standstill itself does not count
REPEATS = 10  # of a kernel in a graph
LAYER = (64, 32, 128)  # of the DCGAN for 64 x 64 images: C x H x H -> O x H/2 x H/2
WEIGHTS = 3_000_000  # of Adam's arrays
KERNEL_BATCH = 1024  # at most: arrays of 256 MiB
PEAK = {"numpy": (2048, 2**26), "cupy": (8192, 2**30)}  # side of a product, bytes of a copy

# What has to hold on a current data-centre GPU: recipe, batch, ours, theirs, how often as fast.
BARS = (
    ("gan", 64, "minigan graph", "PyTorch eager", 4.0),
    ("gan", 64, "minigan graph", "PyTorch graph", 1.0),
    ("dcgan", 64, "minigan graph", "PyTorch eager", 1.5),
    ("dcgan", 64, "minigan graph", "PyTorch graph", 0.9),
)


def run(
    names: Sequence[str] = RECIPES,
    chosen: Sequence[str] = ("numpy", "cupy"),
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    settings: dict[str, str] | None = None,
    budget: float = BUDGET,
    tf32: bool = False,
    with_kernels: bool = True,
    say: Callable[[str, dict[str, Any]], None] = lambda text, so_far: None,
) -> dict[str, Any]:
    """Time steps and kernels on each backend.

    Args:
        budget: seconds for one side of one row; what would take longer is left out, and said.
        settings: other values of the recipes, as for ``minigan train --set``.
        tf32: let both libraries round factors to TF32 on the GPU; the CPU knows no such thing.
        say: is told what comes next, and the result so far.

    Returns a dictionary fit for JSON: ``machine``, ``versions``, ``peaks`` (by backend: GFLOP/s of
    a large product, GB/s of a large copy), ``steps``, ``kernels``, ``bars``, ``left_out``,
    ``errors`` (by backend, why it could not be used).
    """
    result: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "gpu": None,
        "threads": minigan.get_num_threads(),
        "tf32": tf32,
        "versions": _versions(),
        "peaks": {}, "steps": [], "kernels": [], "bars": [], "left_out": [], "errors": {},
    }  # fmt: skip

    def note(text: str) -> None:
        result["bars"] = _bars(result["steps"])
        say(text, result)

    before = backends.current_backend()
    for backend in chosen:
        reason = backends.why_unavailable(backend)
        if reason is not None:
            result["errors"][backend] = f"backend {backend!r} cannot be used: {reason}"
            continue
        try:
            backends.use_backend(backend)
            if backend == "cupy":
                result["gpu"] = _gpu_name()
                backends.use_tf32(tf32)
            note(f"{backend}: peaks")
            result["peaks"][backend] = _peaks(backend)
            for name in names:
                _add_steps(result, name, backend, batch_sizes, settings or {}, budget, note)
            if with_kernels:
                for batch in sorted({min(batch_sizes), min(max(batch_sizes), KERNEL_BATCH)}):
                    note(f"{backend}: kernels, batch {batch}")
                    _add_kernels(result, backend, batch, budget)
        finally:
            if backend == "cupy":
                backends.use_tf32(False)
            backends.use_backend(before)
    result["bars"] = _bars(result["steps"])
    return result


# Steps --------------------------------------------------------------------------------------


def _add_steps(
    result: dict[str, Any], name: str, backend: str, batch_sizes: Sequence[int],
    settings: dict[str, str], budget: float, say: Callable[[str], None],
) -> None:  # fmt: skip
    for side, make in _sides(backend, result["tf32"]).items():
        expected = 0.0  # seconds a step
        for batch, after in itertools.zip_longest(batch_sizes, batch_sizes[1:]):
            recipe = recipes.override(recipes.get(name), {**settings, "batch_size": batch})
            row = {"recipe": name, "batch": batch, "backend": backend, "side": side}
            if 3 * expected > budget:
                what = f"{backend}: {name}, batch {batch}, {side}"
                result["left_out"].append(f"{what}: would take more than {budget:g} s")
                continue
            say(f"{backend}: {name}, batch {batch}, {side}")
            try:
                step, close = make(recipe)
                timing = _time(step, backend, budget)
                close()
            except Exception as error:  # no memory, say: the other rows are still of interest
                line = (str(error).strip().splitlines() or [type(error).__name__])[0]
                result["left_out"].append(f"{backend}: {name}, batch {batch}, {side}: {line}")
                break
            finally:
                _free(backend)
            expected = timing.median * (after or batch) / batch
            row |= {
                "median_ms": 1e3 * timing.median,
                "quartiles_ms": [1e3 * timing.low, 1e3 * timing.high],
                "images_per_second": batch / timing.median,
            }
            result["steps"].append(row)


Step = tuple[Callable[[], object], Callable[[], object]]  # a step, and how to free what it holds


def _sides(backend: str, tf32: bool) -> dict[str, Callable[[recipes.Recipe], Step]]:
    if backend == "numpy":
        sides = {"minigan": lambda recipe: _own(recipe, graph=False)}
    else:
        sides = {
            "minigan graph": lambda recipe: _own(recipe, graph=True),
            "minigan eager": lambda recipe: _own(recipe, graph=False),
        }
    if importlib.util.find_spec("torch") is None:
        return sides
    from minigan_bench import peer

    if backend == "numpy":
        return {**sides, "PyTorch": lambda recipe: (peer.device_step(recipe, "cpu"), _nothing)}
    return {
        **sides,
        "PyTorch graph": lambda recipe: (
            peer.device_step(recipe, "cuda", graph=True, tf32=tf32), _nothing
        ),
        "PyTorch eager": lambda recipe: (peer.device_step(recipe, "cuda", tf32=tf32), _nothing),
    }  # fmt: skip


def _nothing() -> None:
    pass


def _own(recipe: recipes.Recipe, *, graph: bool) -> Step:
    from minigan.train import setup
    from minigan.train.capture import CapturedStep
    from minigan.train.step import play_step

    shape = (1, recipe.image_size, recipe.image_size)
    game = setup.build_game(recipe, shape)
    low, high = recipe.pixel_low, recipe.pixel_high
    x = minigan.rand(recipe.batch_size, *shape) * (high - low) + low
    if not graph:
        return lambda: play_step(game, [x]), _nothing
    step = CapturedStep(game, [x])
    return lambda: step([x]), step.close


def _time(step: Callable[[], object], backend: str, budget: float) -> Timing:
    """Seconds a step: medians of blocks, from standstill to standstill."""

    def block(count: int) -> float:
        _wait(backend)
        start = time.perf_counter()
        for _ in range(count):
            step()
        _wait(backend)
        return (time.perf_counter() - start) / count

    began = time.perf_counter()
    block(1)  # compiles, and finds its memory
    count = max(1, min(BLOCK[backend], int(BLOCK_SECONDS / block(1))))
    seconds = []
    while len(seconds) < BLOCKS and (len(seconds) < 2 or time.perf_counter() - began < budget / 2):
        seconds.append(block(count))
    return Timing.of(seconds)


def _wait(backend: str) -> None:
    if backend == "cupy":
        backends.synchronize()  # of the whole device, so of PyTorch's streams too


def _free(backend: str) -> None:
    """Give back what pools keep, so that one side does not take the next one's memory."""
    import gc

    gc.collect()
    if backend == "cupy":
        backends.xp().get_default_memory_pool().free_all_blocks()
        if importlib.util.find_spec("torch") is not None:
            import torch

            torch.cuda.empty_cache()


def _bars(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {(r["recipe"], r["batch"], r["side"]): r["median_ms"] for r in steps}
    bars = []
    for name, batch, own, peer, needed in BARS:
        own_ms, peer_ms = found.get((name, batch, own)), found.get((name, batch, peer))
        ratio = peer_ms / own_ms if own_ms and peer_ms else None
        text = f"{name}, batch {batch}: {own} at least {needed:g} times as fast as {peer}"
        met = None if ratio is None else ratio >= needed
        bars.append({"text": text, "needed": needed, "ratio": ratio, "met": met})
    return bars


# Kernels ------------------------------------------------------------------------------------


def _add_kernels(result: dict[str, Any], backend: str, batch: int, budget: float) -> None:
    peaks = result["peaks"][backend]
    for name, size, make, flop, moved in _kernels(batch):
        try:
            call = make()
            timing, is_recorded = _time_kernel(call, backend, budget / 10)
        except Exception as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            result["left_out"].append(f"{backend}: kernel {name}, batch {batch}: {line}")
            continue
        finally:
            call = None
            _free(backend)
        gflops, gbs = flop / timing.median / 1e9, moved / timing.median / 1e9
        result["kernels"].append({
            "kernel": name, "size": size, "batch": batch, "backend": backend,
            "median_us": 1e6 * timing.median,
            "quartiles_us": [1e6 * timing.low, 1e6 * timing.high],
            "gflops": gflops, "gbs": gbs, "is_recorded": is_recorded,
            "share": max(gflops / peaks["gflops"], gbs / peaks["gbs"]),
        })  # fmt: skip


def _kernels(N: int) -> list[tuple[str, str, Callable[[], Callable[[], object]], float, float]]:
    """(name, size, what makes the call, operations, bytes that must be moved) for batches of N.

    Bytes count each input once and each output once, operations those of the definition."""
    from minigan.functional.linear import product

    some = np.random.default_rng(0).standard_normal(2**20, dtype=np.float32)
    f = 4  # bytes of a float32

    def array(*shape: int) -> Any:
        return backends.xp().asarray(np.resize(some, shape))  # again and again

    def images(C: int, H: int) -> Any:  # channels-last, as the layers hand them on
        return array(N, H, H, C).transpose(0, 3, 1, 2)

    (C, H, O), P, size = LAYER, LAYER[1] // 2, WEIGHTS
    geometry = Geometry((2, 2), (1, 1))
    features = f"{C} x {H} x {H}"
    n = N * C * H * H
    conv = 2.0 * N * P * P * O * C * 16
    conv_bytes = f * (n + N * O * P * P + O * C * 16)

    def channels(call: Callable[..., Any], maps: int) -> Callable[[], Callable[[], object]]:
        def make() -> Callable[[], object]:
            inputs = [images(C, H) for _ in range(maps)]
            vectors = [array(C), abs(array(C)) + 1, array(C), array(C)]
            return lambda: call(*inputs, *vectors)

        return make

    def linear() -> Callable[[], object]:
        x, w, y = array(N, 784), array(1024, 784), array(N, 1024)
        return lambda: product(x, w.T, out=y)

    def forward() -> Callable[[], object]:
        x, w = images(C, H), array(O, 4, 4, C).transpose(0, 3, 1, 2)
        return lambda: convolution.convolve(x, w, geometry)

    def input_gradient() -> Callable[[], object]:
        gy, w = images(O, P), array(O, 4, 4, C).transpose(0, 3, 1, 2)
        return lambda: convolution.convolve_input_gradient(gy, w, (H, H), geometry)

    def weight_gradient() -> Callable[[], object]:
        x, gy = images(C, H), images(O, P)
        return lambda: convolution.convolve_weight_gradient(x, gy, (4, 4), geometry)

    def leaky() -> Callable[[], object]:
        x = images(C, H)
        return lambda: kernels.leaky_relu(x, 0.2)

    def bias() -> Callable[[], object]:
        x, b = images(C, H), array(C)
        return lambda: kernels.add_bias_leaky_relu(x, b, 0.2)

    def stats() -> Callable[[], object]:
        x = images(C, H)
        return lambda: kernels.batch_stats(x)

    def grad() -> Callable[[], object]:
        gy, x, sums = images(C, H), images(C, H), array(2, C)
        vectors = [array(C), abs(array(C)) + 1, array(C), array(C)]
        return lambda: kernels.batch_norm_grad(gy, x, *vectors, 0.2, sums)

    def bce() -> Callable[[], object]:
        x, t = array(N, 1), backends.xp().asarray(np.float32(1))
        return lambda: kernels.bce_with_logits(x, t)

    def adam() -> Callable[[], object]:
        p, g, m, v = (abs(array(size)) for _ in range(4))
        clock = backends.xp().zeros(4, np.float64)
        kernels.adam_tick(clock, 0.5, 0.999)
        return lambda: kernels.adam_at(p, g, m, v, clock, 0.5, 0.999, 1e-8, 0.0)

    def normal() -> Callable[[], object]:
        out = array(N, 100)
        return lambda: kernels.fill_normal(out, 1, 2, 3)

    layer = f"{features} -> {O} x {P} x {P}"
    return [
        ("product", "784 -> 1024", linear, 2.0 * N * 784 * 1024, f * (N * 1808 + 784 * 1024)),
        ("convolution", layer, forward, conv, conv_bytes),
        ("conv. input gradient", layer, input_gradient, conv, conv_bytes),
        ("conv. weight gradient", layer, weight_gradient, conv, conv_bytes),
        ("leaky_relu", features, leaky, n, 2 * f * n),
        ("bias + leaky_relu", features, bias, 2 * n, 2 * f * n),
        ("batch_stats", features, stats, 4 * n, f * n),
        ("batch_norm", features,
         channels(lambda *a: kernels.batch_norm(*a, 0.2), 1), 5 * n, 2 * f * n),
        ("batch_norm_sums", features,
         channels(lambda *a: kernels.batch_norm_sums(*a, 0.2), 2), 8 * n, 2 * f * n),
        ("batch_norm_grad", features, grad, 10 * n, 3 * f * n),
        ("bce_with_logits", "1", bce, 5 * N, 2 * f * N),
        ("adam", f"{size:,} weights", adam, 12 * size, 7 * f * size),
        ("normal numbers", "100", normal, 40 * N * 100, f * N * 100),
    ]  # fmt: skip


def _time_kernel(call: Callable[[], object], backend: str, budget: float) -> tuple[Timing, bool]:
    """Seconds a call, and whether it was recorded: without Python's share of the time."""
    if backend == "cupy":
        call()
        try:
            graph, close = _recorded(call)
        except Exception:  # what cannot be recorded is started from Python
            return _time(call, backend, budget), False
        timing = _time(graph, backend, budget)
        close()
        return Timing(*(t / REPEATS for t in (timing.median, timing.low, timing.high))), True
    return _time(call, backend, budget), True


def _recorded(call: Callable[[], object]) -> Step:
    """The call, REPEATS times, as one graph; see minigan/train/capture.py for the rules."""
    from minigan.train.capture import _stream

    cupy = backends.xp()
    stream, pool = _stream(cupy), cupy.cuda.MemoryPool()
    backends.synchronize()
    with stream:
        call()  # a cuBLAS handle for this stream
    stream.synchronize()
    kept = []  # results stay: else one call's memory is the next one's, which a graph may reorder
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        try:
            kept += [call() for _ in range(REPEATS)]
        except Exception:
            stream.end_capture()
            raise
        graph = stream.end_capture()

    def close() -> None:
        kept.clear()
        pool.free_all_blocks()  # a pool that is dropped keeps them

    return graph.launch, close


def _peaks(backend: str) -> dict[str, float]:
    """The rates that kernels are compared with, measured: a large product and a large copy."""
    from minigan.functional.linear import product

    side, size = PEAK[backend]
    xp = backends.xp()
    a, b, out = (xp.ones((side, side), np.float32) for _ in range(3))
    gflops = 2e-9 * side**3 / _best(lambda: product(a, b, out=out), backend)
    a = b = out = None
    _free(backend)
    x, y = (xp.zeros(size // 4, np.float32) for _ in range(2))

    def copy() -> None:
        y[...] = x

    gbs = 2e-9 * size / _best(copy, backend)
    x = y = None
    _free(backend)
    return {"gflops": gflops, "gbs": gbs}


def _best(call: Callable[[], object], backend: str) -> float:
    seconds = []
    for _ in range(6):
        _wait(backend)
        start = time.perf_counter()
        call()
        _wait(backend)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


# What is shown ------------------------------------------------------------------------------


def table(result: dict[str, Any]) -> str:
    """The result of ``run`` as text."""
    lines = [
        f"{result['machine']}; GPU: {result['gpu'] or 'none'}; {result['threads']} threads; TF32 "
        + ("on" if result["tf32"] else "off"),
        "  ".join(f"{k} {v}" for k, v in result["versions"].items()),
    ]
    for backend, peaks in result["peaks"].items():
        lines.append(
            f"peak of {backend}, measured: {peaks['gflops']:,.0f} GFLOP/s (product), "
            f"{peaks['gbs']:,.0f} GB/s (copy)"
        )
    if result["steps"]:
        lines += [
            "",
            f"{'one training step':34}{'median ms':>12}{'quartiles ms':>22}{'images/s':>12}",
        ]
        for r in sorted(result["steps"], key=lambda r: (r["recipe"], r["batch"])):
            low, high = r["quartiles_ms"]
            what = f"{r['recipe']:7}{r['batch']:5}  {_label(r)}"
            lines.append(
                f"{what:34}{r['median_ms']:12.3f}{f'{low:.3f} - {high:.3f}':>22}"
                f"{r['images_per_second']:12,.0f}"
            )
    if result["kernels"]:
        lines += ["", f"{'kernel':22}{'size':32}{'batch':>6}{'backend':>9}{'us':>12}"
                  f"{'GFLOP/s':>10}{'GB/s':>8}{'of peak':>9}"]  # fmt: skip
        for r in sorted(result["kernels"], key=lambda r: (r["batch"], r["kernel"], r["backend"])):
            lines.append(
                f"{r['kernel']:22}{r['size']:32}{r['batch']:6}{r['backend']:>9}"
                f"{r['median_us']:12,.1f}{r['gflops']:10,.0f}{r['gbs']:8,.0f}{r['share']:9.0%}"
                + ("" if r["is_recorded"] else "  (started from Python)")
            )
    bars = [bar for bar in result["bars"] if bar["ratio"] is not None]
    if bars:
        lines.append("")
    for bar in bars:
        verdict = "met" if bar["met"] else "NOT MET"
        lines.append(f"{bar['text']}: {bar['ratio']:.2f} times, {verdict}")
    for what in ("left_out", "errors"):
        values = result[what].values() if what == "errors" else result[what]
        lines += [f"not measured: {line}" for line in values]
    return "\n".join(lines)


def _label(row: dict[str, Any]) -> str:
    return f"{row['side']}, {'CPU' if row['backend'] == 'numpy' else 'GPU'}"


def write(result: dict[str, Any], folder: str | Path, *, plots: bool = True) -> list[Path]:
    """bench.json, bench.txt, steps.png and kernels.png in a folder, as far as there is anything."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "bench.json": json.dumps(result, indent=1).encode(),
        "bench.txt": (table(result) + "\n").encode(),
    }
    if plots and result["steps"]:
        files["steps.png"] = _plot_steps(result)
    if plots and result["kernels"]:
        files["kernels.png"] = _plot_kernels(result)
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]


COLOURS = {
    "minigan": "#d1495b", "minigan graph": "#d1495b", "minigan eager": "#edae49",
    "PyTorch": "#2166ac", "PyTorch graph": "#2166ac", "PyTorch eager": "#83c5e6",
}  # fmt: skip


def _plot_steps(result: dict[str, Any]) -> bytes:
    """Milliseconds a step over the batch size, a panel for each recipe; the CPU's are dashed."""
    names = list(dict.fromkeys(r["recipe"] for r in result["steps"]))
    figure = _figure(5.2 * len(names), 4.2)
    for ax, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        rows = [r for r in result["steps"] if r["recipe"] == name]
        for label in dict.fromkeys(_label(r) for r in rows):
            line = [r for r in rows if _label(r) == label]
            ax.plot(
                [r["batch"] for r in line], [r["median_ms"] for r in line], label=label,
                marker="o", markersize=4, color=COLOURS[line[0]["side"]],
                linestyle="--" if line[0]["backend"] == "numpy" else "-",
            )  # fmt: skip
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        times = [r["median_ms"] for r in rows]
        ax.set_ylim(
            10 ** math.floor(math.log10(min(times))), 10 ** math.ceil(math.log10(max(times)))
        )
        ax.yaxis.set_major_formatter("{x:g}")
        batches = sorted({r["batch"] for r in rows})
        ax.set_xticks(batches, [str(b) for b in batches])
        ax.minorticks_off()
        ax.set_title(name, loc="left", fontsize=11)
        ax.set_xlabel("batch size")
        ax.set_ylabel("milliseconds a step")
        ax.grid(color="#e6e6e6", linewidth=0.8, which="both")
        ax.legend(frameon=False, fontsize=8)
    return _png(figure)


def _plot_kernels(result: dict[str, Any]) -> bytes:
    """Microseconds of each kernel at the largest batch that was measured, CPU beside GPU."""
    batch = max(r["batch"] for r in result["kernels"])
    rows = [r for r in result["kernels"] if r["batch"] == batch]
    names = list(dict.fromkeys(r["kernel"] for r in rows))
    figure = _figure(8.5, 1.2 + 0.42 * len(names))
    ax = figure.subplots()
    for shift, backend, colour in ((0.2, "numpy", "#8d96a3"), (-0.2, "cupy", "#d1495b")):
        own = {r["kernel"]: r for r in rows if r["backend"] == backend}
        places = [i for i, name in enumerate(names) if name in own]
        if not places:
            continue
        bars = ax.barh(
            [-i + shift for i in places], [own[names[i]]["median_us"] for i in places], 0.38,
            color=colour, label="CPU" if backend == "numpy" else "GPU",
        )  # fmt: skip
        found = [own[names[i]] for i in places]
        texts = [f"{_short(r['median_us'])}, {r['share']:.0%}" for r in found]
        ax.bar_label(bars, texts, padding=3, fontsize=7)
    ax.set_xscale("log")
    ax.set_xlim(right=ax.get_xlim()[1] * 8)
    ax.set_yticks([-i for i in range(len(names))], names, fontsize=8)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
    ax.set_xlabel("microseconds; beside it, the share of the device's measured peak")
    ax.set_title(f"kernels, batch {batch}", loc="left", fontsize=11)
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return _png(figure)


def _short(us: float) -> str:
    """4.42 us, 83.0 ms"""
    return f"{us:.3g} us" if us < 999.5 else f"{us / 1000:,.3g} ms"


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _png(figure: Any) -> bytes:
    import io

    content = io.BytesIO()
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
    figure.savefig(content, format="png")
    return content.getvalue()


def _gpu_name() -> str:
    cuda = backends.xp().cuda
    name = cuda.runtime.getDeviceProperties(cuda.runtime.getDevice())["name"]
    return name.decode() if isinstance(name, bytes) else name


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "minigan": minigan.__version__}
    for package in ("numpy", "numba", "cupy-cuda13x", "cupy-cuda12x", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
