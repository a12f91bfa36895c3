//! `transform`: a program of the user's that makes paths of paths: a step of one's own.
//!
//! In: paths, one a line as `export` writes them, on the program's standard input; their questions in `questions.jsonl` in the
//! folder that it runs in. Out: the paths that it writes, checked as those that `import-paths` brings in are. A program that
//! does not end well makes nothing: what it left out would pass for what it dropped.

use std::collections::BTreeMap;
use std::path::Path;

use super::imported;
use crate::artifact::ArtifactKind;
use crate::input::{InputError, JsonLines};
use crate::key::Digest;
use crate::program::ProgramParams;
use crate::stage::{
    Brings, Carried, Context, Estimate, Output, Outputs, OutsideFile, ParamError, Port, Sizes,
    StageError, StageKind, Work,
};
use crate::text::{Question, ReasoningPath};

/// The questions, for the program.
const QUESTIONS: &str = "questions.jsonl";
/// It may write so many times what it reads, and so many bytes at least (ours): against one that never ends.
const GROWTH: usize = 64;
const LEAST_OUTPUT: usize = 64 << 20;

/// Changes, adds and leaves out paths by a program.
pub(crate) struct Transform;

impl StageKind for Transform {
    type Params = ProgramParams;

    const NAME: &'static str = "transform";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Make paths of paths by a program of your own, rows in and rows out.";
    const INPUTS: &'static [Port] = &[
        Port::required("paths", ArtifactKind::Paths, "The paths that it reads.").passes_on(),
        Port::questions("questions", "data.train", "Their questions, of any split.").any_split(),
    ];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "The paths that it writes.",
    )];
    const BRINGS: Option<Brings> = Some(Brings::Program);
    const LOCATIONS: &'static [&'static str] = &["program"];

    fn check(params: &ProgramParams) -> Vec<ParamError> {
        let errors = params.param_errors("").into_iter();
        let error = |(field, message, hint): (_, _, &str)| ParamError {
            field,
            message,
            hint: Some(hint.to_owned()),
        };
        errors.map(error).collect()
    }

    fn check_outside(params: &ProgramParams, context: &Context<'_>) -> Vec<ParamError> {
        context.missing_programs("", params)
    }

    fn programs(params: &ProgramParams) -> Vec<ProgramParams> {
        vec![params.clone()]
    }

    fn files(
        params: &ProgramParams,
        context: &Context<'_>,
    ) -> Result<Vec<OutsideFile>, StageError> {
        Ok(context.program_files(params))
    }

    fn carried(_: &ProgramParams, input: Carried) -> Carried {
        // It may add what it likes.
        Carried {
            anything: true,
            ..input
        }
    }

    fn estimate(_: &ProgramParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let paths = *inputs.get("paths")?;
        Some((Work::default(), BTreeMap::from([("paths", paths)])))
    }

    fn run(params: &ProgramParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let paths: Vec<ReasoningPath> = context.input("paths")?;
        let questions: Vec<Question> = context.input("questions")?;
        let prepared = context.prepare_program(params)?;
        let input = json_lines(&paths)?;
        let most = LEAST_OUTPUT.max(GROWTH.saturating_mul(input.len()));
        let files = [(QUESTIONS, json_lines(&questions)?)];
        let files = files
            .each_ref()
            .map(|(name, text)| (*name, text.as_slice()));
        let ran = prepared.program.run(input, &files, most, context.cancel)?;
        if let Some(why) = ran.failure() {
            let words = params.words();
            return Err(StageError::Invalid(format!(
                "`{words}` made no paths: {why}\nhint: run it by hand on what `sert-run export` writes of the stage before it"
            )));
        }
        let made = made(params, ran.stdout, &paths, &questions)?;
        let text = format!("{} paths read, {} written", paths.len(), made.len());
        if made.is_empty() && !paths.is_empty() {
            context.report.warn(text);
        } else {
            context.report.info(text);
        }
        Ok(Outputs::from([("paths".to_owned(), context.keep(&made)?)]))
    }
}

fn json_lines<T: serde::Serialize>(rows: &[T]) -> Result<Vec<u8>, StageError> {
    let mut text = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut text, row)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// The paths of the program's output.
fn made(
    params: &ProgramParams,
    output: Vec<u8>,
    paths: &[ReasoningPath],
    questions: &[Question],
) -> Result<Vec<ReasoningPath>, StageError> {
    let name = format!("output of {}", params.program);
    let name = Path::new(&name);
    let text = String::from_utf8(output).map_err(|error| {
        let read = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = read.split(|byte| *byte == b'\n').count() - 1;
        InputError::at(name, line + 1, 1, "it is not UTF-8")
    })?;
    let lines = JsonLines::of(name, text)?;
    let made = imported::paths(&lines, questions)?;
    let before: BTreeMap<Digest, &ReasoningPath> =
        paths.iter().map(|path| (path.stream, path)).collect();
    for (path, line) in made.iter().zip(lines.rows()) {
        let Some(old) = before.get(&path.stream) else {
            continue;
        };
        let stale = [
            (
                "tokens",
                !old.tokens.is_empty() && path.tokens == old.tokens,
            ),
            (
                "log_prob",
                old.log_prob.is_some() && path.log_prob == old.log_prob,
            ),
        ];
        if let Some((field, _)) = stale
            .iter()
            .find(|(_, same)| *same && path.text != old.text)
        {
            let what = format!("the text was changed, and `{field}` is still that of the old one");
            let hint = "where you change `text`, leave out `tokens`, their log-probabilities and what scores say of it";
            return Err(line.wrong_at(field, what).hint(hint).into());
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question(id: &str) -> Question {
        serde_json::from_value(json!({
            "id": id, "question": "Is it?", "form": "yes-no", "answer": "yes"
        }))
        .unwrap()
    }

    #[test]
    fn what_it_writes_is_checked() {
        let old: ReasoningPath = serde_json::from_value(json!({
            "question_id": "q", "row": Digest::of(b"old"), "text": "So.", "tokens": [1, 2]
        }))
        .unwrap();
        let params = ProgramParams {
            program: "change.py".into(),
            ..ProgramParams::default()
        };
        let run = |output: &[u8]| {
            let paths = std::slice::from_ref(&old);
            made(&params, output.to_vec(), paths, &[question("q")])
        };
        let same = serde_json::to_string(&old).unwrap();
        assert_eq!(run(same.as_bytes()).unwrap(), std::slice::from_ref(&old));
        assert!(run(b"").unwrap().is_empty());
        let new = run(b"{\"question_id\":\"q\",\"text\":\"New.\"}").unwrap();
        assert_ne!(new[0].stream, Digest::default());
        let cut = same.replace("So.", "So").replace(",\"tokens\":[1,2]", "");
        assert!(run(cut.as_bytes()).unwrap()[0].tokens.is_empty());
        for (output, told) in [
            (&b"oops"[..], "output of change.py:1:1: "),
            (b"{\"question_id\":\"q\"}", "the row has no `text`"),
            (
                b"{\"question_id\":\"p\",\"text\":\"\"}",
                "belong to none of the 1 questions",
            ),
            (b"{}\n\xff", "output of change.py:2:1: it is not UTF-8"),
            (
                same.replace("So.", "Sic.").as_bytes(),
                "`tokens` is still that of the old one",
            ),
        ] {
            let error = run(output).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
