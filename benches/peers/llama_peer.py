"""llama.cpp by its Python binding, in f32 or in Q8_0: `llama_peer.py JOB.json sample|predict`.

In its best configuration that we know: the binding's low-level calls, because the high-level ones decode one sequence at a
time; a prompt is read once and its cells in the cache are shared by its 25 sequences; the batch is refilled as sequences
end; the draw and its log-probability come from the logits in one pass of numpy, so no perplexity pass is needed. The cache is f16, its default.
"""

import ctypes
import sys

import llama_cpp
import numpy as np
from tokenizers import Tokenizer

from peer import Clock, Job, encoded_prompts, end_of_text, path_row, rows, write_rows

BLOCK = 64
# Of sequences that are sampled together: every one looks at all cells of the cache, so a wider batch is slower.
WIDEST = 50


class Llama:
    """A model with `sequences` places in one cache of `cells` positions."""

    def __init__(self, job, sequences, cells, longest):
        quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
        self.quiet = quiet  # the library keeps no reference to it
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_load_from_file(
            str(job.model).encode(), llama_cpp.llama_model_default_params()
        )
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = cells, sequences, True
        params.n_batch = params.n_ubatch = max(sequences, longest)
        params.n_threads = params.n_threads_batch = job.threads
        params.no_perf = True
        self.context = llama_cpp.llama_init_from_model(model, params)
        if not self.context:
            sys.exit("llama.cpp gives no context")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self.batch = llama_cpp.llama_batch_init(max(sequences, longest), 0, 1)
        self.sequences = sequences

    def read(self, tokens):
        """Logits `[len(wanted), vocabulary]` after (token, position, sequence, wanted) of each."""
        for place, (token, position, sequence, wanted) in enumerate(tokens):
            self.batch.token[place] = token
            self.batch.pos[place] = position
            self.batch.n_seq_id[place] = 1
            self.batch.seq_id[place][0] = sequence
            self.batch.logits[place] = wanted
        self.batch.n_tokens = len(tokens)
        status = llama_cpp.llama_decode(self.context, self.batch)
        if status != 0:
            sys.exit(f"llama.cpp's decode ends with {status}")
        count = sum(wanted for *_, wanted in tokens)
        logits = llama_cpp.llama_get_logits(self.context)
        return np.ctypeslib.as_array(logits, shape=(count, self.vocabulary))

    def prompt(self, tokens, sequence):
        """Logits after the prompt, which then is in the cache as `sequence`'s."""
        last = len(tokens) - 1
        return self.read([(token, i, sequence, i == last) for i, token in enumerate(tokens)])[0]

    def share(self, sequence, other):
        llama_cpp.llama_memory_seq_cp(self.memory, sequence, other, -1, -1)

    def forget(self, sequence):
        llama_cpp.llama_memory_seq_rm(self.memory, sequence, -1, -1)


def most_probable(logits, count):
    """Ids and log-probabilities of the `count` likeliest of each row, likeliest first."""
    top = logits.max(-1, keepdims=True)
    norm = top[:, 0] + np.log(np.exp(logits - top).sum(-1))
    # The count-th greatest of the blocks' maxima is no greater than the count-th greatest logit.
    maxima = np.maximum.reduceat(logits, np.arange(0, logits.shape[1], BLOCK), axis=1)
    least = np.partition(maxima, -count, axis=1)[:, -count]
    places, ids = np.nonzero(logits >= least[:, None])
    starts = np.searchsorted(places, np.arange(len(logits) + 1))
    best = np.empty((len(logits), count), np.int64)
    for row in range(len(logits)):
        candidates = ids[starts[row] : starts[row + 1]]
        best[row] = candidates[np.argsort(-logits[row, candidates], kind="stable")[:count]]
    return best, np.take_along_axis(logits, best, 1).astype(np.float64) - norm[:, None]


def draw(logits, job, numbers):
    """(token, log-probability) of each row, by top-k and then top-p among those."""
    ids, log_probs = most_probable(logits, job.top_k)
    shares = np.exp(log_probs - log_probs[:, :1])
    shares /= shares.sum(-1, keepdims=True)
    before = shares.cumsum(-1) - shares
    reached = np.where(before < job.top_p, shares, 0.0).cumsum(-1)
    places = (numbers.random(len(ids))[:, None] * reached[:, -1:] < reached).argmax(-1)
    rows_of = np.arange(len(ids))
    return ids[rows_of, places].tolist(), log_probs[rows_of, places].tolist()


