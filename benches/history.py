#!/usr/bin/env python3
"""Keeps figures of the benchmarks and says what became slower.

    benches/history.py run --out FILE [--rounds N] [--checkout OTHER]   measure this tree (and another one, in turn)
    benches/history.py compare BEFORE AFTER [--limit 0.05]              exit status 1 where something became slower

`run` builds the benchmarks, runs each case N times and writes JSON: the commit, the processor, and every figure of every
round. With `--checkout`, a second working tree is measured round by round beside the first, which is the only fair way
on a shared machine; its file is FILE with `.other` before the ending. `compare` sets medians side by side; a case is slower
where its median fell by more than the limit and by more than the rounds of either file spread.
"""
import argparse
import json
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Bench, its arguments. Each line `NAME: ... N tokens/s` that it prints is a figure.
CASES = [
    ("engine", ["tiny-64"]),
    ("engine", ["nano-100"]),
    ("engine", ["small-25"]),
    ("engine", ["small-25", "2", "int8"]),
    ("training", ["narrow"]),
    ("training", ["small"]),
]
FIGURE = re.compile(r"^(?P<name>[^:|]+):.*?(?P<rate>[\d.]+) tokens/s", re.MULTILINE)


def command(arguments, folder):
    done = subprocess.run(arguments, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def processor():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


class Tree:
    """A working tree and its figures."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        self.figures = {}
        command(["cargo", "bench", "--locked", "--no-run", "--bench", "engine", "--bench", "training"], self.folder)

    def round(self, bench, arguments):
        out = command(["cargo", "bench", "--locked", "--bench", bench, "--", *arguments], self.folder)
        for found in FIGURE.finditer(out):
            name = f"{bench} {' '.join(arguments)}: {found['name'].strip()}"
            self.figures.setdefault(name, []).append(float(found["rate"]))

    def write(self, path):
        record = {
            "version": 1,
            "commit": command(["git", "rev-parse", "HEAD"], self.folder).strip(),
            "changed": bool(command(["git", "status", "--porcelain"], self.folder).strip()),
            "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "processor": processor(),
            "unit": "tokens/s",
            "figures": self.figures,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"wrote {path}")


def run(options):
    out = pathlib.Path(options.out)
    trees = [(Tree(ROOT), out)]
    if options.checkout:
        trees.append((Tree(options.checkout), out.with_suffix(".other" + out.suffix)))
    for number in range(options.rounds):
        for bench, arguments in CASES:
            for tree, _ in trees:
                tree.round(bench, arguments)
        print(f"round {number + 1} of {options.rounds}", flush=True)
    for tree, path in trees:
        tree.write(path)
    return 0


def spread(values):
    """How far the rounds lie apart, as a share of their median."""
    return (max(values) - min(values)) / statistics.median(values) if len(values) > 1 else 0.0


def compare(options):
    before, after = (json.loads(pathlib.Path(path).read_text()) for path in (options.before, options.after))
    if before["processor"] != after["processor"]:
        print(f"different processors: {before['processor']} and {after['processor']}; ratios mean little")
    slower = False
    for name, old in before["figures"].items():
        new = after["figures"].get(name)
        if new is None:
            print(f"{name}: gone")
            continue
        ratio = statistics.median(new) / statistics.median(old)
        fell = 1 - ratio
        worse = fell > options.limit and fell > max(spread(old), spread(new))
        slower |= worse
        print(f"{name}: {ratio:.3f}x{'  SLOWER' if worse else ''}")
    for name in after["figures"].keys() - before["figures"].keys():
        print(f"{name}: new")
    return 1 if slower else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("run")
    one.add_argument("--out", required=True)
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--checkout")
    one.set_defaults(do=run)
    two = commands.add_parser("compare")
    two.add_argument("before")
    two.add_argument("after")
    two.add_argument("--limit", type=float, default=0.05)
    two.set_defaults(do=compare)
    options = parser.parse_args()
    sys.exit(options.do(options))


if __name__ == "__main__":
    main()
