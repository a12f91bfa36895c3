"""What the peers share: the job as files, prompts, rows in sert-run's own form, and the clock.

A peer is a program `peer.py JOB.json`: it reads questions and limits from the job, does the work in its own way,
writes rows that sert-run's `import-paths` reads, and prints one line of JSON: seconds, tokens, what it counted.
The clocks start after the imports, so loading weights, encoding and writing count, as they do for sert-run.
"""

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Job:
    """One piece of work, the same for every peer."""

    student: Path  # a folder in Hub format
    model: Path  # the same weights as the peer wants them
    questions: Path  # JSON lines, as `sert-run export` writes them
    teacher: Path  # the same, of the teacher's paths
    out: Path  # where the rows go
    threads: int
    max_new_tokens: int
    batch: int  # sequences decoded together
    top_k: int = 10
    top_p: float = 0.95
    first_tokens: int = 5
    draws: int = 5
    batch_size: int = 8
    learning_rate: float = 3e-4
    seed: int = 0

    @classmethod
    def read(cls):
        fields = json.loads(Path(sys.argv[1]).read_text())
        for name in ("student", "model", "questions", "teacher", "out"):
            fields[name] = Path(fields[name])
        return cls(**fields)


# sert-run's own pattern of an answer sentence (src/text/answer.rs).
SENTENCE = (
    r"(?i)(?:\b(?:and\s+so|so|then|therefore|thus|hence)\b,?\s+)?(?:\bi\s+(?:think|believe)\s+(?:that\s+)?)?"
    r"\bthe\s+(?:(?:correct|final|best|right)\s+)?answer\s+is\b:?"
)


def rows(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def end_of_text(job):
    """The token that ends a text, by the student's configuration."""
    return json.loads((job.student / "config.json").read_text())["eos_token_id"]


def prompt(question):
    return f"Question: {question['question']} Answer:"


def encoded_prompts(tokenizer, questions):
    """(question, token ids), shortest prompt first: neighbours in a batch then need little padding."""
    pairs = [(q, tokenizer.encode(prompt(q)).ids) for q in questions]
    return sorted(pairs, key=lambda pair: (len(pair[1]), pair[0]["id"]))


def path_row(tokenizer, question, rank, first, draw, tokens, log_probs, ended):
    """A path as sert-run writes it; `log_probs` of its tokens and of end-of-text where that was drawn."""
    return {
        "question_id": question["id"],
        "first_token": {"id": first, "rank": rank, "text": tokenizer.decode([first], skip_special_tokens=False)},
        "draw": rank * 100 + draw,  # imported rows are told apart by it, so it is unique within the question
        "text": tokenizer.decode(tokens, skip_special_tokens=False),
        "tokens": tokens,
        "log_prob": {
            "sum": sum(log_probs),
            "count": len(log_probs),
            "first": log_probs[0],
            "min": min(log_probs),
        },
        "end": "end-of-text" if ended else "length",
    }


def training_texts(tokenizer, questions, paths, end_of_text):
    """(token ids, where the loss begins) for each teacher path: the texts of sert-run's `distill`."""
    sentence = re.compile(SENTENCE)
    by_id = {question["id"]: question for question in questions}
    examples = []
    for path in paths:
        question = by_id.get(path["question_id"])
        if question is None:
            continue
        text = path["text"].replace("<|endoftext|>", "")
        found = sentence.search(text)
        reasoning = (text[: found.start()] if found else text).lstrip()
        reasoning = re.sub(r"[\s,;]+\Z", "", reasoning)
        head = tokenizer.encode(prompt(question) + " Let's think step by step.").ids
        tail = (f" {reasoning}" if reasoning else "") + f" So the answer is {question['answer']}."
        examples.append((head + tokenizer.encode(tail).ids + [end_of_text], len(head)))
    return examples


class Clock:
    """Seconds of the job by the wall and by the processor, and the line that ends it."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def spent(self):
        return {"seconds": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu}

    def finish(self, **counted):
        print(json.dumps(self.spent() | counted), flush=True)


def write_rows(path, written):
    with open(path, "w") as out:
        for row in written:
            out.write(json.dumps(row) + "\n")
