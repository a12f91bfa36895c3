"""The job of `cargo bench --bench training` as a plain PyTorch loop: `training_peer.py narrow|small|smollm2 THREADS`.

Random weights and tokens, so that nothing need be downloaded. Time runs from the first step's end to the last's.
"""

import resource
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

# width, layers, heads, vocabulary, batch, length, steps: those of benches/training.rs.
SHAPES = {
    "narrow": (128, 4, 4, 640, 16, 192, 7),
    "small": (768, 12, 12, 50257, 8, 128, 4),
    "smollm2": (576, 30, 9, 49152, 8, 128, 4),
}


def main(name, threads):
    width, layers, heads, vocabulary, batch, length, steps = SHAPES[name]
    torch.set_num_threads(threads)
    if name == "smollm2":
        config = LlamaConfig(
            vocab_size=vocabulary, max_position_embeddings=256, hidden_size=width, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=3, intermediate_size=1536, tie_word_embeddings=True,
        )
        model = LlamaForCausalLM(config)
    else:
        config = GPT2Config(
            vocab_size=vocabulary, n_positions=256, n_embd=width, n_layer=layers, n_head=heads
        )
        model = GPT2LMHeadModel(config)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    best = 0.0
    for _ in range(3):
        ends = []
        for _ in range(steps):
            ids = torch.randint(0, 257, (batch, length))
            labels = ids.clone()
            labels[:, : length // 3] = -100
            mask = torch.ones_like(ids)
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss.item()
            ends.append(time.perf_counter())
        best = max(best, batch * length * (steps - 1) / (ends[-1] - ends[0]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"pytorch, {name}, {batch} x {length}: {best:.0f} tokens/s, peak {peak} kB")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
