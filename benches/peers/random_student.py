"""Writes a GPT-2 with random weights in Hub format: `random_student.py small|medium TOKENIZER_FOLDER OUT`.

The weights are drawn as GPT-2's own initialisation does (normal, 0.02; projections of the residual stream scaled by
1 / sqrt(2 layers)), from seed 0. Such a model is as dear as a trained one, and never ends by itself: end-of-text's
embedding is zero, so it is never among the ten likeliest. Every sequence thus has exactly `max_new_tokens`
tokens: that is the length distribution of all jobs on it.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

SHAPES = {"small": (768, 12, 12), "medium": (1024, 24, 16)}
VOCABULARY, POSITIONS, END = 50257, 1024, 50256


def main():
    size, tokenizer, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    width, layers, heads = SHAPES[size]
    out.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def normal(*shape, scale=0.02):
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)

    weights = {"wte.weight": normal(VOCABULARY, width), "wpe.weight": normal(POSITIONS, width)}
    weights["wte.weight"][END] = 0.0
    residual = 0.02 / (2 * layers) ** 0.5
    for layer in range(layers):
        for name, rows, columns, scale in [
            ("attn.c_attn", width, 3 * width, 0.02),
            ("attn.c_proj", width, width, residual),
            ("mlp.c_fc", width, 4 * width, 0.02),
            ("mlp.c_proj", 4 * width, width, residual),
        ]:
            weights[f"h.{layer}.{name}.weight"] = normal(rows, columns, scale=scale)
            weights[f"h.{layer}.{name}.bias"] = np.zeros(columns, np.float32)
        for name in ("ln_1", "ln_2"):
            weights[f"h.{layer}.{name}.weight"] = np.ones(width, np.float32)
            weights[f"h.{layer}.{name}.bias"] = np.zeros(width, np.float32)
    weights["ln_f.weight"] = np.ones(width, np.float32)
    weights["ln_f.bias"] = np.zeros(width, np.float32)
    save_file({f"transformer.{k}": v for k, v in weights.items()}, out / "model.safetensors", {"format": "pt"})
    config = json.loads((tokenizer / "config.json").read_text())
    config.update(n_embd=width, n_layer=layers, n_head=heads, n_positions=POSITIONS, vocab_size=VOCABULARY, dtype="float32")
    (out / "config.json").write_text(json.dumps(config, indent=2))
    for name in ("tokenizer.json", "vocab.json", "merges.txt", "generation_config.json"):
        shutil.copy(tokenizer / name, out / name)


main()
