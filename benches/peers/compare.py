"""Runs each job in sert-run and in its peers, interleaved, and writes docs/performance.md's tables.

Called by `run`, which builds sert-run and the environment of the peers. Every round runs every contestant once, in an
order that rotates; a ratio is the median over the rounds of the ratio within a round, because machines drift.
Results are kept in the work folder after every run of a program: the same command goes on where it was broken off, and
does again what another size, number of threads or build of sert-run has made (`--again`: all; `--keep-peers`: of
another build only sert-run's own runs).
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
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


DECODE = ("sert-run", "ctranslate2")
SAMPLE = ("sert-run", "ctranslate2", "llama.cpp", "transformers")
STOPPED = ("sert-run", "sert-run, stop", "ctranslate2", "llama.cpp", "transformers")
TRAIN = ("sert-run", "transformers")
INT8 = ("sert-run, int8", "sert-run", "ctranslate2, int8", "ctranslate2")
INT8_LLAMA = ("sert-run, int8", "sert-run", "ctranslate2, int8", "llama.cpp, Q8_0")

SIZES = {
    "quick": [
        Case("sample-nano", "sample", "nano", 4, 64, 100, STOPPED),
        Case("sample-small", "sample", "small", 2, 26, 50, SAMPLE),
        Case("sample-medium", "sample", "medium", 1, 26, 25, SAMPLE),
        Case("decode-small", "decode", "small", 2, 26, 50, DECODE),
        Case("predict-small", "predict", "small", 16, 16, 16, SAMPLE),
        Case("finetune-small", "finetune", "small", 24, 0, 0, TRAIN),
    ],
    "standard": [
        Case("sample-small", "sample", "small", 100, 30, 400, SAMPLE),
        Case("sample-few", "sample", "small", 8, 30, 200, SAMPLE),
        Case("sample-medium", "sample", "medium", 4, 26, 100, SAMPLE),
        Case("sample-nano", "sample", "nano", 20, 64, 400, STOPPED),
        Case("decode-small", "decode", "small", 16, 48, 400, DECODE),
        Case("predict-small", "predict", "small", 687, 24, 128, SAMPLE),
        Case("predict-few", "predict", "small", 64, 24, 64, SAMPLE),
        Case("finetune-small", "finetune", "small", 32, 0, 0, TRAIN),
    ],
    "full": [
        Case("sample-nano", "sample", "nano", 100, 128, 400, STOPPED),
        Case("sample-small", "sample", "small", 100, 128, 400, SAMPLE),
        Case("sample-medium", "sample", "medium", 100, 128, 200, SAMPLE),
        Case("decode-small", "decode", "small", 16, 128, 400, DECODE),
        Case("predict-nano", "predict", "nano", 687, 128, 128, SAMPLE),
        Case("predict-small", "predict", "small", 687, 128, 128, SAMPLE),
        Case("finetune-small", "finetune", "small", 256, 0, 0, TRAIN),
        Case("finetune-medium", "finetune", "medium", 64, 0, 0, TRAIN),
    ],
    "int8": [
        Case("sample-small-int8", "sample", "small", 8, 30, 200, INT8),
        Case("sample-small-long-int8", "sample", "small", 8, 128, 200, INT8),
        Case("predict-small-int8", "predict", "small", 64, 24, 64, INT8),
    ],
    "smollm2": [
        Case("sample-smollm2", "sample", "smollm2", 100, 30, 400, DECODE),
        Case("sample-smollm2-few", "sample", "smollm2", 24, 30, 400, SAMPLE),
        Case("predict-smollm2", "predict", "smollm2", 100, 24, 100, SAMPLE),
        Case("finetune-smollm2", "finetune", "smollm2", 48, 0, 0, TRAIN),
        Case("sample-smollm2-int8", "sample", "smollm2", 16, 30, 400, INT8_LLAMA),
        Case("predict-smollm2-int8", "predict", "smollm2", 100, 24, 100, INT8_LLAMA),
    ],
}

# Real students, and their folders.
MODERN = {"smollm2": "smollm2-135m-instruct"}

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
[stages.sampled-int8]
kind = "sample"
max_new_tokens = {tokens}
dtype = "int8"
[stages.kept-int8]
kind = "filter"
paths = "sampled-int8"
[stages.tuned]
kind = "distill"
paths = "teacher"
teacher_paths = "all"
epochs = 1
dropout = {dropout}
[stages.answers]
kind = "predict"
max_new_tokens = {tokens}
option_log_probs = false
[stages.answers-int8]
kind = "predict"
max_new_tokens = {tokens}
option_log_probs = false
dtype = "int8"
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

SCRIPTS = {
    "ctranslate2": "ctranslate2_peer.py",
    "ctranslate2, int8": "ctranslate2_peer.py",
    "llama.cpp": "llama_peer.py",
    "llama.cpp, Q8_0": "llama_peer.py",
    "transformers": "transformers_peer.py",
}

STAGES = {
    ("sample", "sert-run"): "kept",
    ("sample", "sert-run, stop"): "kept-stop",
    ("decode", "sert-run"): "sampled",
    ("sample", "sert-run, int8"): "kept-int8",
    ("predict", "sert-run"): "answers",
    ("predict", "sert-run, int8"): "answers-int8",
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
            if '"unit":"steps"' in line or '"unit":"paths"' in line:
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
        """A folder in Hub format."""
        if name == "nano":
            return SHARED / "models" / "qa-nano"
        if name in MODERN:
            folder = self.arguments.modern / MODERN[name] if self.arguments.modern else None
            if folder is None or not (folder / "config.json").exists():
                sys.exit(f"--modern DIR, or SERT_MODELS, has to name a folder that holds {MODERN[name]}")
            return folder.resolve()
        folder = self.work / name
        if not folder.is_dir():
            self.call(sys.executable, HERE / "random_student.py", name, SHARED / "models" / "qa-nano", folder)
        return folder

    def model(self, name, contestant):
        """The same as a contestant wants it."""
        program, _, dtype = contestant.partition(", ")
        if program == "ctranslate2":
            return self.converted(name, dtype or "float32")
        if program == "llama.cpp":
            return self.gguf(name, dtype.lower() or "f32")
        return self.student(name)

    def converted(self, name, quantization):
        suffix = "" if quantization == "float32" else f"-{quantization}"
        converted = self.work / f"{name}-ctranslate2{suffix}"
        if not converted.is_dir():
            tool = Path(sys.executable).parent / "ct2-transformers-converter"
            self.call(tool, "--model", self.student(name), "--output_dir", converted, "--quantization", quantization)
        return converted

    def gguf(self, name, quantization):
        gguf = self.work / f"{name}-{quantization}.gguf"
        if not gguf.exists():
            self.call(sys.executable, HERE / "gguf_student.py", self.student(name), gguf, quantization)
        return gguf

    def prepare(self, case):
        """A folder with what all rounds of a case begin from."""
        folder = self.work / case.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        student = self.student(case.student)
        for contestant in case.contestants:
            self.model(case.student, contestant)
        manifest = folder / "manifest.toml"
        # What the student's own configuration asks for, which PyTorch follows.
        dropout = 0.0 if case.student in MODERN else 0.1
        manifest.write_text(MANIFEST.format(student=student, tokens=max(case.max_new_tokens, 1), dropout=dropout))
        limit = self.limit(case)
        stages = ["--stage", "data", "--stage", "student", "--stage", "teacher"]
        self.call(self.sert_run, "run", manifest, *stages, *limit, "--cache", folder / "ready")
        split = "data.test" if case.work == "predict" else "data.train"
        for stage, file in [(split, "questions.jsonl"), ("teacher", "teacher.jsonl")]:
            self.call(self.sert_run, "export", manifest, *limit, "--cache", folder / "ready", stage, folder / file)

    def limit(self, case):
        return [*self.common, "--limit", case.questions]

    def once(self, case, index, contestant):
        """One contestant's work in one round."""
        here = self.work / case.name / f"{index}-{contestant.replace(', ', '-')}"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        work = self.ours if (case.work, contestant) in STAGES else self.peer
        run = work(case, contestant, here)
        told = f"{run['cpu']:.1f} s of the processor, {run['seconds']:.1f} s by the wall, {run['peak_mib']:,.0f} MiB"
        print(f"round {index + 1}, {case.name}, {contestant}: {told}", file=sys.stderr, flush=True)
        return run

    def ours(self, case, contestant, here):
        cache, manifest, limit = here / "cache", here.parent / "manifest.toml", self.limit(case)
        # Inputs are in the store already; objects are never changed, so a link is a copy.
        copy = lambda a, b: os.link(a, b) if "objects" in Path(a).parts else shutil.copy2(a, b)
        shutil.copytree(here.parent / "ready", cache, copy_function=copy)
        stage = STAGES[case.work, contestant]
        command = [self.sert_run, "run", manifest, "--stage", stage, *limit, "--cache", cache]
        command += ["--threads", self.arguments.threads, "--progress", "json"]
        measured = measure(command, self.arguments.threads, here)
        look = [*limit, "--cache", cache]
        result = {"seconds": measured.wall, "cpu": measured.cpu, "peak_mib": measured.peak_mib}
        if case.work in ("decode", "finetune"):
            # From where the weights are ready, or the first step's end, to the last path or step.
            spans = [last - first for first, last in zip(measured.steps[0], measured.steps[-1], strict=True)]
            result |= dict(zip(("step_seconds", "step_cpu", "step_tokens"), spans, strict=True))
        if case.work == "sample":
            sampled = self.rows(manifest, look, stage.replace("kept", "sampled"), here / "rows.jsonl")
            result |= {"tokens": sum(len(row["tokens"]) for row in sampled)}
            result |= self.statistics(manifest, look, stage, here)
        elif case.work == "predict":
            result |= answers(self.rows(manifest, look, stage, here / "rows.jsonl"))
        elif case.work == "finetune":
            losses = self.rows(manifest, look, f"{stage}.losses", here / "losses.jsonl")
            result |= {"tokens": losses[-1]["tokens"], "loss": losses[-1]["train_loss"]}
        shutil.rmtree(cache)
        return result

    def peer(self, case, contestant, here):
        folder, limit, student = here.parent, self.limit(case), self.student(case.student)
        job = {
            "student": str(student),
            "model": str(self.model(case.student, contestant)),
            "questions": str(folder / "questions.jsonl"),
            "teacher": str(folder / "teacher.jsonl"),
            "out": str(here / "rows.jsonl"),
            "threads": self.arguments.threads,
            "max_new_tokens": case.max_new_tokens,
            "batch": case.batch,
        }
        (here / "job.json").write_text(json.dumps(job, indent=1))
        measured = measure([sys.executable, HERE / SCRIPTS[contestant], here / "job.json", case.work], self.arguments.threads, here)
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
    """The answers by question, to be compared. A row of an empty one names no tokens."""
    by_question = {row["question_id"]: row.get("tokens", []) for row in found}
    return {"tokens": sum(map(len, by_question.values())), "answers": by_question}


