//! Runs that send stages away, against a queue that runs them in this process, loses them, or does not.

mod simulation;
mod site;

use std::path::PathBuf;

use super::super::job::JobFolder;
use super::super::scheduler::Policy;
use super::claim::Coordinator;
use super::queue::{Left, QueueError};
use site::*;

const ONE: &str =
    "[stages.words]\nkind = 'words'\ncount = 20\n[stages.one]\nkind = 'think'\ntext = 'words'\n";
const TWO: &str = "[stages.words]\nkind = 'words'\ncount = 20\n[stages.one]\nkind = 'think'\ntext = 'words'\n[stages.two]\nkind = 'think'\ntext = 'one'\nnumber = 2\n";

fn expected() -> Vec<String> {
    (0..20).map(|n| format!("word {n}, thought 0")).collect()
}

#[test]
fn stages_go_out_in_parts_and_come_back_whole() {
    let mut site = Site::new(&[]);
    site.cluster.limits.array = 2;
    let ran = site.run("a", TWO);
    assert_eq!(
        ran.outcomes,
        ["words Ran", "one Ran", "two Ran"],
        "{:?}",
        ran.errors
    );
    assert_eq!(ran.text["one"], expected());
    assert_eq!(ran.text["two"][7], "word 7, thought 0, thought 2");
    assert_eq!(ran.started, ["words", "one", "two"]);
    let elements: Vec<usize> = site
        .submissions()
        .iter()
        .map(|it| it.array.0.len())
        .collect();
    assert_eq!(elements, [2, 1, 2, 1]);
    assert_eq!(site.left(), Vec::<PathBuf>::new());
    // What the remote has is done; another machine submits nothing.
    let again = site.run("b", TWO);
    assert_eq!(again.outcomes, ["words Hit", "one Hit", "two Hit"]);
    assert_eq!(site.submissions().len(), 4);
    // As a whole it is the same.
    let mut whole = Site::new(&[]);
    whole.section.defaults.shards = None;
    let ran = whole.run("a", TWO);
    assert_eq!(ran.text["one"], expected());
    assert_eq!((whole.submissions().len(), whole.left().len()), (2, 0));
}

#[test]
fn what_is_lost_is_tried_again_and_more_memory_is_asked_for_where_there_was_too_little() {
    for (fate, note, memory) in [
        (
            Fate::Vanishes(Some(Left::NodeFailed)),
            "its node failed; it is tried again",
            1024,
        ),
        (
            Fate::Vanishes(None),
            "it ended without a word; it is tried again",
            1024,
        ),
        (
            Fate::Vanishes(Some(Left::TimeOver)),
            "its time was over before it had saved",
            1024,
        ),
        (
            Fate::Dies(143, None),
            "ended by signal 15; it is tried again",
            1024,
        ),
        (
            Fate::Dies(143, Some(Left::Preempted)),
            "another job took its node; it is tried again",
            1024,
        ),
        (
            Fate::Dies(-1, None),
            "it ended without a word; it is tried again",
            1024,
        ),
        (
            Fate::Vanishes(Some(Left::OutOfMemory)),
            "with 2048 MiB of memory in place of 1024",
            2048,
        ),
        (
            Fate::Dies(1, Some(Left::OutOfMemory)),
            "it took more memory than it had asked for; it is tried again with 2048 MiB",
            2048,
        ),
        (
            Fate::Dies(137, None),
            "with 2048 MiB of memory in place of 1024",
            2048,
        ),
    ] {
        let site = Site::new(&[(1, fate)]);
        let ran = site.run("a", ONE);
        assert_eq!(
            ran.outcomes,
            ["words Ran", "one Ran"],
            "{fate:?}: {:?}",
            ran.errors
        );
        assert_eq!(ran.text["one"], expected());
        assert_eq!(ran.notes_with(note), 1, "{fate:?}: {:?}", ran.notes);
        let submissions = site.submissions();
        assert_eq!(submissions[1].array.0.len(), 1, "the other parts are done");
        assert_eq!(submissions[1].class.memory_mib, memory);
        assert_eq!(site.left(), Vec::<PathBuf>::new());
    }
}

