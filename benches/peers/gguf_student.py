"""Writes a GPT-2 in Hub format as llama.cpp reads it, in f32: `gguf_student.py STUDENT OUT.gguf`.

llama.cpp's own conversion script is not part of its packages; the names of tensors and keys are those that it gives.
"""

import json
import re
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

WHOLE = {
    "wte.weight": "token_embd.weight",
    "wpe.weight": "position_embd.weight",
    "ln_f.weight": "output_norm.weight",
    "ln_f.bias": "output_norm.bias",
}
OF_A_BLOCK = {
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def add_tokenizer(writer, tokenizer, config):
    tokens = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    tokens += [added["content"] for added in tokenizer["added_tokens"] if added["id"] >= len(tokens)]
    special = {added["id"] for added in tokenizer["added_tokens"]}
    kinds = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(tokens))]
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def main():
    student, out = Path(sys.argv[1]), Path(sys.argv[2])
    config = json.loads((student / "config.json").read_text())
    writer = gguf.GGUFWriter(out, "gpt2")
    writer.add_name(student.name)
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, json.loads((student / "tokenizer.json").read_text()), config)
    for name, array in load_file(student / "model.safetensors").items():
        name, array = name.removeprefix("transformer."), array.astype(np.float32)
        found = re.fullmatch(r"h\.(\d+)\.(.+)\.(weight|bias)", name)
        if name in WHOLE:
            writer.add_tensor(WHOLE[name], array)
        elif found and found[2] in OF_A_BLOCK:
            array = np.ascontiguousarray(array.T) if found[3] == "weight" and array.ndim == 2 else array
            writer.add_tensor(f"blk.{found[1]}.{OF_A_BLOCK[found[2]]}.{found[3]}", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
