//! The manifests that `init` writes, put together of their parts.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::sections::{DataSection, StudentSection};
use crate::dataset::quoted;
use crate::text::escaped;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Template {
    /// The paper's arms: the student learns from its own filtered paths, and from a teacher's if there is one
    Sert,
    /// Rejection-sampling fine-tuning: right paths, by the gold answers
    Rft,
    /// The arms over several thresholds and seeds, with curves
    Sweep,
    /// The data set alone, and what the untrained student makes of it
    Data,
}

const SERT: &str = include_str!("../../../templates/init/sert.toml");
const SWEEP: &str = include_str!("../../../templates/init/sweep.toml");
const RFT: &str = include_str!("../../../templates/init/rft.toml");
const DATA: &str = include_str!("../../../templates/init/data.toml");

/// A trial of minutes.
const SMALL: &[&str] = &[
    "\"data.limit\" = 8",
    "\"defaults.sample.max_new_tokens\" = 40",
    "\"defaults.predict.max_new_tokens\" = 24",
    "\"defaults.finetune.epochs\" = 1",
    "\"defaults.distill.epochs\" = 1",
];

impl Template {
    /// As the command line names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sert => "sert",
            Self::Rft => "rft",
            Self::Sweep => "sweep",
            Self::Data => "data",
        }
    }

    /// The manifest `file` for this data and student.
    pub(super) fn text(self, file: &str, data: &DataSection, student: &StudentSection) -> String {
        let mut text = self.head(file, data);
        text += &data.text;
        text += &student.text;
        if let (Self::Sert | Self::Sweep, Some(recording)) = (self, &data.recording) {
            let _ = write!(
                text,
                "\n[stages.teacher]\nkind = \"teach\"\nrecording = {} # {}\n",
                quoted(recording.name),
                recording.words
            );
        }
        match self {
            Self::Sert => text += SERT,
            Self::Sweep => {
                text += SERT;
                text += SWEEP;
            }
            Self::Rft => text += RFT,
            Self::Data => text += DATA,
        }
        text += "\n[profiles.small] # `--profile small`: a trial of minutes\n";
        for line in self.small() {
            text += &line;
            text.push('\n');
        }
        text
    }

    fn head(self, file: &str, data: &DataSection) -> String {
        let file = escaped(file).replace('\n', " "); // in a comment, which ends with its line
        let mut text = format!(
            "# Written by `sert-run init`. A line that begins with `# name =` is a field with its default: take the mark away to change it.\n#   sert-run plan {file}\n#   sert-run {file} --profile small\n#   sert-run {file}\n"
        );
        let title = match self {
            Self::Sert => "SERT on",
            Self::Sweep => "Filter thresholds on",
            Self::Rft => "Rejection-sampling fine-tuning on",
            Self::Data => "The untrained student on",
        };
        let title = quoted(&format!("{title} {}", data.title));
        let _ = writeln!(text, "title = {title}");
        let (base, has) = match (self, &data.recording) {
            (Self::Data, _) => ("", ""),
            (Self::Rft, _) => ("methods", "the untrained student's answers"),
            (_, Some(_)) => (
                "arms",
                "the stages and the table of Finetune, RD, SERT, SERT+RD",
            ),
            (_, None) => (
                "arms-without-teacher",
                "the stages and the table of Finetune and SERT",
            ),
        };
        if !base.is_empty() {
            let _ = writeln!(
                text,
                "extends = \"builtin:{base}\" # {has}: `sert-run builtin {base}` prints them"
            );
        }
        if base == "arms-without-teacher" {
            text += "# With a teacher there are RD and SERT+RD too: `extends = \"builtin:arms\"`, and a stage of kind `teach`, recorded or\n# behind a server (docs/teachers.md):\n#   [stages.teacher]\n#   kind = \"teach\"\n#   source = \"http\"\n#   endpoint = { base_url = \"http://127.0.0.1:8080/v1\", model = \"...\" }\n";
        }
        text += "seed = 0\n";
        text
    }

    /// The lines of the profile `small`.
    fn small(self) -> Vec<String> {
        let mut lines: Vec<String> = SMALL.iter().map(|line| (*line).to_owned()).collect();
        match self {
            Self::Sert => lines.push("\"stages.sampled.max_new_tokens\" = 40".to_owned()),
            Self::Sweep => lines.extend([
                "\"stages.sampled.max_new_tokens\" = 40".to_owned(),
                "\"sweep.seeds\" = [0]".to_owned(),
                "\"sweep.grid\" = { \"stages.kept.length.min_tokens\" = [15, 25] }".to_owned(),
            ]),
            Self::Rft => lines.push("\"stages.sampled.paths_per_first_token\" = 8".to_owned()),
            Self::Data => {}
        }
        lines
    }
}
