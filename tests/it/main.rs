//! One integration binary, so that burn links once.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod answers;
mod bad_input;
mod browser;
mod controls;
mod data_input;
mod data_sets;
mod determinism;
mod devices;
mod endpoint_batch;
mod endpoint_money;
mod endpoint_outcomes;
mod endpoint_replies;
mod endpoints;
mod fault_server;
mod harness;
mod hints;
mod hostile;
mod json_schema;
mod judges;
mod keys;
mod kill;
mod layers;
mod manifests;
mod methods;
#[path = "../../src/needs.rs"]
mod needs;
mod outside;
mod permissions;
mod pipeline;
mod rating;
mod real_data;
mod recorded;
mod retention;
mod rounds;
mod said;
mod scores;
mod several;
mod show_and_diff;
mod store_care;
mod statistics;
mod students;
mod sweep;
mod verify;
mod verify_http;
mod webdriver;
