"""The tables of docs/performance.md, between their markers. The first contestant of a job is the one that is compared."""

import os
import re
import statistics
import subprocess
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path


def cpu():
    """The CPU, as `lscpu` tells it: name, cores, threads of each, widest vectors."""
    told = subprocess.run(["lscpu"], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    fields = dict(re.findall(r"^ *([^:\n]+): *(.*)$", told, re.MULTILINE))
    cores = int(fields["Core(s) per socket"]) * int(fields["Socket(s)"])
    flags = fields.get("Flags", "").split()
    vectors = next((name for flag, name in [("avx512f", "AVX-512"), ("avx2", "AVX2")] if flag in flags), "neither AVX2 nor AVX-512")
    return (
        f"{fields['Model name']} (family {fields['CPU family']}, model {fields['Model']}, {vectors}), {cores} cores, threads: "
        f"{fields['Thread(s) per core']} per core by `lscpu`"
    )


def versions():
    """The peers' versions, as installed."""
    names = [("ctranslate2", "ctranslate2"), ("llama_cpp", "llama-cpp-python"), ("torch", "torch"), ("transformers", "transformers")]
    return ", ".join(f"{name} {metadata.version(name)}" for module, name in names if find_spec(module))


def median(result, contestant, field):
    return statistics.median(each[contestant][field] for each in result["rounds"])


def first(result):
    return result["case"]["contestants"][0]


def speed(run, clock):
    """Tokens per second of a run by the clock `seconds` (the wall's) or `cpu` (the processor's); of a training from
    its first step's end to its last's."""
    if "step_tokens" in run:
        return run["step_tokens"] / run["step_seconds" if clock == "seconds" else "step_cpu"]
    return run["tokens"] / run[clock]


def gain(result, contestant, clock):
    """How many times as fast the first does the same job, as `median (least to greatest)` over several rounds."""

    def once(each):
        ours, theirs = each[first(result)], each[contestant]
        if "step_tokens" in ours:
            return speed(ours, clock) / speed(theirs, clock)
        return theirs[clock] / ours[clock]

    ratios = [once(each) for each in result["rounds"]]
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"**{statistics.median(ratios):.2f}x**{spread}"


def speed_table(results):
    firsts = {first(result) for result in results.values()}
    whose = firsts.pop() if len(firsts) == 1 else "the job's first"
    lines = [
        f"| job | by | processor s | wall s | tokens per processor s | peak MiB | gain of {whose} by processor time | by the wall |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        for contestant in result["case"]["contestants"]:
            fast = statistics.median(speed(each[contestant], "cpu") for each in result["rounds"])
            other = contestant != first(result)
            gains = [gain(result, contestant, clock) if other else "" for clock in ("cpu", "seconds")]
            lines.append(
                f"| {name} | {contestant} | {median(result, contestant, 'cpu'):.1f} | {median(result, contestant, 'seconds'):.1f} "
                f"| {fast:,.0f} | {median(result, contestant, 'peak_mib'):,.0f} | {gains[0]} | {gains[1]} |"
            )
    return lines


def kept_table(results):
    lines = [
        "| job | by | paths | tokens each | ended | median perplexity | dropped by pattern | left before select | kept | tokens each | mean perplexity |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        if result["case"]["work"] != "sample":
            continue
        for contestant in result["case"]["contestants"]:
            of = lambda field, contestant=contestant, result=result: median(result, contestant, field)
            lines.append(
                f"| {name} | {contestant} | {of('paths'):,.0f} | {of('mean_tokens'):.1f} | {of('ended'):.1%} "
                f"| {of('median_perplexity'):,.2f} | {of('pattern'):.1%} | {of('survivors'):.1%} | {of('kept'):.0f} "
                f"| {of('kept_tokens'):.1f} | {of('kept_perplexity'):,.1f} |"
            )
    return lines


def agreement(results):
    """Greedy answers and losses of the last round, side by side."""
    lines = []
    for name, result in results.items():
        last = result["rounds"][-1]
        for contestant in result["case"]["contestants"][1:]:
            if result["case"]["work"] == "predict":
                ours, theirs = last[first(result)]["answers"], last[contestant]["answers"]
                same = sum(theirs[key] == tokens for key, tokens in ours.items())
                lines.append(f"- {name}: {same} of {len(ours)} answers of {contestant} are those of {first(result)}, token for token.")
            elif result["case"]["work"] == "finetune":
                ours, theirs = last["sert-run"], last[contestant]
                lines.append(
                    f"- {name}: {ours['tokens']:,} tokens by sert-run at a mean loss of {ours['loss']:.3f}, "
                    f"{theirs['tokens']:,} by {contestant} at {theirs['loss']:.3f}."
                )
    return lines


def cases_table(results):
    lines = ["| job | what | student | questions | new tokens | width of a peer's batch |", "|---|---|---|---|---|---|"]
    for name, result in results.items():
        case = result["case"]
        lines.append(
            f"| {name} | {case['work']} | {case['student']} | {case['questions']} | {case['max_new_tokens'] or '-'} | {case['batch'] or '-'} |"
        )
    return lines


def write(document, results, arguments):
    """Puts the tables between the markers of `document`."""
    results = {name: result for name, result in results.items() if result["rounds"]}
    loads = ", ".join(f"{name} {statistics.median(result['loads']):.1f}" for name, result in results.items())
    rounds = max((len(result["rounds"]) for result in results.values()), default=0)
    told = "one round" if rounds == 1 else f"{rounds} rounds, medians, and in brackets the least and the greatest gain of a round"
    name = arguments.size if arguments.size in ("int8", "smollm2") else "peers"
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    lines = [
        begin,
        f"`benches/peers/run --size {arguments.size} --threads {arguments.threads}`: {cpu()}; {told}. Load average over a minute, median "
        f"of each job ({arguments.threads} at most on an idle machine): {loads}. Peers: {versions()}.",
        "",
        *cases_table(results),
        "",
        *speed_table(results),
        "",
        *kept_table(results),
        "",
        *agreement(results),
        end,
    ]
    text = document.read_text()
    before, rest = text.split(begin)
    document.write_text(before + "\n".join(lines) + rest.split(end)[1])
