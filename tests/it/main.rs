//! One integration binary, so that burn links once.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod bad_input;
mod browser;
mod controls;
mod determinism;
mod devices;
mod endpoint_batch;
mod endpoint_money;
mod endpoint_outcomes;
mod endpoints;
mod fault_server;
mod harness;
mod judges;
mod keys;
mod kill;
mod layers;
mod manifests;
#[path = "../../src/needs.rs"]
mod needs;
mod pipeline;
mod rating;
mod real_data;
mod recorded;
mod said;
mod scores;
mod show_and_diff;
mod sweep;
mod webdriver;
