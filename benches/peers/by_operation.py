"""Where sert-run's processor time goes, by operation: samples of `perf`, grouped by the function they fell into.

Called by `run --profile` after the jobs, whose manifests and stored inputs it uses. Writes its tables between markers of
docs/performance.md.
"""

import re
import shutil
import subprocess
import sys

BEGIN, END = "<!-- profile: begin -->", "<!-- profile: end -->"

# The first that matches a function's name is its group.
GROUPS = [
    ("matrix products of sampling (gelu and residual sums in them)", r"engine::gemm"),
    ("attention of sampling", r"engine::attention"),
    ("log-probabilities: sum of exp over the vocabulary", r"vector::sum_exp"),
    ("draws: most probable tokens, top-p", r"vector::most_probable|engine::draw"),
    ("layer norm", r"layer_norm"),
    ("matrix products of training", r"ops::gemm"),
    ("attention of training", r"ops::attention"),
    ("loss: softmax over the vocabulary", r"ops::cross_entropy|vector::.*softmax"),
    ("gelu of training", r"gelu"),
    ("dropout and its random numbers", r"dropout|chacha"),
    ("Adam", r"train::adam|adam"),
    ("sums of biases' and others' gradients", r"column_sums|ops::"),
    ("digests of what is stored and read", r"blake3|sha2|digest"),
    ("memory: copies, zeros, allocation", r"memcpy|memset|memmove|mi_|alloc|clear_page|page_fault|fault"),
    ("everything else of the engine", r"model::engine|model::kernel"),
]


def profile(bench, case, stage):
    """(group, share) of one job, largest first."""
    name = case.name
    folder = bench.work / name
    cache = folder / "profiled"
    shutil.rmtree(cache, ignore_errors=True)
    shutil.copytree(folder / "ready", cache)
    command = [bench.sert_run, "run", folder / "manifest.toml", "--stage", stage, *bench.common]
    command += ["--limit", case.questions, "--cache", cache, "--threads", bench.arguments.threads, "--progress", "none"]
    data = folder / "perf.data"
    bench.call("perf", "record", "-e", "cpu-clock", "-F", 499, "-o", data, "--", *command)
    told = bench.call("perf", "report", "--stdio", "--no-children", "-i", data, "-F", "overhead,symbol", "--percent-limit", 0)
    (folder / "perf.txt").write_text(told)
    shutil.rmtree(cache)
    shares = {}
    for line in told.splitlines():
        found = re.match(r"\s*([\d.]+)%\s+\[[.k]\]\s+(.*)", line)
        if found:
            share, symbol = float(found.group(1)), found.group(2)
            group = next((label for label, pattern in GROUPS if re.search(pattern, symbol)), "all else")
            shares[group] = shares.get(group, 0.0) + share
    return sorted(shares.items(), key=lambda pair: -pair[1])


def write(bench, cases):
    """Profiles sampling and training of the small student, two of `cases`."""
    if shutil.which("perf") is None:
        sys.exit("`perf` is not installed\nhint: it comes with linux-tools; without it leave --profile out")
    lines = [BEGIN]
    for case in cases:
        stage = {"sample-small": "kept", "finetune-small": "tuned"}.get(case.name)
        if stage is not None:
            lines += [f"| {case.name} | share of processor time |", "|---|---|"]
            lines += [f"| {group} | {share:.1f} % |" for group, share in profile(bench, case, stage) if share >= 0.1]
            lines.append("")
    lines.append(END)
    document = bench.arguments.document
    before, rest = document.read_text().split(BEGIN)
    document.write_text(before + "\n".join(lines) + rest.split(END)[1])
