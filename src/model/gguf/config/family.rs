//! Families of models, as GGUF and as transformers call them.

use crate::model::gguf::error::GgufError;
use crate::model::gguf::file::Gguf;

/// Layers at most (ours), some ten times those of the deepest models.
pub(super) const MOST_LAYERS: u64 = 4096;

/// A family of models.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GgufFamily {
    /// Llama; Mistral, `SmolLM` and others are the same to GGUF.
    Llama,
    /// Qwen 2 and 2.5.
    Qwen2,
    /// Qwen 3.
    Qwen3,
    /// Gemma 2.
    Gemma2,
    /// Gemma 3, the part that reads text.
    Gemma3,
    /// `OLMo` 2.
    Olmo2,
    /// GPT-NeoX, as Pythia.
    GptNeox,
    /// GPT-2.
    Gpt2,
}

/// Each with `general.architecture`, `model_type` and the class of transformers.
const NAMES: [(GgufFamily, &str, &str, &str); 8] = [
    (GgufFamily::Llama, "llama", "llama", "LlamaForCausalLM"),
    (GgufFamily::Qwen2, "qwen2", "qwen2", "Qwen2ForCausalLM"),
    (GgufFamily::Qwen3, "qwen3", "qwen3", "Qwen3ForCausalLM"),
    (GgufFamily::Gemma2, "gemma2", "gemma2", "Gemma2ForCausalLM"),
    (
        GgufFamily::Gemma3,
        "gemma3",
        "gemma3_text",
        "Gemma3ForCausalLM",
    ),
    (GgufFamily::Olmo2, "olmo2", "olmo2", "Olmo2ForCausalLM"),
    (
        GgufFamily::GptNeox,
        "gptneox",
        "gpt_neox",
        "GPTNeoXForCausalLM",
    ),
    (GgufFamily::Gpt2, "gpt2", "gpt2", "GPT2LMHeadModel"),
];

impl GgufFamily {
    /// That of a file's model.
    ///
    /// # Errors
    /// The file does not say, or names one that is not read here.
    pub fn of(gguf: &Gguf) -> Result<Self, GgufError> {
        let key = "general.architecture";
        let named = gguf.need_text(key)?;
        let family = NAMES.iter().find(|(_, name, _, _)| *name == named);
        family.map(|(family, ..)| *family).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name, _, _)| *name).collect();
            let hint = "take a model of one of these families";
            gguf.refused(key, format!("{named:?}"), names.join(", "), hint)
        })
    }

    fn names(self) -> (&'static str, &'static str, &'static str) {
        let names = NAMES.iter().find(|(family, ..)| *family == self);
        let (_, name, model_type, class) = names.expect("each is there");
        (name, model_type, class)
    }

    /// A key of the metadata under the family's name.
    pub(in crate::model) fn key(self, name: &str) -> String {
        format!("{}.{name}", self.names().0)
    }

    /// `model_type` of transformers.
    pub fn model_type(self) -> &'static str {
        self.names().1
    }

    /// The class of transformers that runs it.
    pub fn class(self) -> &'static str {
        self.names().2
    }

    /// Heads of queries: one at least.
    pub(in crate::model::gguf) fn heads(self, gguf: &Gguf) -> Result<u64, GgufError> {
        let key = self.key("attention.head_count");
        match gguf.need_count(&key)? {
            0 => Err(gguf.wrong(&key, "0", "1 or more")),
            heads => Ok(heads),
        }
    }

    /// Heads of keys and values: as many as of queries where the file does not say.
    pub(in crate::model::gguf) fn key_heads(self, gguf: &Gguf) -> Result<u64, GgufError> {
        let key = self.key("attention.head_count_kv");
        match gguf.layered(&key)? {
            Some(0) => Err(gguf.wrong(&key, "0", "1 or more")),
            Some(heads) => Ok(heads),
            None => self.heads(gguf),
        }
    }

    /// Layers.
    pub(in crate::model::gguf) fn layers(self, gguf: &Gguf) -> Result<u64, GgufError> {
        gguf.need_count(&self.key("block_count"))
    }
}