#[test]
fn what_would_fail_again_is_not_tried_again() {
    let always: Vec<(usize, Fate)> = (0..9)
        .map(|n| (n, Fate::Vanishes(Some(Left::NodeFailed))))
        .collect();
    for (fates, manifest, error, submissions) in [
        (
            &always[..],
            ONE.to_owned(),
            "was lost, the third of 3 tries: its node failed",
            3,
        ),
        (
            &[(0, Fate::Dies(127, None))],
            ONE.to_owned(),
            "ended with code 127 before it had begun:\none\ntwo",
            1,
        ),
        (&[], format!("{ONE}fails = true"), "it cannot think", 1),
    ] {
        let site = Site::new(fates);
        let ran = site.run("a", &manifest);
        assert_eq!(ran.outcomes, ["words Ran", "one Failed"]);
        assert!(ran.errors[0].contains(error), "{:?}", ran.errors);
        assert_eq!(site.submissions().len(), submissions);
    }
    // Somebody took it out of the queue: that is a wish, whether its program could say so or not.
    for fate in [
        Fate::Vanishes(Some(Left::Cancelled)),
        Fate::Dies(143, Some(Left::Cancelled)),
    ] {
        let site = Site::new(&[(2, fate)]);
        assert_eq!(
            site.run("a", ONE).outcomes,
            ["words Ran", "one Interrupted"]
        );
        assert_eq!(site.run("a", ONE).text["one"], expected());
        let numbers: Vec<usize> = site
            .submissions()
            .iter()
            .map(|it| it.array.0.len())
            .collect();
        assert_eq!(numbers, [3, 1], "what was done stays so");
    }
}

#[test]
fn a_run_that_comes_later_finds_what_is_in_the_queue() {
    let mut site = Site::new(&[(0, Fate::Waits("Priority")), (2, Fate::Waits("Priority"))]);
    site.detach = true;
    let ran = site.run("a", TWO);
    assert_eq!(ran.outcomes, ["words Ran", "one Skipped", "two Skipped"]);
    assert_eq!(
        ran.notes_with("3 jobs of 1 stages are left to the queue"),
        1,
        "{:?}",
        ran.notes
    );
    let again = site.run("a", TWO);
    assert_eq!(again.notes_with("jobs of 1 stages are left"), 1);
    assert_eq!(
        again.notes_with("2 jobs wait: others are before it (Slurm: Priority)"),
        1,
        "{:?}",
        again.notes
    );
    assert_eq!(site.submissions().len(), 1);
    site.detach = false;
    site.cluster.fates.clear();
    for (_, job) in &mut site.cluster.state.lock().unwrap().queue {
        job.waits = None;
    }
    let ran = site.run("a", TWO);
    assert_eq!(
        ran.outcomes,
        ["words Hit", "one Ran", "two Ran"],
        "{:?}",
        ran.errors
    );
    assert_eq!(ran.text["one"], expected());
    assert_eq!(
        site.submissions()
            .iter()
            .map(|it| it.array.0.len())
            .collect::<Vec<_>>(),
        [3, 3]
    );
    assert_eq!(site.left(), Vec::<PathBuf>::new());
}

#[test]
fn no_more_is_submitted_than_may_be() {
    let mut many = "[stages.words]\nkind = 'words'\ncount = 5\n".to_owned();
    for n in 0..7 {
        let stage = format!("[stages.t{n}]\nkind = 'think'\ntext = 'words'\nnumber = {n}\n");
        many.push_str(&stage);
    }
    let mut site = Site::new(&[]);
    site.cluster.limits.submitted = Some(4);
    let ran = site.run("a", &many);
    assert_eq!(
        ran.outcomes.iter().filter(|it| it.ends_with("Ran")).count(),
        8,
        "{:?}",
        ran.errors
    );
    assert!(site.cluster.state.lock().unwrap().most <= 4);
    // A limit that only shows when it is met, a controller that is away for a while: it waits.
    let site = Site::new(&[]);
    *site.cluster.says.lock().unwrap() = vec![
        QueueError::Away("no controller".into()),
        QueueError::Full("a limit".into()),
    ];
    let ran = site.run("a", ONE);
    assert_eq!(ran.outcomes, ["words Ran", "one Ran"]);
    assert_eq!(
        (ran.notes_with("a limit"), ran.notes_with("no controller")),
        (1, 1)
    );
    // What it will never do is the stage's failure.
    let site = Site::new(&[]);
    *site.cluster.says.lock().unwrap() = vec![QueueError::Refused("Invalid account".into())];
    let ran = site.run("a", ONE);
    assert_eq!(ran.outcomes, ["words Ran", "one Failed"]);
    assert!(
        ran.errors[0].contains("Invalid account\nhint: it asked for 1 GiB"),
        "{:?}",
        ran.errors
    );
}

