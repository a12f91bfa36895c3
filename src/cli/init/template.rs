//! The manifests that `init` writes, put together of their parts.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::sections::DataSection;
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

/// How there is a teacher, where there is none yet.
const WITH_A_TEACHER: &str = "# For RD and SERT+RD too, extend \"builtin:arms\" and add a teacher, recorded or\n# behind a server (docs/teachers.md):\n#   [stages.teacher]\n#   kind = \"teach\"\n#   source = \"http\"\n#   endpoint = { base_url = \"http://127.0.0.1:8080/v1\", model = \"...\" }\n";
const SERT: &str = include_str!("../../../templates/init/sert.toml");
const SWEEP: &str = include_str!("../../../templates/init/sweep.toml");
const RFT: &str = include_str!("../../../templates/init/rft.toml");
const DATA: &str = include_str!("../../../templates/init/data.toml");

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
    pub(super) fn text(self, file: &str, data: &DataSection, student: &str) -> String {
        let mut text = self.head(file, data);
        text += &data.text;
        text += student;
        if let (Self::Sert | Self::Sweep, Some(recording)) = (self, &data.recording) {
            let _ = write!(
                text,
                "\n[stages.teacher] # {1}\nkind = \"teach\"\nrecording = {0}\n",
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
        for line in self.small(data) {
            text += line;
            text.push('\n');
        }
        text
    }

    fn head(self, file: &str, data: &DataSection) -> String {
        let file = escaped(file).replace('\n', " "); // in a comment, which ends with its line
        let mut text = format!(
            "# Written by `sert-run init`. A line such as `# epochs = 20` is a field that can\n# be set: take the mark away. Next:\n#   sert-run plan {file}\n#   sert-run {file} --profile small\n#   sert-run {file}\n"
        );
        let title = match self {
            Self::Sert => "SERT on",
            Self::Sweep => "Filter thresholds on",
            Self::Rft => "Rejection-sampling fine-tuning on",
            Self::Data => "The untrained student on",
        };
        let title = quoted(&format!("{title} {}", data.title));
        let _ = writeln!(text, "title = {title}\nseed = 0");
        let (base, has) = match (self, &data.recording) {
            (Self::Data, _) => return text,
            (Self::Rft, _) => ("methods", "The untrained student's answers"),
            (_, Some(_)) => (
                "arms",
                "The stages and the table of Finetune, RD, SERT, SERT+RD",
            ),
            (_, None) => (
                "arms-without-teacher",
                "The stages and the table of Finetune and SERT",
            ),
        };
        let _ = writeln!(
            text,
            "# {has}; to see them:\n#   sert-run builtin {base}\nextends = \"builtin:{base}\""
        );
        if base == "arms-without-teacher" {
            text += WITH_A_TEACHER;
        }
        text
    }

    /// The lines of the profile `small`: a trial of minutes.
    fn small(self, data: &DataSection) -> Vec<&'static str> {
        let mut lines = vec!["\"data.limit\" = 8"];
        if self == Self::Data {
            lines.push("\"stages.answers.max_new_tokens\" = 24");
            return lines;
        }
        lines.extend([
            "\"stages.sampled.max_new_tokens\" = 40",
            "\"defaults.predict.max_new_tokens\" = 24",
        ]);
        match self {
            Self::Rft => lines.extend([
                "\"stages.sampled.paths_per_first_token\" = 8",
                "\"stages.rft.epochs\" = 1",
            ]),
            _ => lines.push("\"defaults.finetune.epochs\" = 1"),
        }
        if self != Self::Rft && data.recording.is_some() {
            lines.push("\"defaults.distill.epochs\" = 1");
        }
        if self == Self::Sweep {
            lines.extend([
                "\"sweep.seeds\" = [0]",
                "\"sweep.grid\" = { \"stages.kept.length.min_tokens\" = [15, 25] }",
            ]);
        }
        lines
    }
}