class Sequence:
    """One path on its way: what is drawn, and where its next token goes."""

    def __init__(self, place, question, position, branch=(0, 0), first=None, end=None):
        self.place, self.question, self.position, self.branch = place, question, position, branch
        self.tokens, self.log_probs, self.ended = [], [], False
        if first is not None:
            self.take(*first, end)

    def take(self, token, log_prob, end=None):
        self.log_probs.append(log_prob)
        self.ended = token == end
        if not self.ended:
            self.tokens.append(token)


def decode(llama, waiting, branches, begin, choose, limit, end):
    """All sequences of all prompts, `branches` of each; the batch is refilled as soon as a prompt's all fit. Where they
    branch, a first token is taken as it is, whatever it is."""
    free, active, done = list(range(llama.sequences))[::-1], [], []
    while waiting or active:
        while waiting and len(free) >= branches:
            active += begin(waiting.pop(0), [free.pop() for _ in range(branches)])
        for sequence in [s for s in active if s.ended]:
            llama.forget(sequence.place)
            free.append(sequence.place)
            done.append(sequence)
        active = [s for s in active if not s.ended]
        if not active:
            continue
        logits = llama.read([(s.tokens[-1], s.position + len(s.tokens) - 1, s.place, True) for s in active])
        for sequence, token, log_prob in zip(active, *choose(logits), strict=True):
            sequence.take(token, log_prob, end)
        going = []
        for sequence in active:
            if sequence.ended or len(sequence.tokens) == limit:
                llama.forget(sequence.place)
                free.append(sequence.place)
                done.append(sequence)
            else:
                going.append(sequence)
        active = going
    return done


def start(job, branches):
    """The tokenizer, prompts, end-of-text's id and a model with room for whole prompts' sequences."""
    tokenizer = Tokenizer.from_file(str(job.student / "tokenizer.json"))
    pairs = encoded_prompts(tokenizer, rows(job.questions))
    longest = max(len(tokens) for _, tokens in pairs)
    at_once = max(1, (job.batch if branches == 1 else min(job.batch, WIDEST)) // branches)
    cells = at_once * (longest + branches * job.max_new_tokens)
    return tokenizer, pairs, end_of_text(job), Llama(job, at_once * branches, cells, longest)


def sample(job):
    clock = Clock()
    tokenizer, pairs, end, llama = start(job, job.first_tokens * job.draws)
    numbers = np.random.default_rng(job.seed)

    def begin(pair, places):
        question, tokens = pair
        ids, log_probs = most_probable(llama.prompt(tokens, places[0])[None], job.first_tokens)
        for other in places[1:]:
            llama.share(places[0], other)
        firsts = list(zip(ids[0].tolist(), log_probs[0].tolist(), strict=True))
        branch = [divmod(i, job.draws) for i in range(len(places))]
        return [Sequence(p, question, len(tokens), b, firsts[b[0]]) for p, b in zip(places, branch, strict=True)]

    done = decode(
        llama, pairs, job.first_tokens * job.draws, begin, lambda logits: draw(logits, job, numbers), job.max_new_tokens, end
    )
    done.sort(key=lambda s: (s.question["id"], s.branch))
    written = [
        path_row(tokenizer, s.question, s.branch[0], s.tokens[0], s.branch[1], s.tokens, s.log_probs, s.ended) for s in done
    ]
    write_rows(job.out, written)
    clock.finish(tokens=sum(len(row["tokens"]) for row in written))


def predict(job):
    clock = Clock()
    tokenizer, pairs, end, llama = start(job, 1)

    def begin(pair, places):
        question, tokens = pair
        first = int(llama.prompt(tokens, places[0]).argmax())
        return [Sequence(places[0], question, len(tokens), first=(first, 0.0), end=end)]

    def likeliest(logits):
        return logits.argmax(-1).tolist(), [0.0] * len(logits)

    done = decode(llama, pairs, 1, begin, likeliest, job.max_new_tokens, end)
    written = [{"question_id": s.question["id"], "tokens": s.tokens, "output": tokenizer.decode(s.tokens)} for s in done]
    write_rows(job.out, written)
    clock.finish(tokens=sum(len(row["tokens"]) for row in written))


if __name__ == "__main__":
    {"sample": sample, "predict": predict}[sys.argv[2]](Job.read())