def cases_of(arguments):
    """The jobs to do, without the peers that are not installed."""
    for case in SIZES[arguments.size]:
        if arguments.only is None or arguments.only in case.name:
            llama = find_spec("llama_cpp") is not None
            there = tuple(name for name in case.contestants if llama or not name.startswith("llama.cpp"))
            yield replace(case, contestants=there)


def compare(bench, cases, results, save):
    """Every round of every case, interleaved. What `results` holds of the same work is not done again."""
    arguments = bench.arguments
    program = hashlib.sha256(bench.sert_run.read_bytes()).hexdigest()
    for case in cases:
        made = {"case": asdict(case) | {"contestants": list(case.contestants)}, "threads": arguments.threads, "program": program}
        earlier = results.get(case.name, {})
        if not (earlier.items() >= made.items() and (bench.work / case.name / "ready").is_dir()):
            results[case.name] = made | {"rounds": [], "loads": []}
            if arguments.keep_peers and earlier.items() >= (made | {"program": earlier.get("program")}).items():
                peers = lambda done: {name: run for name, run in done.items() if not name.startswith("sert-run")}
                results[case.name] |= {"rounds": [peers(done) for done in earlier["rounds"]], "loads": earlier["loads"]}
            bench.prepare(case)
    for index in range(arguments.rounds):
        for case in cases:
            result = results[case.name]
            result["rounds"] += [{} for _ in range(index + 1 - len(result["rounds"]))]
            done = result["rounds"][index]
            turn = index % len(case.contestants)
            for contestant in case.contestants[turn:] + case.contestants[:turn]:
                if contestant not in done and (arguments.by is None or arguments.by in contestant):
                    done[contestant] = bench.once(case, index, contestant)
                    result["loads"].append(os.getloadavg()[0])
                    save()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sert-run", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="standard")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", help="jobs whose name contains this")
    parser.add_argument("--by", help="programs whose name contains this; the tables show rounds that all have done")
    parser.add_argument("--modern", type=Path, default=os.environ.get("SERT_MODELS"), help="where the real students are")
    parser.add_argument("--again", action="store_true", help="forget the results of an earlier or interrupted run")
    parser.add_argument("--keep-peers", action="store_true", help="with another build of sert-run, run only that anew")
    parser.add_argument("--report", action="store_true", help="write the tables of the last results, and run nothing")
    parser.add_argument("--document", type=Path, default=REPOSITORY / "docs" / "performance.md")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    file = bench.work / f"results-{arguments.size}.json"
    results = json.loads(file.read_text()) if file.exists() and not arguments.again else {}
    if not arguments.report:

        def save():
            new = file.with_suffix(".new")
            new.write_text(json.dumps(results, indent=1))
            new.replace(file)

        compare(bench, list(cases_of(arguments)), results, save)
    names = [case.name for case in SIZES[arguments.size] if case.name in results]
    report.write(arguments.document, {name: complete(results[name]) for name in names}, arguments)


def complete(result):
    """The result without a round that was broken off."""
    whole = [each for each in result["rounds"] if len(each) == len(result["case"]["contestants"])]
    return result | {"rounds": whole}


if __name__ == "__main__":
    main()
