//! A tiny student behind a server of ours that answers in the documented form of vLLM, `SGLang` or llama.cpp: what it says is
//! computed by the program's own engine, so that rows can be compared.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use sert_run::model::engine::Engine;
use sert_run::model::{EngineOptions, Student};

use crate::fault_server::{Act, Asked};
use crate::harness::{Bench, TINY};

/// A server's form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Vllm,
    Sglang,
    LlamaCpp,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Vllm, Self::Sglang, Self::LlamaCpp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::LlamaCpp => "llama.cpp",
        }
    }
}

/// The folder of the tiny student, trained once.
pub(crate) fn folder() -> PathBuf {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    let bench = BENCH.get_or_init(|| {
        let bench = Bench::new(TINY);
        bench.run_manifest(&["--stage", "student"]).ok();
        bench.run(&["export", "m.toml", "student", "student"]).ok();
        bench
    });
    bench.path("student")
}

/// One drawn token.
struct Step {
    token: u32,
    log_prob: f64,
    best: Vec<(u32, f64)>,
}

/// How it draws.
struct Drawing {
    most: usize,
    temperature: f64,
    top_k: usize,
    seed: u64,
    ends: Vec<u32>,
    best: usize,
    forced: Option<u32>,
}

/// The student behind the server.
#[derive(Clone)]
pub(crate) struct Served {
    engine: Arc<Engine>,
    rows: usize,
    /// What ends a text for llama.cpp, which is not told.
    eos: u32,
}

impl Served {
    pub(crate) fn load(folder: &Path) -> Self {
        let student = Student::load(folder).unwrap();
        let options = EngineOptions {
            threads: 1,
            ..EngineOptions::default()
        };
        let eos = student.tokenizer.eos_id();
        let rows = student.architecture.vocab_rows;
        let engine = Engine::new(&student.architecture, &student.weights, options).unwrap();
        Self {
            engine: Arc::new(engine),
            rows,
            eos,
        }
    }

    /// Log-probabilities of all tokens after each of `tokens`.
    fn log_probs(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        let logits = self.engine.logits(tokens).unwrap();
        let rows = logits.chunks_exact(self.rows).map(|row| {
            let row: Vec<f64> = row.iter().map(|logit| f64::from(*logit)).collect();
            let top = row.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = row.iter().map(|logit| (logit - top).exp()).sum();
            row.iter().map(|logit| logit - top - sum.ln()).collect()
        });
        rows.collect()
    }

    fn draw(&self, prompt: &[u32], drawing: &Drawing) -> Vec<Step> {
        let mut tokens = prompt.to_vec();
        let mut state = drawing.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut steps = Vec::new();
        while steps.len() < drawing.most {
            let row = self.log_probs(&tokens).pop().unwrap();
            let mut order: Vec<(u32, f64)> = (0..).zip(row.iter().copied()).collect();
            order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let among = match drawing.top_k {
                0 => order.len(),
                top_k => top_k,
            };
            let token = match drawing.forced {
                Some(token) => token,
                None if drawing.temperature == 0.0 => order[0].0,
                None => {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    let weights: Vec<f64> = order[..among]
                        .iter()
                        .map(|(_, value)| (value / drawing.temperature).exp())
                        .collect();
                    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
                    let mut left =
                        (state >> 11) as f64 / (1_u64 << 53) as f64 * weights.iter().sum::<f64>();
                    let place = weights.iter().position(|weight| {
                        left -= weight;
                        left < 0.0
                    });
                    order[place.unwrap_or(0)].0
                }
            };
            steps.push(Step {
                token,
                log_prob: row[token as usize],
                best: order[..drawing.best.min(order.len())].to_vec(),
            });
            tokens.push(token);
            if drawing.ends.contains(&token) {
                break;
            }
        }
        steps
    }

    /// What a server of this form answers.
    pub(crate) fn answer(&self, form: Form, asked: &Asked) -> Value {
        let body = asked.json();
        match (form, asked.path.as_str()) {
            (Form::Vllm, "/version") => json!({ "version": "0.11.0" }),
            (Form::Sglang, "/server_info") => json!({ "version": "0.5.4", "model_path": "x" }),
            (Form::LlamaCpp, "/props") => json!({ "build_info": "b11434-abcdef1" }),
            (Form::Vllm, "/v1/completions") => self.vllm(&body),
            (Form::Sglang, "/generate") => self.sglang(&body),
            (Form::LlamaCpp, "/completion") => self.llama_cpp(&body),
            (_, other) => panic!("{other} is not there"),
        }
    }

