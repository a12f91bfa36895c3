//! `sert-run init`: writes a commented manifest for a data file, after a look at it.

mod mapping;
mod sections;
mod template;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use self::mapping::Mapping;
use self::sections::{DataSection, Own, named, no_data, student};
use self::template::Template;
use super::data;
use super::exit::{Exit, Failure, say};
use crate::dataset::look;
use crate::disk;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run init --data questions.csv --student openai-community/gpt2
  sert-run init --template sweep -o sweep.toml")]
pub(crate) struct InitArgs {
    /// What to write
    #[arg(long, value_enum, default_value = "sert")]
    template: Template,
    /// A table of questions and answers (JSON lines or array, CSV, TSV, Parquet), or a data set by name: microworld, latent-world, strategyqa, commonsenseqa, gsm8k
    #[arg(long, value_name = "FILE|NAME")]
    data: Option<String>,
    /// Another table, to measure on; by default three of ten rows of --data are set apart for that
    #[arg(long, value_name = "FILE", requires = "data")]
    test: Option<PathBuf>,
    /// Which column holds what, for example question=prompt; fields: question, answer, choices, context, rationale, id; may be given again
    #[arg(long = "column", value_name = "FIELD=COLUMN", requires = "data")]
    columns: Vec<String>,
    /// The student: a model of the Hugging Face hub, a folder in its format, or a GGUF file
    #[arg(long, value_name = "ID|FOLDER|FILE")]
    student: Option<String>,
    /// The manifest to write, `-` for stdout; by default TEMPLATE.toml
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the manifest if it is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &InitArgs) -> Result<Exit, Failure> {
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let person = terminal.then(|| Person {
        from: io::stdin().lock(),
        to: io::stderr(),
    });
    for line in write(args, person)? {
        say(&line);
    }
    Ok(Exit::Done)
}

/// Writes the manifest, asking `person` for what is missing if there is one. What there is to say of it.
fn write<R: BufRead, W: Write>(
    args: &InitArgs,
    mut person: Option<Person<R, W>>,
) -> Result<Vec<String>, Failure> {
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| format!("{}.toml", args.template.name()).into());
    let to_stdout = out == Path::new("-");
    // Before anything is asked or read.
    if !to_stdout && !args.force && disk::exists(&out)? {
        return Err(Failure::usage(format!(
            "{} is there already\nhint: write another with `-o FILE`, or replace it with `--force`",
            out.display()
        )));
    }
    let folder = out.parent().unwrap_or(Path::new(""));
    let data = data_section(args, folder, person.as_mut())?;
    let model = match (&args.student, &mut person) {
        (None, Some(person)) => person.ask(
            "student: a model of the hub, a folder or a GGUF file",
            "openai-community/gpt2",
        )?,
        (given, _) => given.clone(),
    };
    let student = student(model.as_deref(), folder)?;
    let file = if to_stdout {
        "FILE.toml".into()
    } else {
        out.display().to_string()
    };
    let text = args.template.text(&file, &data, &student);
    if to_stdout {
        data::print(text.as_bytes())?;
    } else if args.force {
        disk::write(&out, text.as_bytes())?;
    } else {
        disk::write_new(&out, text.as_bytes())?;
    }
    let mut told = data.told;
    if !to_stdout {
        told.push(next(&file));
    }
    Ok(told)
}

/// What to type next.
fn next(file: &str) -> String {
    let each = [
        (format!("data {file}"), "how the data are understood"),
        (
            format!("plan {file}"),
            "what would run, and how long it takes",
        ),
        (format!("{file} --profile small"), "a trial of minutes"),
        (file.to_owned(), ""),
    ];
    let width = each
        .iter()
        .map(|(command, _)| command.chars().count())
        .max();
    let width = width.unwrap_or_default();
    let mut text = format!("wrote {file}; next:");
    for (command, what) in each {
        text += format!("\n  sert-run {command:<width$}   {what}").trim_end();
    }
    text
}

fn data_section<R: BufRead, W: Write>(
    args: &InitArgs,
    folder: &Path,
    mut person: Option<&mut Person<R, W>>,
) -> Result<DataSection, Failure> {
    let asked = match (&args.data, &mut person) {
        (None, Some(person)) => person.ask(
            "data: a table of questions and answers, or the name of a data set",
            sections::NAMED[0].0,
        )?,
        (given, _) => given.clone(),
    };
    let Some(data) = asked else {
        return Ok(no_data());
    };
    let path = Path::new(&data);
    if !path.exists()
        && let Some(section) = named(&data)
    {
        if args.test.is_some() || !args.columns.is_empty() {
            return Err(Failure::usage(format!(
                "`{data}` is a data set with splits and columns of its own\nhint: leave --test and --column out, or give --data a file"
            )));
        }
        return Ok(section);
    }
    let own = Own {
        path,
        test: args.test.as_deref(),
        folder,
    };
    own.check()?;
    let mut mapping = Mapping::of(look(path).map_err(|error| Failure::usage(error.to_string()))?);
    for text in &args.columns {
        mapping.say(text, path)?;
    }
    if let Some(person) = person {
        for (field, _) in mapping.guesses.clone() {
            let fields = mapping.columns.fields();
            let guess = fields.iter().find(|(name, _)| *name == field);
            let guess = guess.map_or("", |(_, written)| written.trim_matches('"'));
            let names: Vec<&str> = mapping.all.iter().map(|(name, _)| name.as_str()).collect();
            let about = format!("column of the {field}, of {}", names.join(", "));
            if let Some(column) = person.ask(&about, guess)?
                && column != guess
            {
                mapping.set(field, &column, path)?;
            }
        }
    }
    own.section(&mapping)
}

/// Who may be asked what the command line did not say.
struct Person<R, W> {
    from: R,
    to: W,
}

impl<R: BufRead, W: Write> Person<R, W> {
    /// Asks for something; `default` is what an empty line means. None where nobody answers.
    fn ask(&mut self, about: &str, default: &str) -> io::Result<Option<String>> {
        write!(
            self.to,
            "{} [{}] ",
            crate::text::escaped(about),
            crate::text::escaped(default)
        )?;
        self.to.flush()?;
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(match line.trim() {
            "" => default.to_owned(),
            answer => answer.to_owned(),
        }))
    }
}
