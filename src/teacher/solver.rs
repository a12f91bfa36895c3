//! Teachers that came with the dataset: the solvers of generated worlds, or a dataset's own solutions.

use super::join::{RecordedPath, path};
use super::{Recorded, RecordingKind, TeacherError, no_file};
use crate::text::{EndReason, Question};

pub(super) const MICROWORLD: RecordingKind = RecordingKind {
    name: "microworld-solver",
    doc: "the exact solver of the microworld: both facts, then what follows",
    files: |params| no_file(params).map(|()| Vec::new()),
    load: |_, _, questions| {
        let fits = |question: &Question| question.id.starts_with("microworld-");
        let teacher = "the microworld's exact solver";
        solved(
            "microworld-solver",
            teacher,
            "dataset `microworld`",
            fits,
            questions,
        )
    },
};

pub(super) const LATENT_WORLD: RecordingKind = RecordingKind {
    name: "latent-world-solver",
    doc: "the exact solver of the latent world: each fact, then what follows",
    files: |params| no_file(params).map(|()| Vec::new()),
    load: |_, _, questions| {
        let fits = |question: &Question| question.id.starts_with("latent-world-");
        let teacher = "the latent world's exact solver";
        solved(
            "latent-world-solver",
            teacher,
            "dataset `latent-world`",
            fits,
            questions,
        )
    },
};

pub(super) const REFERENCE: RecordingKind = RecordingKind {
    name: "reference-solutions",
    doc: "the dataset's own worked solutions (gsm8k, microworld, latent-world, or rows of your own or of the hub with a rationale)",
    files: |params| no_file(params).map(|()| Vec::new()),
    load: |_, _, questions| {
        let datasets = "gsm8k, microworld, latent-world, and rows of `file`, `hub` and `jsonl` with a rationale";
        let teacher = "the dataset's own solutions";
        solved(
            "reference-solutions",
            teacher,
            datasets,
            |_| true,
            questions,
        )
    },
};

fn solved(
    recording: &'static str,
    teacher: &str,
    datasets: &'static str,
    fits: fn(&Question) -> bool,
    questions: &[Question],
) -> Result<Recorded, TeacherError> {
    let paths = questions
        .iter()
        .map(|question| {
            let rationale = question.rationale.as_ref().filter(|_| fits(question));
            let text = rationale
                .cloned()
                .ok_or_else(|| TeacherError::NoRationale {
                    recording,
                    id: question.id.clone(),
                    datasets,
                })?;
            let row = RecordedPath {
                text,
                end: EndReason::EndOfText,
                answer_text: Some(question.answer.clone()),
            };
            Ok(path(recording, &question.id, 0, row))
        })
        .collect::<Result<Vec<_>, TeacherError>>()?;
    Ok(Recorded {
        teacher: teacher.to_owned(),
        questions: questions.len(),
        joined: paths.len(),
        in_recording: paths.len(),
        paths,
    })
}
