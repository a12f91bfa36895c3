"""Writes a student in Hub format (GPT-2 or Llama) as llama.cpp reads it: `gguf_student.py STUDENT OUT.gguf f32|q8_0`.

llama.cpp's own conversion script is not part of its packages. What arrays are called there, the `gguf` package knows.
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import quantize
from safetensors.numpy import load_file

TYPES = {
    "f32": (gguf.LlamaFileType.ALL_F32, gguf.GGMLQuantizationType.F32),
    "q8_0": (gguf.LlamaFileType.MOSTLY_Q8_0, gguf.GGMLQuantizationType.Q8_0),
}


def add_gpt2(writer, config):
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def add_llama(writer, config):
    if config.get("rope_scaling"):
        sys.exit("rope_scaling is not written here")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])


def gpt2_array(name, array, config):
    """Linear layers are `[in, out]` there."""
    return array.T if array.ndim == 2 and ".c_" in name else array


def llama_array(name, array, config):
    """Rotary positions turn neighbours in a head there, and halves here."""
    if ".q_proj." in name or ".k_proj." in name:
        heads = config["num_attention_heads" if ".q_proj." in name else "num_key_value_heads"]
        halves = array.reshape(heads, 2, len(array) // heads // 2, *array.shape[1:])
        return halves.swapaxes(1, 2).reshape(array.shape)
    return array


FAMILIES = {
    "gpt2": (gguf.MODEL_ARCH.GPT2, "gpt-2", add_gpt2, gpt2_array),
    "llama": (gguf.MODEL_ARCH.LLAMA, "smollm", add_llama, llama_array),
}


def add_tokenizer(writer, tokenizer, pre, config):
    """The peers encode and decode with `tokenizers`; llama.cpp only has to know how many tokens there are."""
    tokens = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    tokens += [added["content"] for added in tokenizer["added_tokens"] if added["id"] >= len(tokens)]
    special = {added["id"] for added in tokenizer["added_tokens"]}
    kinds = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(tokens))]
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def main():
    student, out, (file_type, quantization) = Path(sys.argv[1]), Path(sys.argv[2]), TYPES[sys.argv[3]]
    config = json.loads((student / "config.json").read_text())
    architecture, pre, add_sizes, oriented = FAMILIES[config["model_type"]]
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_name(student.name)
    add_sizes(writer, config)
    writer.add_file_type(file_type)
    add_tokenizer(writer, json.loads((student / "tokenizer.json").read_text()), pre, config)
    layers = config.get("n_layer") or config["num_hidden_layers"]
    names = gguf.get_tensor_name_map(architecture, layers)
    for name, array in load_file(student / "model.safetensors").items():
        array = np.ascontiguousarray(oriented(name, array.astype(np.float32), config))
        called = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if called is None:
            sys.exit(f"llama.cpp has no name for {name}")
        # Vectors and learned positions stay as they are, as llama.cpp's own tools leave them.
        whole = array.ndim == 1 or called.startswith("position_embd")
        kind = gguf.GGMLQuantizationType.F32 if whole else quantization
        writer.add_tensor(called, quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
