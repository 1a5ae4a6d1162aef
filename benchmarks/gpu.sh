#!/usr/bin/env bash
# Tests and benchmarks on a machine with an NVIDIA GPU, CuPy and (for comparison) PyTorch, in under
# 8 minutes, from a bare checkout: nothing is installed and nothing is downloaded.
#
#     benchmarks/gpu.sh [--backend numpy] [FOLDER]
#
# FOLDER (default results/gpu) gets report.md, which says all; bench.json and two plots; and what
# the parts printed.  A part that fails or takes too long does not stop the others.
# --backend numpy tries the script itself where there is no GPU.  PYTHON names the interpreter.
#
# Exit status: 0 if every part ended well, 1 otherwise.

set -u

backend=cupy
if [ "${1:-}" = --backend ]; then
    backend=${2:?--backend takes cupy or numpy}
    shift 2
fi
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$here/results/gpu}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
cd "$here" || exit 1
export PYTHONPATH="$here:$here/benchmarks${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export PYTHONDONTWRITEBYTECODE=1
rm -f "$out"/{info,tests,float32,float64,derivatives,bench,tf32}.log "$out"/{bench.json,bench.txt,steps.png,kernels.png}
: > "$out/parts.tsv"

part() { # name, seconds at most, command ...
    local name=$1 limit=$2 began status
    shift 2
    began=$(date +%s)
    echo "== $name (at most $limit s)"
    timeout --kill-after=10 "$limit" "$@" > "$out/$name.log" 2>&1
    status=$?
    tail -n 3 "$out/$name.log" | cut -c1-200
    printf '%s\t%s\t%s\t%s\n' "$name" "$status" $(($(date +%s) - began)) "$limit" \
        >> "$out/parts.tsv"
}

tests() { # name, seconds at most, which tests, report of skips or failures
    # No options of the project's own: they need a plugin.  A warning of a library that is newer
    # than this project is no reason to fail, or to take CuPy for broken.
    part "$1" "$2" "$python" -m pytest -m gpu tests/test_gpu.py -o addopts= -q -W default \
        -p no:cacheprovider "$4" --tb=short -k "$3"
}

if [ "$backend" = cupy ]; then
    part info 40 "$python" -m minigan info
    # A fresh machine compiles every CuPy kernel once, which is most of the tests' time.  So the
    # captured step comes first, by itself; the functions, by far the most kernels, side by side.
    tests tests 120 "not functions and not derivatives" -rf
    tests float32 85 "functions and float32" -rf &
    tests float64 85 "functions and float64" -rf &
    tests derivatives 85 derivatives -rf &
    wait
    # The GPU first: what is measured is written at once, and stays if the time runs out.
    part bench 170 "$python" -m minigan bench --backend cupy --backend numpy --budget 4 --out "$out"
    part tf32 45 "$python" -m minigan bench --backend cupy --batch-sizes 64,1024 --budget 2 --tf32 \
        --out "$out/tf32"
else
    part info 30 "$python" -m minigan info
    tests tests 170 test -rs
    part bench 190 "$python" -m minigan bench gan --backend numpy --batch-sizes 16,64 --budget 1 \
        --out "$out"
fi
"$python" -m minigan_bench.report "$out"
