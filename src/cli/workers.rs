//! `--devices`, `--data-parallel` and `--enforce-eager`: who carries out stages, and where.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::exit::Failure;
use super::session::Session;
use crate::model::device::{DeviceName, description};
use crate::stage::RunOptions;

/// `--enforce-eager`.
#[derive(Args)]
pub(super) struct EagerArgs {
    /// On cuda, launch each operation by itself: no CUDA graphs
    #[arg(long, env = "SERT_ENFORCE_EAGER", value_parser = FalseyValueParser::new())]
    pub(super) enforce_eager: bool,
}

/// How each worker runs: one for each `together` devices, which share the threads. The devices must be there.
pub(super) fn workers(
    session: &mut Session,
    devices: &[DeviceName],
    together: usize,
) -> Result<Vec<RunOptions>, Failure> {
    if let Some(&first) = devices.first() {
        let other = devices
            .iter()
            .find(|device| device.backend() != first.backend());
        if let Some(other) = other {
            return Err(Failure::usage(format!(
                "--devices: {first} and {other} are of different backends, so results would depend on which one is free\nhint: name devices of one backend, for example cuda:0,cuda:1"
            )));
        }
        session.options.device = first;
        session.why_device = None;
    }
    let devices = if devices.is_empty() {
        &[session.options.device]
    } else {
        devices
    };
    if !devices.len().is_multiple_of(together) {
        return Err(Failure::usage(format!(
            "--data-parallel {together}: the number of --devices, {}, is no multiple of it\nhint: name as many devices for each training",
            devices.len()
        )));
    }
    if together > 1 && devices.contains(&DeviceName::Cpu) {
        return Err(Failure::usage(
            "--data-parallel is for cards: the CPU's threads share a batch already\nhint: `--threads N` says how many".to_owned(),
        ));
    }
    let twice = |device: &&DeviceName| devices.iter().filter(|other| other == device).count() > 1;
    let cards = devices.iter().filter(|device| device.card().is_some());
    if together > 1
        && let Some(device) = cards.clone().find(twice)
    {
        return Err(Failure::usage(format!(
            "--devices names {device} twice, and a training takes several cards\nhint: `sert-run doctor` lists the cards of this machine"
        )));
    }
    let threads = match devices.len() / together {
        1 => session.options.threads,
        count => (session.options.thread_count() / count).max(1),
    };
    for device in devices.iter().filter(|device| **device != DeviceName::Cpu) {
        device
            .open()
            .map_err(|error| Failure::usage(error.to_string()))?;
    }
    let options = devices.chunks(together).map(|of_worker| {
        let (device, beside) = (of_worker[0], of_worker[1..].to_vec());
        RunOptions {
            device,
            beside,
            device_description: description(device),
            threads,
            graphs: session.options.graphs && devices.len() == together,
            ..session.options.clone()
        }
    });
    Ok(options.collect())
}
