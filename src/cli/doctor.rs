//! `sert-run doctor`: which devices this build and this machine have, whether they compute what the CPU does, and how
//! to mend what fails.

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;
use comfy_table::{Table, presets};
use serde_json::json;

use super::data;
use super::exit::{Exit, Failure};
use super::width::WidthArgs;
use crate::model::Dtype;
use crate::model::device::{self, Backend, DeviceName};
use crate::model::self_test::{SelfTest, self_test};
use crate::report::Width;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run doctor
  sert-run doctor --device libtorch-cuda:0 --dtype f32,bf16")]
pub(crate) struct DoctorArgs {
    /// Test these devices only, and fail where one does not pass; may be given again
    #[arg(long = "device", value_name = "DEVICE", value_delimiter = ',')]
    devices: Vec<DeviceName>,
    /// The number formats to test; may be given again [default: f32, on cuda tf32]
    #[arg(long = "dtype", value_name = "DTYPE", value_delimiter = ',', value_parser = ["f32", "tf32", "bf16", "f16", "int8"])]
    dtypes: Vec<String>,
    /// List the devices and test none
    #[arg(long, conflicts_with = "devices")]
    no_test: bool,
    /// Threads of the tests; 0 for all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    width: WidthArgs,
}

/// One test, and how it went.
struct Tested {
    device: DeviceName,
    dtype: Dtype,
    outcome: Result<SelfTest, String>,
}

pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let backends = device::backends();
    let mut out = anstream::stdout().lock();
    if !args.json {
        write!(out, "{}", listed(backends, args.width.stdout()))?;
        let (best, why) = device::auto();
        writeln!(out, "\n`--device auto` takes {best}: {why}\n")?;
        out.flush()?;
    }
    let chosen = if args.devices.is_empty() {
        let found = backends.iter().flat_map(|backend| &backend.found);
        found.map(|found| found.device).collect()
    } else {
        args.devices.clone()
    };
    let mut tested = Vec::new();
    if !args.no_test {
        for device in chosen {
            let named = args.dtypes.iter().map(|name| dtype(name));
            let mut dtypes = named.collect::<Result<Vec<_>, _>>()?;
            if dtypes.is_empty() {
                dtypes.push(device.single());
            }
            for dtype in dtypes {
                let outcome = self_test(device, dtype, args.threads);
                let one = Tested {
                    device,
                    dtype,
                    outcome,
                };
                if !args.json {
                    writeln!(out, "{}", told(&one))?;
                    out.flush()?;
                }
                tested.push(one);
            }
        }
    }
    if args.json {
        data::print_json(&as_json(backends, &tested))?;
    }
    // A device that was not asked for may fail without harm.
    let failed = tested
        .iter()
        .any(|one| !one.outcome.as_ref().is_ok_and(SelfTest::passed));
    Ok(if failed && !args.devices.is_empty() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn dtype(name: &str) -> Result<Dtype, Failure> {
    Ok(serde_json::from_value(json!(name)).map_err(anyhow::Error::from)?)
}

/// The backends, a line for each device.
fn listed(backends: &[Backend], width: Width) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    width.limit(&mut table);
    table.set_header(["device", "in this build", "what it is"]);
    for backend in backends {
        let compiled = match (backend.compiled, backend.feature) {
            (true, _) => "yes".to_owned(),
            (false, feature) => format!("no: --features {}", feature.unwrap_or_default()),
        };
        for found in &backend.found {
            let mark = if found.software {
                " (a program, not a card)"
            } else {
                ""
            };
            table.add_row([
                found.device.to_string(),
                compiled.clone(),
                format!("{}{mark}", found.description),
            ]);
        }
        if backend.found.is_empty() {
            let problem = backend.problem.clone().unwrap_or_default();
            table.add_row([backend.name.to_owned(), compiled, problem]);
        }
    }
    let mut text = format!("{table}\n");
    for backend in backends {
        if let Some(hint) = &backend.hint {
            let _ = writeln!(text, "hint: {}: {hint}", backend.name);
        }
    }
    text
}

/// A test in a few words.
fn told(one: &Tested) -> String {
    let head = format!("{} {}", one.device, one.dtype);
    let test = match &one.outcome {
        Ok(test) => test,
        Err(reason) => return format!("{head}: failed: {reason}"),
    };
    let yes = |is: bool| if is { "yes" } else { "NO" };
    let verdict = if test.passed() {
        "ok"
    } else {
        "NOT TO BE TRUSTED"
    };
    let training = match (test.loss_difference, test.training_repeats) {
        (Some(difference), Some(repeats)) => format!(
            "losses within {difference:.1e} (accepted {:.0e}), training repeats bit for bit: {}",
            test.loss_tolerance,
            yes(repeats)
        ),
        _ => "does not train in it".to_owned(),
    };
    format!(
        "{head}: {verdict}; logits within {:.1e} of the CPU's f32 (accepted {:.0e}), sampling repeats bit for bit at any batch size: {}; {training}; {:.1} s",
        test.logit_difference,
        test.logit_tolerance,
        yes(test.sampling_repeats),
        test.seconds
    )
}

fn as_json(backends: &[Backend], tested: &[Tested]) -> serde_json::Value {
    let (best, why) = device::auto();
    let backends = backends.iter().map(|backend| {
        let found = backend.found.iter().map(|found| {
            json!({
                "device": found.device.to_string(),
                "description": found.description,
                "software": found.software,
            })
        });
        json!({
            "backend": backend.name,
            "feature": backend.feature,
            "compiled": backend.compiled,
            "found": found.collect::<Vec<_>>(),
            "problem": backend.problem,
            "hint": backend.hint,
        })
    });
    let tested = tested.iter().map(|one| {
        json!({
            "device": one.device.to_string(),
            "dtype": one.dtype,
            "passed": one.outcome.as_ref().is_ok_and(SelfTest::passed),
            "test": one.outcome.as_ref().ok(),
            "error": one.outcome.as_ref().err(),
        })
    });
    json!({
        "auto": best.to_string(),
        "why": why,
        "backends": backends.collect::<Vec<_>>(),
        "tests": tested.collect::<Vec<_>>(),
    })
}
