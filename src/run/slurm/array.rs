//! Arrays of jobs: which element does what, as a file, and the script that each element runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::job::{Part, write};
use super::commands::NAME;
use crate::disk;
use crate::key::{Digest, StageKey};
use crate::manifest::SlurmResources;

/// What one element of an array does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Element {
    pub(super) key: StageKey,
    pub(super) part: Part,
}

/// The elements of an array in their order. Its name is made from them: whoever finds it in the queue finds them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Array(pub(super) Vec<Element>);

impl Array {
    fn text(&self) -> String {
        let mut text = String::new();
        for Element { key, part } in &self.0 {
            let shard = part
                .shard
                .map_or_else(|| "-".to_owned(), |shard| shard.to_string());
            let _ = writeln!(text, "{key} {shard} {} {part}", part.attempt);
        }
        text
    }

    pub(super) fn name(&self) -> String {
        let digest = Digest::of(self.text().as_bytes()).to_string();
        format!("{NAME}{}", &digest[..24])
    }

    /// Where the list of an array lies.
    pub(super) fn path(jobs: &Path, name: &str) -> PathBuf {
        jobs.join("arrays").join(format!("{name}.txt"))
    }

    pub(super) fn save(&self, jobs: &Path) -> std::io::Result<()> {
        write(&Self::path(jobs, &self.name()), self.text().as_bytes())
    }

    /// The elements of all arrays whose lists are no older than `age`.
    pub(super) fn recent(jobs: &Path, age: Duration) -> BTreeSet<Element> {
        let mut recent = BTreeSet::new();
        for entry in std::fs::read_dir(jobs.join("arrays"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|since| since > age));
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".txt"));
            if let (Some(name), false) = (name, is_old) {
                let array = Self::load(jobs, name);
                recent.extend(array.into_iter().flat_map(|array| array.0));
            }
        }
        recent
    }

    /// The array of this name; `None` where its list is not here: it is another run's.
    pub(super) fn load(jobs: &Path, name: &str) -> Option<Self> {
        let bytes = disk::read(&Self::path(jobs, name)).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let elements: Option<Vec<Element>> = text.lines().map(element).collect();
        let array = Self(elements?);
        (array.name() == name).then_some(array)
    }
}

fn element(line: &str) -> Option<Element> {
    let mut words = line.split(' ');
    let key = StageKey(words.next()?.parse().ok()?);
    let shard = match words.next()? {
        "-" => None,
        shard => Some(shard.parse().ok()?),
    };
    let attempt = words.next()?.parse().ok()?;
    Some(Element {
        key,
        part: Part { shard, attempt },
    })
}

