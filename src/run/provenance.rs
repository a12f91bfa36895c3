//! What is recorded beside a result and is not part of its key: when, where and how it was made.

use serde_json::{Map, Value, json};

use super::clock::Stopwatch;
use crate::plan::Node;
use crate::stage::RunOptions;
use crate::store::INPUTS_CHECKED;

/// The provenance of a stage that has just run. `used` is what it says that it used.
pub(crate) fn provenance(
    node: &Node,
    options: &RunOptions,
    watch: &Stopwatch,
    used: Map<String, Value>,
) -> Value {
    let mut provenance = json!({
        "stages": node.names,
        "began_unix_s": watch.began_unix_s,
        "elapsed_s": watch.elapsed().as_secs_f64(),
        "sert_run": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "device": options.device.to_string(),
        "backend": options.device.backend(),
        "device_description": options.device_description,
        "threads": options.thread_count(),
        "batch_size": options.batch_size,
        "host": sysinfo::System::host_name(),
        // Where the parameters left the outside files; their content is in the key.
        "params": node.params,
    });
    provenance[INPUTS_CHECKED] = json!(true);
    if !used.is_empty() {
        provenance["use"] = Value::Object(used);
    }
    provenance
}
