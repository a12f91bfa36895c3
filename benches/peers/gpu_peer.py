"""Hugging Face transformers on a GPU, the work of benches/devices.rs: `gpu_peer.py DEVICE DTYPE SIZE QUESTIONS NEW_TOKENS STEPS`.

The same shapes: random weights, prompts of 24 tokens, each read once and its keys and values repeated for 25 sequences;
training steps of 8 examples of 128 tokens with fused Adam, in bf16 by autocast over f32 weights. Prints one line of JSON.
"""

import json
import sys
import time

import torch
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from transformers_peer import Draw
from transformers import LogitsProcessorList

logging.set_verbosity_error()

GPT2 = {"tiny": (128, 2, 2), "small": (768, 12, 12), "medium": (1024, 24, 16), "large": (1280, 36, 20)}
# Width, layers, query and key heads, inner width, vocabulary.
LLAMA = {"llama-135m": (576, 30, 9, 3, 1536, 49152), "llama-1b": (2048, 16, 32, 8, 8192, 128256)}
BRANCHES, PROMPT, LENGTH, BATCH = 25, 24, 128, 8


def student(size):
    if size in GPT2:
        width, layers, heads = GPT2[size]
        return GPT2LMHeadModel(GPT2Config(n_embd=width, n_layer=layers, n_head=heads))
    width, layers, query, key, inner, vocabulary = LLAMA[size]
    config = LlamaConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=query,
        num_key_value_heads=key,
        intermediate_size=inner,
        vocab_size=vocabulary,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def settle(device):
    if device.startswith("cuda"):
        torch.cuda.synchronize()


@torch.inference_mode()
def sampling(model, device, questions, new):
    rate = 0.0
    for _ in range(2):
        settle(device)
        began, tokens = time.perf_counter(), 0
        for start in range(0, questions, 20):  # 500 sequences at once
            count = min(20, questions - start)
            ids = torch.randint(0, model.config.vocab_size - 1, (count, PROMPT), device=device)
            read = model(input_ids=ids, past_key_values=DynamicCache(), use_cache=True, logits_to_keep=1)
            cache = read.past_key_values
            cache.batch_repeat_interleave(BRANCHES)
            firsts = read.logits[:, -1].topk(5).indices.repeat_interleave(5, 1).reshape(-1, 1)
            ids = torch.cat([ids.repeat_interleave(BRANCHES, 0), firsts], 1)
            draw = Draw(10, 0.95)
            made = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                past_key_values=cache,
                do_sample=True,
                top_k=0,
                top_p=1.0,
                max_new_tokens=new - 1,
                pad_token_id=model.config.vocab_size - 1,
                logits_processor=LogitsProcessorList([draw]),
            )
            tokens += (made.shape[1] - PROMPT) * made.shape[0]
        settle(device)
        rate = tokens / (time.perf_counter() - began)
    return rate


def training(model, device, dtype, steps):
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, fused=True)
    ends = []
    for _ in range(steps + 1):
        ids = torch.randint(0, model.config.vocab_size - 1, (BATCH, LENGTH + 1), device=device)
        labels = ids.clone()
        labels[:, : LENGTH // 4] = -100
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=dtype == "bf16"):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        settle(device)
        ends.append(time.perf_counter())
    return BATCH * LENGTH * steps / (ends[-1] - ends[0])


def main():
    device, dtype, size = sys.argv[1:4]
    questions, new, steps = map(int, sys.argv[4:7])
    torch.manual_seed(0)
    model = student(size).to(device).eval()
    # Random weights never end by themselves; every sequence has all its tokens.
    model.generation_config.eos_token_id = None
    trained = training(model, device, dtype, steps)
    model = model.eval().to(torch.bfloat16 if dtype == "bf16" else torch.float32)
    sampled = sampling(model, device, questions, new)
    name = torch.cuda.get_device_name(0) if device.startswith("cuda") else "processor"
    line = {
        "device": f"transformers ({device})",
        "description": f"{name}, PyTorch {torch.__version__}",
        "dtype": dtype,
        "size": size,
        "questions": questions,
        "new_tokens": new,
        "sampled_tokens_per_s": sampled,
        "trained_tokens_per_s": trained,
    }
    print(json.dumps(line), flush=True)


main()