/// A word as the shell takes it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What each element of the array called `name` runs.
pub(super) fn script(
    jobs: &Path,
    name: &str,
    resources: &SlurmResources,
    program: &str,
    gpu: bool,
) -> String {
    let program = resources.program.as_deref().unwrap_or(program);
    let launcher = match &resources.container {
        None => String::new(),
        Some(bundle) if Path::new(bundle).is_dir() => {
            format!("srun --container={} ", quoted(bundle))
        }
        Some(image) => {
            let gpu = if gpu { "--nv " } else { "" };
            format!("apptainer exec {gpu}--bind \"$jobs\" {} ", quoted(image))
        }
    };
    format!(
        r#"#!/bin/bash
# Written by sert-run. Element N of this array is line N, from 0, of its list.
jobs={jobs}
read -r key shard attempt part < <(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {list})
folder=$jobs/$key
end=$folder/end-$part.json
shard_of=()
[ "$shard" = - ] || shard_of=(--shard "$shard")
rm -f "$end"
{setup}
{launcher}{program} exec "$folder/job.json" "${{shard_of[@]}}" --attempt "$attempt" >> "$folder/log-$part.txt" 2>&1 &
child=$!
trap 'kill -USR1 "$child" 2> /dev/null' USR1
trap 'kill -TERM "$child" 2> /dev/null' TERM INT
while :; do
    wait "$child"
    code=$?
    # A signal ends the wait, and not the job.
    if [ "$code" -le 128 ] || ! kill -0 "$child" 2> /dev/null; then break; fi
done
if [ "$code" -gt 128 ]; then
    wait "$child"
    code=$?
fi
if [ "$code" = 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
elif [ "$code" != 0 ] && [ ! -e "$end" ]; then
    printf '{{"version":1,"outcome":"died","exit":%d,"host":"%s"}}\n' "$code" "$(hostname)" > "$end.part" && mv "$end.part" "$end"
fi
exit "$code"
"#,
        jobs = quoted(&jobs.display().to_string()),
        list = quoted(&Array::path(jobs, name).display().to_string()),
        setup = resources.setup.join("\n"),
        program = quoted(program),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Shard;

    #[test]
    fn an_array_is_found_by_its_name() {
        let jobs = tempfile::tempdir().unwrap();
        let key = StageKey(Digest::of(b"a"));
        let part = |shard, attempt| Part { shard, attempt };
        let mut elements = vec![Element {
            key,
            part: part(None, 2),
        }];
        elements.extend(Shard::all(3).map(|shard| Element {
            key,
            part: part(Some(shard), 1),
        }));
        let array = Array(elements);
        array.save(jobs.path()).unwrap();
        assert_eq!(Array::load(jobs.path(), &array.name()), Some(array.clone()));
        assert_eq!(Array::load(jobs.path(), "sert-run-x"), None);
        std::fs::write(Array::path(jobs.path(), &array.name()), "other").unwrap();
        assert_eq!(Array::load(jobs.path(), &array.name()), None);
    }

    /// What the script makes of a program that ends so, run by a shell with commands of its own.
    #[cfg(unix)]
    #[test]
    fn the_script_passes_on_what_it_is_told_and_says_how_the_program_ended() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let jobs = folder.path().join("it's");
        let key = StageKey(Digest::of(b"a"));
        let shard: Shard = "1/2".parse().unwrap();
        let part = Part {
            shard: Some(shard),
            attempt: 3,
        };
        let array = Array(vec![Element { key, part }]);
        array.save(&jobs).unwrap();
        let home = jobs.join(key.to_string());
        std::fs::create_dir_all(&home).unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let command = |name: &str, text: &str| {
            let path = bin.join(name);
            std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path.display().to_string()
        };
        command("scontrol", r#"echo "$@" > "$(dirname "$0")/requeued""#);
        let resources = SlurmResources {
            setup: vec!["export FROM_SETUP=yes".into()],
            ..SlurmResources::default()
        };
        let run = |program: &str| {
            let program = command("program", program);
            let text = script(&jobs, &array.name(), &resources, &program, false);
            let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
            let status = std::process::Command::new("bash")
                .args(["-c", &text])
                .env("PATH", path)
                .env("SLURM_ARRAY_TASK_ID", "0")
                .env("SLURM_JOB_ID", "17")
                .status();
            status.unwrap().code()
        };
        let log = home.join("log-1of2-3.txt");
        let end = home.join("end-1of2-3.json");
        assert_eq!(run(r#"echo "$@" $FROM_SETUP"#), Some(0));
        let said = std::fs::read_to_string(&log).unwrap();
        let job = home.join("job.json");
        assert_eq!(
            said,
            format!("exec {} --shard 1/2 --attempt 3 yes\n", job.display())
        );
        assert!(!end.exists());
        assert_eq!(run("exit 9"), Some(9));
        let died = super::super::super::job::End::read(&end).unwrap();
        assert_eq!(
            (died.outcome, died.exit),
            (super::super::super::job::EndOutcome::Died, 9)
        );
        assert_eq!(run("kill -9 $$"), Some(137));
        // Slurm's warning goes to the script, which is not to end before the program has saved.
        let saves = r#"trap 'touch "$0.saved"; sleep 0.3; exit 75' USR1
            (sleep 0.3; kill -USR1 $PPID) & for i in $(seq 100); do sleep 0.1; done"#;
        assert_eq!(run(saves), Some(75));
        assert!(bin.join("program.saved").exists());
        assert_eq!(
            std::fs::read_to_string(bin.join("requeued")).unwrap(),
            "requeue 17\n"
        );
        assert!(
            !end.exists(),
            "the earlier end is gone, and a saved job has one of its own"
        );
    }
}
