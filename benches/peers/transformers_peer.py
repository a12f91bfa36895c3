"""Hugging Face transformers on PyTorch: `transformers_peer.py JOB.json sample|predict|finetune`.

In its best configuration that we know: a prompt is read once and its keys and values repeated for its 25 sequences;
prompts of like length decode together; top-k and top-p among ten candidates in one processor (stock warpers sort the
whole vocabulary), which also reads the log-probability of each drawn token, so that no perplexity pass is needed;
scaled dot-product attention; fused Adam.
"""

import sys
import time

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, DynamicCache, LogitsProcessor, LogitsProcessorList
from transformers.utils import logging

from peer import Clock, Job, encoded_prompts, path_row, rows, training_texts, write_rows

logging.set_verbosity_error()


class Draw(LogitsProcessor):
    """Top-k, then top-p among those; remembers what each draw can cost and settles it at the next call."""

    def __init__(self, top_k, top_p):
        self.top_k, self.top_p = top_k, top_p
        self.waiting, self.log_probs = None, []

    def __call__(self, input_ids, scores):
        self.settle(input_ids[:, -1])
        values, ids = scores.topk(self.top_k)
        self.waiting = (ids, values - scores.logsumexp(-1, keepdim=True))
        shares = values.softmax(-1)
        outside = shares.cumsum(-1) - shares >= self.top_p
        return torch.full_like(scores, -torch.inf).scatter(1, ids, values.masked_fill(outside, -torch.inf))

    def settle(self, drawn):
        if self.waiting is not None:
            ids, log_probs = self.waiting
            self.log_probs.append((log_probs * (ids == drawn[:, None])).sum(-1))


def load(job):
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    tokenizer = Tokenizer.from_file(str(job.student / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(job.student, dtype=torch.float32, attn_implementation="sdpa")
    return tokenizer, model.eval()


def padded(prompts, end):
    """Left-padded ids and their mask."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[end] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    return ids, mask


@torch.inference_mode()
def sample(job):
    clock = Clock()
    tokenizer, model = load(job)
    end = model.config.eos_token_id
    pairs = encoded_prompts(tokenizer, rows(job.questions))
    branches = job.first_tokens * job.draws
    at_once = max(1, job.batch // branches)
    written = []
    for start in range(0, len(pairs), at_once):
        group = pairs[start : start + at_once]
        ids, mask = padded([tokens for _, tokens in group], end)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        read = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=DynamicCache(),
            use_cache=True,
            logits_to_keep=1,
        )
        log_probs, firsts = read.logits[:, -1].log_softmax(-1).topk(job.first_tokens)
        cache = read.past_key_values
        cache.batch_repeat_interleave(branches)
        firsts = firsts.repeat_interleave(job.draws, 1).reshape(-1, 1)
        first_log_probs = log_probs.repeat_interleave(job.draws, 1).flatten().tolist()
        ids = torch.cat([ids.repeat_interleave(branches, 0), firsts], 1)
        mask = torch.cat([mask.repeat_interleave(branches, 0), torch.ones_like(firsts)], 1)
        draw = Draw(job.top_k, job.top_p)
        sequences = model.generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=cache,
            do_sample=True,
            top_k=0,
            top_p=1.0,
            max_new_tokens=job.max_new_tokens - 1,
            eos_token_id=end,
            pad_token_id=end,
            logits_processor=LogitsProcessorList([draw]),
        )
        draw.settle(sequences[:, -1])
        drawn = sequences[:, ids.shape[1] :].tolist()
        drawn_log_probs = torch.stack(draw.log_probs, 1).double().tolist()
        for place, (tokens, each) in enumerate(zip(drawn, drawn_log_probs, strict=True)):
            length = tokens.index(end) if end in tokens else len(tokens)
            first = firsts[place].item()
            written.append(
                path_row(
                    tokenizer,
                    group[place // branches][0],
                    place % branches // job.draws,
                    first,
                    place % job.draws,
                    [first, *tokens[:length]],
                    [first_log_probs[place], *each[: length + 1]],
                    length < len(tokens),
                )
            )
    write_rows(job.out, written)
    clock.finish(tokens=sum(len(row["tokens"]) for row in written))


@torch.inference_mode()
def predict(job):
    clock = Clock()
    tokenizer, model = load(job)
    end = model.config.eos_token_id
    pairs = encoded_prompts(tokenizer, rows(job.questions))
    written = []
    for start in range(0, len(pairs), job.batch):
        group = pairs[start : start + job.batch]
        ids, mask = padded([tokens for _, tokens in group], end)
        sequences = model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=job.max_new_tokens,
            eos_token_id=end,
            pad_token_id=end,
        )
        for (question, _), tokens in zip(group, sequences[:, ids.shape[1] :].tolist(), strict=True):
            tokens = tokens[: tokens.index(end)] if end in tokens else tokens
            written.append({"question_id": question["id"], "tokens": tokens, "output": tokenizer.decode(tokens)})
    write_rows(job.out, written)
    clock.finish(tokens=sum(len(row["tokens"]) for row in written))


def finetune(job):
    clock = Clock()
    tokenizer, model = load(job)
    model.train()
    end = model.config.eos_token_id
    examples = training_texts(tokenizer, rows(job.questions), rows(job.teacher), end)
    optimizer = torch.optim.Adam(model.parameters(), lr=job.learning_rate, fused=True)
    order = torch.randperm(len(examples)).tolist()
    steps, tokens, loss_sum, loss_tokens = [], 0, 0.0, 0
    for start in range(0, len(order), job.batch_size):
        batch = [examples[i] for i in order[start : start + job.batch_size]]
        longest = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([ids + [end] * (longest - len(ids)) for ids, _ in batch])
        mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in batch])
        labels = torch.tensor(
            [[-100] * begin + ids[begin:] + [-100] * (longest - len(ids)) for ids, begin in batch]
        )
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens += sum(len(ids) - 1 for ids, _ in batch)
        counted = int((labels != -100).sum())
        loss_sum += loss.item() * counted
        loss_tokens += counted
        steps.append((time.perf_counter(), time.process_time(), tokens))
    model.save_pretrained(job.out)
    clock.finish(
        tokens=tokens,
        loss=loss_sum / loss_tokens,
        step_tokens=steps[-1][2] - steps[0][2],
        step_seconds=steps[-1][0] - steps[0][0],
        step_cpu=steps[-1][1] - steps[0][1],
    )


if __name__ == "__main__":
    {"sample": sample, "predict": predict, "finetune": finetune}[sys.argv[2]](Job.read())
