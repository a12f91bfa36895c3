"""Runs each job in sert-run and in its peers, interleaved, and writes docs/performance.md's tables.

Called by `run`, which builds sert-run and the environment of the peers. Every round runs every contestant once, in an
order that rotates; a ratio is the median over the rounds of the ratio within a round, because machines drift.
Results are kept in the work folder, so that `--only` can make one job again, and `--report` the tables alone.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import report

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
SHARED = REPOSITORY.parent / "shared"


@dataclass(frozen=True)
class Case:
    """A job: what is done, on which student, with how many questions and new tokens, by whom."""

    name: str
    work: str
    student: str
    questions: int
    max_new_tokens: int
    batch: int
    contestants: tuple


SAMPLE = ("sert-run", "ctranslate2", "transformers")
STOPPED = ("sert-run", "sert-run, stop", "ctranslate2", "transformers")
TRAIN = ("sert-run", "transformers")

SIZES = {
    "quick": [
        Case("sample-nano", "sample", "nano", 4, 64, 100, STOPPED),
        Case("sample-small", "sample", "small", 2, 26, 50, SAMPLE),
        Case("predict-small", "predict", "small", 16, 16, 16, SAMPLE),
        Case("finetune-small", "finetune", "small", 24, 0, 0, TRAIN),
    ],
    "standard": [
        Case("sample-small", "sample", "small", 8, 32, 200, SAMPLE),
        Case("finetune-small", "finetune", "small", 24, 0, 0, TRAIN),
        Case("sample-nano", "sample", "nano", 12, 64, 300, STOPPED),
        Case("predict-small", "predict", "small", 64, 24, 64, SAMPLE),
    ],
    "full": [
        Case("sample-nano", "sample", "nano", 100, 128, 400, STOPPED),
        Case("sample-small", "sample", "small", 100, 128, 400, SAMPLE),
        Case("sample-medium", "sample", "medium", 100, 128, 200, SAMPLE),
        Case("predict-nano", "predict", "nano", 687, 128, 128, SAMPLE),
        Case("predict-small", "predict", "small", 687, 128, 128, SAMPLE),
        Case("finetune-small", "finetune", "small", 256, 0, 0, TRAIN),
        Case("finetune-medium", "finetune", "medium", 64, 0, 0, TRAIN),
    ],
}

MANIFEST = """title = "beside its peers"
[data]
dataset = "strategyqa"
[student]
model = "{student}"
[stages.teacher]
kind = "teach"
recording = "strategyqa-text-davinci-002"
[stages.sampled]
kind = "sample"
max_new_tokens = {tokens}
[stages.kept]
kind = "filter"
paths = "sampled"
[stages.sampled-stop]
kind = "sample"
max_new_tokens = {tokens}
stop = ["imitative"]
[stages.kept-stop]
kind = "filter"
paths = "sampled-stop"
[stages.tuned]
kind = "distill"
paths = "teacher"
teacher_paths = "all"
epochs = 1
[stages.answers]
kind = "predict"
max_new_tokens = {tokens}
option_log_probs = false
"""

IMPORTED = """title = "a peer's paths"
[data]
dataset = "strategyqa"
[stages.imported]
kind = "import-paths"
path = "{path}"
[stages.kept]
kind = "filter"
paths = "imported"
"""

STAGES = {
    ("sample", "sert-run"): "kept",
    ("sample", "sert-run, stop"): "kept-stop",
    ("predict", "sert-run"): "answers",
    ("finetune", "sert-run"): "tuned",
}


@dataclass
class Measured:
    """What one process took, and what it said."""

    wall: float
    cpu: float
    peak_mib: float
    stdout: str
    steps: list


def cpu_of(process):
    """Seconds of the processor that a running process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(command, threads, folder):
    """Runs `command` to its end; its progress events are stamped as they come."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    environment |= {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    steps, kept = [], []
    with open(folder / "stdout", "w+") as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], stdout=out, stderr=subprocess.PIPE, text=True, env=environment
        )
        for line in process.stderr:
            kept.append(line)
            if '"unit":"steps"' in line:
                steps.append((time.perf_counter(), cpu_of(process.pid), json.loads(line)["progress"]["tokens"]))
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        out.seek(0)
        stdout = out.read()
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {status}:\n{''.join(kept[-30:])}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, stdout, steps)


class Bench:
    """One set of sizes in one work folder."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.work = arguments.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.sert_run = arguments.sert_run.resolve()
        self.common = ["--mirror", SHARED / "mirror"] if (SHARED / "mirror").is_dir() else []

    def call(self, *command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
        return done.stdout

    def student(self, name):
        """A folder in Hub format, and the same for CTranslate2."""
        folder = SHARED / "models" / "qa-nano" if name == "nano" else self.work / name
        if not folder.is_dir():
            self.call(sys.executable, HERE / "random_student.py", name, SHARED / "models" / "qa-nano", folder)
        converted = self.work / f"{name}-ctranslate2"
        if not converted.is_dir():
            tool = Path(sys.executable).parent / "ct2-transformers-converter"
            self.call(tool, "--model", folder, "--output_dir", converted, "--quantization", "float32")
        return folder, converted

    def run(self, case):
        """All rounds of one case."""
        arguments = self.arguments
        folder = self.work / case.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        student, converted = self.student(case.student)
        manifest = folder / "manifest.toml"
        manifest.write_text(MANIFEST.format(student=student, tokens=max(case.max_new_tokens, 1)))
        limit = [*self.common, "--limit", case.questions]
        ready = folder / "ready"
        stages = ["--stage", "data", "--stage", "student", "--stage", "teacher"]
        self.call(self.sert_run, "run", manifest, *stages, *limit, "--cache", ready)
        split = "data.test" if case.work == "predict" else "data.train"
        for stage, file in [(split, "questions.jsonl"), ("teacher", "teacher.jsonl")]:
            self.call(self.sert_run, "export", manifest, *limit, "--cache", ready, stage, folder / file)
        rounds = []
        for index in range(arguments.rounds):
            turn = index % len(case.contestants)
            results = {}
            for contestant in case.contestants[turn:] + case.contestants[:turn]:
                here = folder / f"{index}-{contestant.replace(', ', '-')}"
                here.mkdir()
                if (case.work, contestant) in STAGES:
                    results[contestant] = self.ours(case, contestant, manifest, limit, ready, here)
                else:
                    results[contestant] = self.peer(case, contestant, student, converted, limit, folder, here)
                seconds = results[contestant]["seconds"]
                print(f"{case.name}, round {index + 1}, {contestant}: {seconds:.1f} s", file=sys.stderr, flush=True)
            rounds.append(results)
        load = os.getloadavg()[2]
        return {"case": case.__dict__, "threads": arguments.threads, "rounds": rounds, "load": load}

    def ours(self, case, contestant, manifest, limit, ready, here):
        cache = here / "cache"
        # Inputs are in the store already; objects are never changed, so a link is a copy.
        copy = lambda a, b: os.link(a, b) if "objects" in Path(a).parts else shutil.copy2(a, b)
        shutil.copytree(ready, cache, copy_function=copy)
        stage = STAGES[case.work, contestant]
        command = [self.sert_run, "run", manifest, "--stage", stage, *limit, "--cache", cache]
        command += ["--threads", self.arguments.threads, "--progress", "json"]
        measured = measure(command, self.arguments.threads, here)
        look = [*limit, "--cache", cache]
        result = {"seconds": measured.wall, "cpu": measured.cpu, "peak_mib": measured.peak_mib}
        if case.work == "sample":
            sampled = self.rows(manifest, look, stage.replace("kept", "sampled"), here / "rows.jsonl")
            result |= {"tokens": sum(len(row["tokens"]) for row in sampled)}
            result |= self.statistics(manifest, look, stage, here)
        elif case.work == "predict":
            result |= answers(self.rows(manifest, look, stage, here / "rows.jsonl"))
        else:
            losses = self.rows(manifest, look, f"{stage}.losses", here / "losses.jsonl")
            result |= {"tokens": losses[-1]["tokens"], "loss": losses[-1]["train_loss"]}
            spans = [last - first for first, last in zip(measured.steps[0], measured.steps[-1], strict=True)]
            result |= dict(zip(("step_seconds", "step_cpu", "step_tokens"), spans, strict=True))
        shutil.rmtree(cache)
        return result

    def peer(self, case, contestant, student, converted, limit, folder, here):
        job = {
            "student": str(student),
            "converted": str(converted),
            "questions": str(folder / "questions.jsonl"),
            "teacher": str(folder / "teacher.jsonl"),
            "out": str(here / "rows.jsonl"),
            "threads": self.arguments.threads,
            "max_new_tokens": case.max_new_tokens,
            "batch": case.batch,
        }
        (here / "job.json").write_text(json.dumps(job, indent=1))
        script = HERE / f"{contestant}_peer.py"
        measured = measure([sys.executable, script, here / "job.json", case.work], self.arguments.threads, here)
        result = {"cpu": measured.cpu, "peak_mib": measured.peak_mib} | json.loads(measured.stdout.splitlines()[-1])
        if case.work == "sample":
            # sert-run's own filter judges the peer's paths.
            manifest = here / "imported.toml"
            manifest.write_text(IMPORTED.format(path=here / "rows.jsonl"))
            look = [*limit, "--cache", here / "cache"]
            self.call(self.sert_run, "run", manifest, *look)
            result |= self.statistics(manifest, look, "kept", here)
            shutil.rmtree(here / "cache")
        elif case.work == "predict":
            result |= answers([json.loads(line) for line in (here / "rows.jsonl").read_text().splitlines()])
        elif (here / "rows.jsonl").is_dir():
            shutil.rmtree(here / "rows.jsonl")
        return result

    def rows(self, manifest, look, stage, file):
        self.call(self.sert_run, "export", manifest, *look, stage, file)
        return [json.loads(line) for line in file.read_text().splitlines()]

    def statistics(self, manifest, look, stage, here):
        """What the filter kept, so that nobody need believe that the work was the same."""
        judged = self.rows(manifest, look, f"{stage}.verdicts", here / "verdicts.jsonl")
        perplexities = [2.718281828459045 ** (-r["log_prob"]["sum"] / r["log_prob"]["count"]) for r in judged]
        kept = [(row, p) for row, p in zip(judged, perplexities, strict=True) if row["verdict"] == "kept"]
        survivors = [row for row in judged if row["verdict"] == "kept" or row["by"] == "select"]
        return {
            "paths": len(judged),
            "mean_tokens": statistics.fmean(len(row["tokens"]) for row in judged),
            "median_perplexity": statistics.median(perplexities),
            "ended": sum(row["end"] == "end-of-text" for row in judged) / len(judged),
            "pattern": sum(row.get("by") == "pattern" for row in judged) / len(judged),
            "survivors": len(survivors) / len(judged),
            "kept": len(kept),
            "kept_tokens": statistics.fmean(len(row["tokens"]) for row, _ in kept) if kept else 0.0,
            "kept_perplexity": statistics.fmean(p for _, p in kept) if kept else 0.0,
        }


def answers(found):
    """The answers by question, to be compared."""
    return {
        "tokens": sum(len(row["tokens"]) for row in found),
        "answers": {row["question_id"]: row["tokens"] for row in found},
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sert-run", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="standard")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", help="jobs whose name contains this")
    parser.add_argument("--report", action="store_true", help="write the tables of the last results, and run nothing")
    parser.add_argument("--document", type=Path, default=REPOSITORY / "docs" / "performance.md")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    file = bench.work / f"results-{arguments.size}.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    if not arguments.report:
        for case in SIZES[arguments.size]:
            if arguments.only is None or arguments.only in case.name:
                results[case.name] = bench.run(case)
                file.write_text(json.dumps(results, indent=1))
    report.write(arguments.document, results, arguments)


if __name__ == "__main__":
    main()