    /// The act of a server that never fails.
    pub(crate) fn act(&self, form: Form, asked: &Asked) -> Act {
        match (form, asked.path.as_str()) {
            // Older ones do not have it.
            (Form::Sglang, "/get_server_info") => Act::error(404, "", "Not Found"),
            _ => Act::json(200, &self.answer(form, asked)),
        }
    }

    fn vllm(&self, body: &Value) -> Value {
        let prompt = ids(&body["prompt"]);
        let best = body.get("logprobs").map(count);
        let steps = self.draw(
            &prompt,
            &Drawing {
                most: count(&body["max_tokens"]),
                temperature: body["temperature"].as_f64().unwrap(),
                top_k: count(&body["top_k"]),
                seed: body["seed"].as_u64().unwrap(),
                ends: ids(&body["stop_token_ids"]),
                best: best.unwrap_or(0),
                forced: None,
            },
        );
        assert_eq!(body["return_token_ids"], true);
        let named = |token: u32| format!("token_id:{token}");
        let top = |step: &Step| {
            let mut top: serde_json::Map<String, Value> = (step.best.iter())
                .map(|(token, value)| (named(*token), json!(value)))
                .collect();
            // The drawn one is always there.
            top.insert(named(step.token), json!(step.log_prob));
            Value::Object(top)
        };
        let logprobs = best.map(|_| {
            json!({
                "text_offset": vec![0; steps.len()],
                "token_logprobs": steps.iter().map(|step| step.log_prob).collect::<Vec<_>>(),
                "tokens": steps.iter().map(|step| named(step.token)).collect::<Vec<_>>(),
                "top_logprobs": steps.iter().map(top).collect::<Vec<_>>(),
            })
        });
        let read = body.get("prompt_logprobs").map(|_| {
            let rows = self.log_probs(&prompt);
            let each = prompt.iter().skip(1).zip(&rows).map(|(token, row)| {
                json!({ token.to_string(): { "logprob": row[*token as usize], "rank": 1, "decoded_token": "x" } })
            });
            std::iter::once(Value::Null).chain(each).collect::<Vec<_>>()
        });
        let ended = steps
            .last()
            .is_some_and(|last| ids(&body["stop_token_ids"]).contains(&last.token));
        json!({
            "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "student",
            "choices": [{
                "index": 0, "text": "x", "logprobs": logprobs,
                "finish_reason": if ended { "stop" } else { "length" }, "stop_reason": null,
                "prompt_logprobs": read, "prompt_token_ids": prompt,
                "token_ids": steps.iter().map(|step| step.token).collect::<Vec<_>>(),
            }],
            "usage": { "prompt_tokens": prompt.len(), "completion_tokens": steps.len(), "total_tokens": 0 },
        })
    }

    fn sglang(&self, body: &Value) -> Value {
        let prompt = ids(&body["input_ids"]);
        let params = &body["sampling_params"];
        let ends = ids(&params["stop_token_ids"]);
        let steps = self.draw(
            &prompt,
            &Drawing {
                most: count(&params["max_new_tokens"]),
                temperature: params["temperature"].as_f64().unwrap(),
                top_k: count(&params["top_k"]),
                seed: params["sampling_seed"].as_u64().unwrap_or(0),
                ends: ends.clone(),
                best: count(&body["top_logprobs_num"]),
                forced: None,
            },
        );
        let entry = |token: u32, value: f64| json!([value, token, null]);
        let mut meta = json!({
            "id": "1", "prompt_tokens": prompt.len(), "completion_tokens": steps.len(),
            "finish_reason": match steps.last() {
                Some(last) if ends.contains(&last.token) => json!({ "type": "stop", "matched": last.token }),
                _ => json!({ "type": "length", "length": steps.len() }),
            },
            "output_token_logprobs": steps.iter().map(|step| entry(step.token, step.log_prob)).collect::<Vec<_>>(),
            "output_top_logprobs": (steps.iter())
                .map(|step| step.best.iter().map(|(token, value)| entry(*token, *value)).collect::<Vec<_>>())
                .collect::<Vec<_>>(),
        });
        let start = body["logprob_start_len"].as_i64().unwrap_or(-1);
        if let Ok(start) = usize::try_from(start) {
            let rows = self.log_probs(&prompt);
            let each = (start..prompt.len()).map(|place| match place {
                0 => json!([null, prompt[0], null]),
                place => entry(prompt[place], rows[place - 1][prompt[place] as usize]),
            });
            meta["input_token_logprobs"] = each.collect();
        }
        json!({ "text": "x", "output_ids": steps.iter().map(|step| step.token).collect::<Vec<_>>(), "meta_info": meta })
    }