#[test]
fn a_run_that_stops_leaves_nothing_behind() {
    // In its first stage, and in its second, when the first is done.
    for (waits, outcomes) in [
        (1, ["words Ran", "one Interrupted", "two Skipped"]),
        (4, ["words Ran", "one Ran", "two Interrupted"]),
    ] {
        let site = Site::new(&[(waits, Fate::Waits("Resources"))]);
        let ran = std::thread::scope(|scope| {
            let running = scope.spawn(|| site.run("a", TWO));
            while !site.cluster.state.lock().unwrap().seen.contains(&waits) {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            site.cancel.cancel();
            running.join().unwrap()
        });
        assert_eq!(ran.outcomes, outcomes);
        assert!(site.cancelled() >= 1);
        assert!(site.cluster.state.lock().unwrap().queue.is_empty());
        assert_eq!(site.left(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_failure_ends_what_waits_where_nothing_more_is_to_be_begun() {
    let manifest = format!("{TWO}[stages.bad]\nkind = 'think'\ntext = 'words'\nfails = true\n");
    let mut site = Site::new(&[(0, Fate::Waits("Resources"))]);
    site.section.defaults.shards = None;
    site.policy = Policy::FailFast;
    let ran = site.run("a", &manifest);
    assert_eq!(
        ran.outcomes,
        ["words Ran", "one Skipped", "two Skipped", "bad Failed"]
    );
    assert_eq!(site.cancelled(), 1);
}

#[test]
fn what_another_run_looks_after_is_waited_for() {
    let site = Site::new(&[]);
    // A run that has claimed the stage, as one would that is at it.
    let key = {
        let mut probe = Site::new(&[
            (0, Fate::Waits("x")),
            (1, Fate::Waits("x")),
            (2, Fate::Waits("x")),
        ]);
        probe.detach = true;
        probe.run("a", ONE);
        probe.submissions().remove(0).array.0[0].key
    };
    let other = Coordinator::new(&site.cluster.jobs).unwrap();
    let folder = JobFolder::of(&site.cluster.jobs, &key);
    assert_eq!(other.claim(&folder).unwrap(), Ok(()));
    let ran = std::thread::scope(|scope| {
        let running = scope.spawn(|| site.run("a", ONE));
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(site.submissions().len(), 0);
        other.close();
        running.join().unwrap()
    });
    assert_eq!(ran.outcomes, ["words Ran", "one Ran"]);
    assert_eq!(
        ran.notes_with("looks after this stage; waiting"),
        1,
        "{:?}",
        ran.notes
    );
}

#[test]
fn an_input_that_is_gone_is_made_again() {
    let mut site = Site::new(&[(0, Fate::Waits("x"))]);
    site.section.defaults.shards = None;
    site.detach = true;
    site.run("a", ONE);
    // The remote loses what the job is to read; here it is sound.
    let lost = site.folder.path().join("remote/objects-v1");
    std::fs::remove_dir_all(&lost).unwrap();
    site.detach = false;
    site.cluster.fates.clear();
    site.cluster.state.lock().unwrap().queue[0].1.waits = None;
    let ran = site.run("a", ONE);
    assert_eq!(ran.outcomes, ["words Hit", "one Ran"], "{:?}", ran.errors);
    assert_eq!(ran.text["one"], expected());
}
