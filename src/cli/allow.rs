//! The user's permission for a manifest to ask the servers and to run the programs that it names; see
//! `teacher::http::permit`.
//!
//! That for servers comes from the command line, from the environment, from a file in the user's configuration folder,
//! or from an answer on a terminal, which that file remembers; that for programs from the first two alone, since what a
//! name stands for may change. Without it nothing runs.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;

use super::exit::{Failure, say};
use super::session::Session;
use crate::plan::{NodeId, Server, programs, servers};
use crate::teacher::http::{NoPermission, Permission};
use crate::text::escaped;

/// What the first line of the user's file says.
const HEAD: &str = "# Servers that manifests may ask, and the variable whose value may go there: HOST or HOST:VARIABLE, one a line.\n";

#[derive(Args, Clone)]
pub(crate) struct AllowArgs {
    /// Let the manifest ask this server, and send it this environment variable's value, for example
    /// `api.openai.com:OPENAI_API_KEY`; may be given again
    #[arg(
        long = "allow-endpoint",
        env = "SERT_ALLOW_ENDPOINT",
        value_name = "HOST[:VARIABLE]",
        value_delimiter = ','
    )]
    allowed: Vec<String>,
    /// Let the manifest run the programs that it names (`verify` with `exec`, `transform`); `plan` lists them
    #[arg(
        long = "allow-programs",
        env = "SERT_ALLOW_PROGRAMS",
        value_parser = FalseyValueParser::new()
    )]
    programs: bool,
}

impl AllowArgs {
    /// Adds what the user permits, here or in their file, to the session.
    pub(crate) fn apply(&self, session: &mut Session) -> Result<(), Failure> {
        let remembered = match file() {
            Some(path) => remembered(&path)?,
            None => Vec::new(),
        };
        let given = self.allowed.iter().filter(|text| !text.trim().is_empty());
        let given = given.map(|text| {
            let wrong = |error: NoPermission| Failure::usage(format!("--allow-endpoint: {error}"));
            text.parse().map_err(wrong)
        });
        let given = given.collect::<Result<Vec<Permission>, Failure>>()?;
        session.options.allow_programs |= self.programs;
        let permissions = &mut session.options.permissions;
        permissions.extend(remembered);
        permissions.extend(given);
        Ok(())
    }

    /// The same; refuses where `nodes` would run a program without permission; and where they would ask a server
    /// without one, asks the user for it, if they are there to answer.
    pub(crate) fn ask(
        &self,
        session: &mut Session,
        nodes: &[NodeId],
        may_ask: bool,
    ) -> Result<(), Failure> {
        self.apply(session)?;
        check_programs(session, nodes)?;
        if session.fetcher.options().offline {
            return Ok(()); // no server but one on this machine is asked
        }
        let lacking = |session: &Session, nodes: &[NodeId]| -> Vec<(Server, Permission)> {
            let permissions = &session.options.permissions;
            let servers = servers(&session.plan, nodes.iter().copied(), permissions);
            let lacking = |server: Server| Some((server.clone(), server.lacking?));
            servers.into_iter().filter_map(lacking).collect()
        };
        if lacking(session, nodes).is_empty() {
            return Ok(());
        }
        // What is in the store already asks nobody.
        let lacking = lacking(session, &session.to_run(nodes)?);
        if lacking.is_empty() {
            return Ok(());
        }
        let manifest = session.manifest.path.display().to_string();
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let path = file();
        if !(terminal && may_ask) {
            return Err(refused(&manifest, &lacking, path.as_deref()));
        }
        if !agreed(&manifest, &lacking, io::stdin().lock(), io::stderr())? {
            return Err(Failure::usage("not allowed, so nothing was sent"));
        }
        let permissions: Vec<Permission> = lacking.into_iter().map(|(_, it)| it).collect();
        if let Some(path) = path {
            match remember(&path, &permissions) {
                Ok(()) => say(&format!("remembered in {}", path.display())),
                Err(error) => say(&format!(
                    "warning: it cannot be remembered in {}: {error}",
                    path.display()
                )),
            }
        }
        session.options.permissions.extend(permissions);
        Ok(())
    }
}

/// Refuses programs that would run and that the user has not allowed.
fn check_programs(session: &Session, nodes: &[NodeId]) -> Result<(), Failure> {
    let is_named = |nodes: &[NodeId]| !programs(&session.plan, nodes.iter().copied()).is_empty();
    if session.options.allow_programs || !is_named(nodes) {
        return Ok(());
    }
    let lacking = programs(&session.plan, session.to_run(nodes)?);
    if lacking.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = lacking
        .iter()
        .map(|it| format!("`{}` (stage {})", it.command, it.stages.join(", ")))
        .collect();
    Err(Failure::usage(format!(
        "{} runs programs that you have not allowed: {}; nothing was run\nhint: if you trust them, add --allow-programs; SECURITY.md says what they can do",
        session.manifest.path.display(),
        each.join(", ")
    )))
}