    fn llama_cpp(&self, body: &Value) -> Value {
        let prompt = ids(&body["prompt"]);
        let forced = body.pointer("/logit_bias/0/0").and_then(Value::as_u64);
        let steps = self.draw(
            &prompt,
            &Drawing {
                most: count(&body["n_predict"]),
                temperature: body["temperature"].as_f64().unwrap(),
                top_k: count(&body["top_k"]),
                seed: body["seed"].as_u64().unwrap(),
                ends: vec![self.eos],
                best: count(&body["n_probs"]),
                forced: forced.map(|token| u32::try_from(token).unwrap()),
            },
        );
        let entry = |token: u32, value: f64| json!({ "id": token, "token": "x", "bytes": [120], "logprob": value });
        // Every seventh token is as one that ends within a character: it is left out.
        let told = steps.iter().filter(|step| step.token % 7 != 0);
        let each: Vec<Value> = told
            .map(|step| {
                let mut each = entry(step.token, step.log_prob);
                let best = step.best.iter().map(|(token, value)| entry(*token, *value));
                each["top_logprobs"] = best.collect();
                each
            })
            .collect();
        let mut answer = json!({
            "index": 0, "content": "x", "stop": true, "model": "student", "truncated": false,
            "tokens": steps.iter().map(|step| step.token).collect::<Vec<_>>(),
            "tokens_predicted": steps.len(), "tokens_evaluated": prompt.len(),
            "stop_type": if steps.last().is_some_and(|last| last.token == self.eos) { "eos" } else { "limit" },
        });
        if !each.is_empty() {
            answer["completion_probabilities"] = json!(each);
        }
        answer
    }
}

/// A number of a request; none or -1 is 0.
fn count(value: &Value) -> usize {
    let count = value.as_u64().map(usize::try_from);
    count.unwrap_or(Ok(0)).unwrap()
}

fn ids(list: &Value) -> Vec<u32> {
    let each = list.as_array().into_iter().flatten();
    each.map(|id| u32::try_from(id.as_u64().unwrap()).unwrap())
        .collect()
}

/// An experiment of this student, whose stages `served-*` are behind `base_url`, and others of the same drawing are not.
pub(crate) fn manifest(form: Form, server: &str) -> String {
    let server = format!("engine = \"server\"\nserver = {{ {server} }}");
    let version = match form {
        Form::Vllm => "0.11.0",
        Form::Sglang => "0.5.4",
        Form::LlamaCpp => "b11434",
    };
    let server = server
        .replace("VERSION", version)
        .replace("NAME", form.name());
    let student = folder();
    format!(
        r#"
seed = 7

[data]
dataset = "microworld"
microworld = {{ entities = 12, train_questions = 6, test_questions = 5, pretrain_questions = 60, fact_repeats = 2 }}

[student]
model = "{}"

[defaults.sample]
first_tokens = 3
paths_per_first_token = 1
max_new_tokens = 12
temperature = 0.0
stop = ["imitative"]

[stages.own]
kind = "sample"

[stages.served]
kind = "sample"
{server}

[stages.own-drawn]
kind = "predict"
max_new_tokens = 12

[stages.served-drawn]
kind = "predict"
max_new_tokens = 12
{server}

[stages.own-scored]
kind = "score"
paths = "own"

[stages.served-scored]
kind = "score"
paths = "own"
{server}
"#,
        student.display()
    )
}
