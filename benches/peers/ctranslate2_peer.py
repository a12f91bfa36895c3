"""CTranslate2, in the number format that the weights are in: `ctranslate2_peer.py JOB.json sample|decode|predict`.

In its best configuration that we know: one pass over the prompts gives the five first tokens; each prompt with each of
them is read once and branches into its draws (`num_hypotheses`); scores are returned, so no perplexity pass is
needed; wide batches of like length. `decode` is `sample` whose clock of steps runs while the weights are loaded.
"""

import sys

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from peer import Clock, Job, encoded_prompts, path_row, rows, write_rows


def load(job):
    tokenizer = Tokenizer.from_file(str(job.student / "tokenizer.json"))
    ctranslate2.set_random_seed(job.seed + 1)
    generator = ctranslate2.Generator(
        str(job.model), device="cpu", compute_type="default", inter_threads=1, intra_threads=job.threads
    )
    return tokenizer, generator


def texts(tokenizer, ids):
    return [tokenizer.id_to_token(token) for token in ids]


def sample(job, decode=False):
    clock = Clock()
    tokenizer, generator = load(job)
    ready = Clock()
    pairs = encoded_prompts(tokenizer, rows(job.questions))
    at_once = max(1, job.batch // (job.first_tokens * job.draws))
    written = []
    for start in range(0, len(pairs), at_once):
        group = pairs[start : start + at_once]
        logits = np.asarray(generator.forward_batch([texts(tokenizer, tokens) for _, tokens in group]))
        branches = []
        for (question, tokens), rows_of in zip(group, logits, strict=True):
            last = rows_of[len(tokens) - 1].astype(np.float64)
            norm = last.max() + np.log(np.exp(last - last.max()).sum())
            best = np.argpartition(-last, job.first_tokens)[: job.first_tokens]
            for rank, first in enumerate(best[np.argsort(-last[best])].tolist()):
                branches.append((question, tokens, rank, first, last[first] - norm))
        results = generator.generate_batch(
            [texts(tokenizer, [*tokens, first]) for _, tokens, _, first, _ in branches],
            max_batch_size=0,
            beam_size=1,
            num_hypotheses=job.draws,
            sampling_topk=job.top_k,
            sampling_topp=job.top_p,
            max_length=job.max_new_tokens - 1,
            include_prompt_in_result=False,
            return_scores=True,
            length_penalty=0,
        )
        for (question, _, rank, first, first_log_prob), result in zip(branches, results, strict=True):
            for draw, (tokens, score) in enumerate(zip(result.sequences_ids, result.scores, strict=True)):
                ended = len(tokens) < job.max_new_tokens - 1
                # Of the drawn tokens only the sum is known; the mean stands for each.
                count = len(tokens) + ended
                log_probs = [first_log_prob] + [score / count] * count
                written.append(path_row(tokenizer, question, rank, first, draw, [first, *tokens], log_probs, ended))
    write_rows(job.out, written)
    tokens = sum(len(row["tokens"]) for row in written)
    spent = ready.spent()
    steps = {"step_tokens": tokens, "step_seconds": spent["seconds"], "step_cpu": spent["cpu"]}
    clock.finish(tokens=tokens, **(steps if decode else {}))


def predict(job):
    clock = Clock()
    tokenizer, generator = load(job)
    pairs = encoded_prompts(tokenizer, rows(job.questions))
    results = generator.generate_batch(
        [texts(tokenizer, tokens) for _, tokens in pairs],
        max_batch_size=job.batch,
        beam_size=1,
        sampling_topk=1,
        max_length=job.max_new_tokens,
        include_prompt_in_result=False,
    )
    written = [
        {"question_id": question["id"], "tokens": result.sequences_ids[0], "output": tokenizer.decode(result.sequences_ids[0])}
        for (question, _), result in zip(pairs, results, strict=True)
    ]
    write_rows(job.out, written)
    clock.finish(tokens=sum(len(row["tokens"]) for row in written))


if __name__ == "__main__":
    {"sample": sample, "decode": lambda job: sample(job, decode=True), "predict": predict}[sys.argv[2]](Job.read())
