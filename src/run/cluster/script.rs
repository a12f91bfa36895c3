//! The script that an element of an array runs on a node.

use std::path::Path;

use super::queue::Submission;

/// A word as the shell takes it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What a queue calls things on a node.
pub(super) struct Words {
    /// The variable that has the number of an element.
    pub(super) element: &'static str,
    /// The command by which a job is queued again; empty where whoever submitted it does so.
    pub(super) again: &'static str,
}

/// What each element of an array runs.
pub(super) fn script(submission: &Submission, words: &Words) -> String {
    let Submission { jobs, class, .. } = submission;
    let resources = &class.resources;
    let program = resources.program.as_deref();
    let program = program.unwrap_or(&submission.program);
    let threads = resources.cpus.map(|cpus| format!(" --threads {cpus}"));
    let cards = resources.gpus.filter(|gpus| *gpus > 1 && submission.is_gpu);
    let cards = cards.map(|gpus| format!(" --data-parallel {gpus}"));
    let launcher = match &resources.container {
        None => String::new(),
        Some(bundle) if Path::new(bundle).is_dir() => {
            format!("srun --container={} ", quoted(bundle))
        }
        Some(image) => {
            let gpu = if submission.is_gpu { "--nv " } else { "" };
            format!("apptainer exec {gpu}--bind \"$jobs\" {} ", quoted(image))
        }
    };
    format!(
        r#"#!/bin/bash
# Written by sert-run. Element N of this array is line N, from 0, of its list.
jobs={jobs}
read -r key shard attempt part < <(sed -n "$(({element} + 1))p" {list})
folder=$jobs/$key
end=$folder/end-$part.json
shard_of=()
[ "$shard" = - ] || shard_of=(--shard "$shard")
rm -f "$end"
{setup}
{launcher}{program} exec "$folder/job.json" "${{shard_of[@]}}" --attempt "$attempt"{threads}{cards} >> "$folder/log-$part.txt" 2>&1 &
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
    {again}
elif [ "$code" != 0 ] && [ ! -e "$end" ]; then
    printf '{{"version":1,"outcome":"died","exit":%d,"host":"%s"}}\n' "$code" "$(hostname)" > "$end.part" && mv "$end.part" "$end"
fi
exit "$code"
"#,
        jobs = quoted(&jobs.display().to_string()),
        list = quoted(&submission.list().display().to_string()),
        element = words.element,
        again = if words.again.is_empty() {
            ":"
        } else {
            words.again
        },
        threads = threads.unwrap_or_default(),
        cards = cards.unwrap_or_default(),
        setup = resources.setup.join("\n"),
        program = quoted(program),
    )
}

#[cfg(test)]
mod tests {
    use super::super::array::{Array, Element};
    use super::super::class::{Class, Estimate};
    use super::*;
    use crate::key::{Digest, StageKey};
    use crate::manifest::{ClusterSection, JobResources};
    use crate::run::job::Part;
    use crate::stage::Shard;

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
        let resources = JobResources {
            setup: vec!["export FROM_SETUP=yes".into()],
            cpus: Some(2),
            gpus: Some(4),
            ..JobResources::default()
        };
        let class = Class::new(resources, Estimate::default(), &ClusterSection::default()).unwrap();
        let words = Words {
            element: "ELEMENT",
            again: r#"scontrol requeue "$JOB""#,
        };
        let run = |program: &str| {
            let program = command("program", program);
            let submission = Submission {
                array: array.clone(),
                class: class.clone(),
                jobs: jobs.clone(),
                program,
                warning_s: 120,
                is_gpu: true,
            };
            let text = script(&submission, &words);
            let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
            let status = std::process::Command::new("bash")
                .args(["-c", &text])
                .env("PATH", path)
                .env("ELEMENT", "0")
                .env("JOB", "17")
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
            format!(
                "exec {} --shard 1/2 --attempt 3 --threads 2 --data-parallel 4 yes\n",
                job.display()
            )
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