/// The user's file.
fn file() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("sert-run").join("endpoints"))
}

fn remembered(path: &Path) -> Result<Vec<Permission>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        // What this user may not read is another one's, as of a program that root started for somebody else.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(Failure::usage(format!(
                "{} cannot be read: {error}",
                path.display()
            )));
        }
    };
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = lines.map(|(number, line)| {
        let wrong =
            |error: NoPermission| Failure::usage(format!("{}:{number}: {error}", path.display()));
        line.parse().map_err(wrong)
    });
    read.collect()
}

fn remember(path: &Path, permissions: &[Permission]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Appended to: another run may remember a server at the same time.
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    let mut text = match file.metadata()?.len() {
        0 => HEAD.to_owned(),
        // A line that somebody left without its end.
        _ => "\n".to_owned(),
    };
    for permission in permissions {
        let _ = writeln!(text, "{permission}");
    }
    file.write_all(text.as_bytes())
}

/// Asks whether the servers may be asked, and takes nothing but a yes for one.
fn agreed(
    manifest: &str,
    lacking: &[(Server, Permission)],
    mut from: impl BufRead,
    mut to: impl Write,
) -> io::Result<bool> {
    let mut text = format!("{manifest} asks a server that you have not allowed yet:\n");
    for (server, permission) in lacking {
        let stages = server.stages.join(", ");
        let _ = writeln!(text, "  {} (stage {stages})", permission.words());
    }
    text += "Allow it, now and in later runs? [y/N] ";
    // A manifest's names must not paint over what is asked.
    write!(to, "{}", escaped(&text))?;
    to.flush()?;
    let mut answer = String::new();
    from.read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn refused(manifest: &str, lacking: &[(Server, Permission)], path: Option<&Path>) -> Failure {
    let each: Vec<String> = (lacking.iter())
        .map(|(server, permission)| {
            format!(
                "{} (stage {})",
                permission.words(),
                server.stages.join(", ")
            )
        })
        .collect();
    let flags: Vec<String> = (lacking.iter())
        .map(|(_, permission)| format!("--allow-endpoint {permission}"))
        .collect();
    let remembered = path.map_or_else(String::new, |path| {
        format!("; a line in {} holds for all runs", path.display())
    });
    Failure::usage(format!(
        "{manifest} asks a server that you have not allowed yet: {}; nothing was sent\nhint: if you trust it, add {}{remembered}",
        each.join("; "),
        flags.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking() -> Vec<(Server, Permission)> {
        let permission: Permission = "api.example:API_KEY".parse().unwrap();
        let server = Server {
            base_url: "https://api.example/v1".into(),
            variable: Some("API_KEY".into()),
            stages: vec!["teacher".into(), "judged".into()],
            lacking: Some(permission.clone()),
        };
        vec![(server, permission)]
    }

    #[test]
    fn nothing_but_a_yes_is_one() {
        for (answer, expected) in [
            ("y\n", true),
            (" YES \n", true),
            ("n\n", false),
            ("\n", false),
            ("", false),
            ("yesterday\n", false),
        ] {
            let mut asked = Vec::new();
            let found = agreed("m\u{1b}.toml", &lacking(), answer.as_bytes(), &mut asked).unwrap();
            assert_eq!(found, expected, "{answer}");
            let asked = String::from_utf8(asked).unwrap();
            assert!(
                asked.contains("  api.example, with the key in API_KEY (stage teacher, judged)\n"),
                "{asked}"
            );
            assert!(!asked.contains('\u{1b}'));
        }
    }

    #[test]
    fn what_was_allowed_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sert-run").join("endpoints");
        assert!(remembered(&path).ok().unwrap().is_empty());
        let each: Vec<Permission> = ["a.example:K", "http://node17"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        remember(&path, &each[..1]).unwrap();
        remember(&path, &each[1..]).unwrap();
        assert_eq!(remembered(&path).ok().unwrap(), each);
        // By hand, without a last line end.
        fs::write(&path, "# mine\n\n  a.example:K").unwrap();
        remember(&path, &each[1..]).unwrap();
        assert_eq!(remembered(&path).ok().unwrap(), each);
        fs::write(&path, "a.example:K\na.example:8000\n").unwrap();
        let Err(Failure::Other { error, .. }) = remembered(&path) else {
            panic!("a port is no permission")
        };
        assert!(error.to_string().contains("endpoints:2: "), "{error}");
    }
}
