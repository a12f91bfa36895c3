//! What a stage spent, over all runs that it takes: a journal beside its unfinished work.
//!
//! A line is written before a request is sent and another when its fate is known, so that after
//! `kill -9` nothing that may have been billed is forgotten: a request without a fate counts as it was
//! estimated. Five restarts do not spend five budgets. What the server reports replaces the estimate.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Budget, EndpointError, EndpointErrorKind, Price, Tokens};
use crate::beneath;

/// One entry of the journal, a line.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Entry {
    /// The request of this number goes out and costs at most so much.
    Sent(u64, Tokens),
    /// It was answered or refused and cost so much, as the server says, or else as it was estimated.
    Done(u64, Option<Tokens>),
    /// It failed or was empty, and is sent again.
    Failed(u64, Billed),
}

/// What a failed request cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Billed {
    /// Nothing: the server refused it, or never saw it.
    No,
    /// As it was estimated, for it may have been answered.
    Perhaps,
    /// This, as the server says.
    As(Tokens),
}

/// What was spent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Of these, answered or refused for good.
    pub replies_of_its_own: u64,
    /// Tokens that the server says it counted.
    pub reported: Tokens,
    /// Tokens of requests that may have been billed and of which the server says nothing, estimated.
    pub estimated: Tokens,
}

impl Spent {
    /// Tokens, reported and estimated.
    pub(crate) fn tokens(&self) -> Tokens {
        let mut all = self.reported;
        all += self.estimated;
        all
    }
}

/// Why a request may not go out.
#[derive(Debug)]
pub(super) enum Shortage {
    /// It may fit once requests in flight are over.
    ForNow,
    /// It does not fit.
    Spent(EndpointErrorKind),
}

/// What one stage spent, and its limits.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    path: PathBuf,
    next: u64,
    totals: Totals,
    /// Requests below this number are of earlier runs.
    first: u64,
    budget: Budget,
    price: Option<Price>,
}

/// What the journal's lines add up to.
#[derive(Debug, Default)]
struct Totals {
    /// Requests whose fate is known.
    settled: Spent,
    /// What the others may cost.
    open: BTreeMap<u64, Tokens>,
}

impl Ledger {
    /// Opens the journal at `path`, made if needed, and counts what is in it.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(super) fn open(
        path: &Path,
        budget: Budget,
        price: Option<Price>,
    ) -> Result<Self, EndpointError> {
        let failed = |source| journal(path, source);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        beneath::share(path);
        let mut totals = Totals::default();
        let mut next = 0;
        for line in BufReader::new(&file).lines() {
            // A line that a kill or a power cut left unfinished is none.
            let Ok(entry) = serde_json::from_str::<Entry>(&line.map_err(failed)?) else {
                continue;
            };
            let (Entry::Sent(number, _) | Entry::Done(number, _) | Entry::Failed(number, _)) =
                entry;
            next = next.max(number + 1);
            totals.count(entry);
        }
        // So that an unfinished line does not run into the next one.
        file.write_all(b"\n").map_err(failed)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            next,
            totals,
            first: next,
            budget,
            price,
        })
    }

    /// What was spent. Requests in flight count as requests, and as tokens only once their fate is
    /// known; those of earlier runs whose fate is not known count as they were estimated.
    pub(super) fn spent(&self) -> Spent {
        let mut spent = self.totals.settled;
        for estimate in self
            .totals
            .open
            .range(..self.first)
            .map(|(_, tokens)| tokens)
        {
            spent.estimated += *estimate;
        }
        spent
    }

    /// Its cost in US dollars, where the price is known.
    pub(super) fn usd(&self) -> Option<f64> {
        Some(self.price?.usd(self.spent().tokens()))
    }

    /// Reserves a request of at most `tokens`, and gives its number.
    ///
    /// # Errors
    /// It may not fit the budget (inner), or the journal cannot be written (outer).
    pub(super) fn reserve(
        &mut self,
        tokens: Tokens,
    ) -> Result<Result<u64, Shortage>, EndpointError> {
        if let Some(short) = self.shortage(tokens) {
            return Ok(Err(short));
        }
        let number = self.next;
        self.next += 1;
        self.write(Entry::Sent(number, tokens))?;
        Ok(Ok(number))
    }

    /// The request was answered or refused, and cost `usage`, as the server says.
    pub(super) fn done(&mut self, number: u64, usage: Option<Tokens>) -> Result<(), EndpointError> {
        self.write(Entry::Done(number, usage))
    }

    /// The request failed.
    pub(super) fn failed(&mut self, number: u64, billed: Billed) -> Result<(), EndpointError> {
        self.write(Entry::Failed(number, billed))
    }

    /// How many of `requests`, sent together, fit the budget.
    ///
    /// # Errors
    /// Not even one does.
    pub(super) fn room(&self, requests: &[Tokens]) -> Result<usize, EndpointErrorKind> {
        let mut before = self.spent().tokens();
        for (place, tokens) in requests.iter().enumerate() {
            match self.exceeded(before, place as u64, *tokens) {
                Some(why) if place == 0 => return Err(why),
                Some(_) => return Ok(place),
                None => before += *tokens,
            }
        }
        Ok(requests.len())
    }

    /// Why one more request of `tokens` does not fit, if it does not.
    fn shortage(&self, tokens: Tokens) -> Option<Shortage> {
        let mut reserved = self.spent().tokens();
        if let Some(why) = self.exceeded(reserved, 0, tokens) {
            return Some(Shortage::Spent(why));
        }
        // What is in flight is reserved at its most; it may turn out to cost less.
        for estimate in self
            .totals
            .open
            .range(self.first..)
            .map(|(_, tokens)| tokens)
        {
            reserved += *estimate;
        }
        self.exceeded(reserved, 0, tokens).map(|_| Shortage::ForNow)
    }

    /// The limit that one more request of `tokens` would exceed after `before` and so many `requests`
    /// that are not reserved yet.
    fn exceeded(&self, before: Tokens, requests: u64, tokens: Tokens) -> Option<EndpointErrorKind> {
        let mut after = before;
        after += tokens;
        let over = |field, spent: String, limit: String| {
            Some(EndpointErrorKind::Budget {
                field,
                spent,
                limit,
            })
        };
        let sent = self.totals.settled.requests + requests;
        if let Some(most) = self.budget.requests.filter(|&most| sent >= most) {
            return over("requests", sent.to_string(), most.to_string());
        }
        if let Some(most) = self.budget.tokens.filter(|&most| after.total() > most) {
            return over("tokens", before.total().to_string(), most.to_string());
        }
        let (most, price) = (self.budget.usd?, self.price?);
        if price.usd(after) <= most {
            return None;
        }
        over("usd", format!("{:.4}", price.usd(before)), most.to_string())
    }

    fn write(&mut self, entry: Entry) -> Result<(), EndpointError> {
        let mut text = serde_json::to_string(&entry).expect("numbers are JSON");
        text.push('\n');
        // One call, so that a kill leaves a whole line or none.
        // Not synced: the system keeps what was written when the process is killed; only a power cut may take it.
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| journal(&self.path, source))?;
        self.totals.count(entry);
        Ok(())
    }
}

impl Totals {
    fn count(&mut self, entry: Entry) {
        let (settled, open) = (&mut self.settled, &mut self.open);
        match entry {
            Entry::Sent(number, estimate) => {
                settled.requests += 1;
                open.insert(number, estimate);
            }
            // A batch that is collected again tells again what it told before.
            Entry::Done(number, usage) => {
                if let Some(estimate) = open.remove(&number) {
                    settled.replies_of_its_own += 1;
                    match usage {
                        Some(usage) => settled.reported += usage,
                        None => settled.estimated += estimate,
                    }
                }
            }
            Entry::Failed(number, billed) => {
                if let Some(estimate) = open.remove(&number) {
                    match billed {
                        Billed::No => {}
                        Billed::Perhaps => settled.estimated += estimate,
                        Billed::As(usage) => settled.reported += usage,
                    }
                }
            }
        }
    }
}

fn journal(path: &Path, source: std::io::Error) -> EndpointError {
    EndpointError::from(EndpointErrorKind::Journal {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price {
        prompt_usd_per_million: 1.0,
        completion_usd_per_million: 10.0,
    };

    fn tokens(prompt: u64, completion: u64) -> Tokens {
        Tokens { prompt, completion }
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn open(&self, budget: Budget) -> Ledger {
            Ledger::open(&self.0.path().join("spent.jsonl"), budget, Some(PRICE)).unwrap()
        }
    }

    #[test]
    fn a_killed_run_forgets_nothing_that_may_have_been_billed() {
        let folder = Folder::new();
        let mut ledger = folder.open(Budget::default());
        let numbers: Vec<u64> = (0..4)
            .map(|_| ledger.reserve(tokens(10, 100)).unwrap().unwrap())
            .collect();
        ledger.done(numbers[0], Some(tokens(8, 20))).unwrap();
        ledger.failed(numbers[1], Billed::No).unwrap();
        ledger.failed(numbers[2], Billed::Perhaps).unwrap();
        drop(ledger); // the fourth is in flight
        std::fs::OpenOptions::new()
            .append(true)
            .open(folder.0.path().join("spent.jsonl"))
            .unwrap()
            .write_all(b"{\"sent\":[9")
            .unwrap();
        let mut again = folder.open(Budget::default());
        let spent = again.spent();
        assert_eq!((spent.requests, spent.replies_of_its_own), (4, 1));
        assert_eq!(spent.reported, tokens(8, 20));
        assert_eq!(spent.estimated, tokens(20, 200));
        assert!((again.usd().unwrap() - 28e-6 - 2200e-6).abs() < 1e-12);
        // A late line of the old run would not be mistaken for one of this run.
        assert_eq!(again.reserve(tokens(1, 1)).unwrap().unwrap(), 4);
        assert_eq!(folder.open(Budget::default()).spent().requests, 5);
    }

    #[test]
    fn a_budget_is_never_exceeded_and_counts_what_was_spent_before() {
        let folder = Folder::new();
        let budget = |tokens| Budget {
            tokens: Some(tokens),
            ..Budget::default()
        };
        let mut ledger = folder.open(budget(250));
        let first = ledger.reserve(tokens(10, 100)).unwrap().unwrap();
        let second = ledger.reserve(tokens(10, 100)).unwrap().unwrap();
        assert!(matches!(
            ledger.reserve(tokens(10, 100)).unwrap(),
            Err(Shortage::ForNow)
        ));
        ledger.done(first, Some(tokens(10, 20))).unwrap();
        ledger.done(second, Some(tokens(10, 90))).unwrap();
        let third = ledger.reserve(tokens(10, 100)).unwrap().unwrap();
        ledger.done(third, Some(tokens(10, 90))).unwrap();
        let Err(Shortage::Spent(why)) = ledger.reserve(tokens(10, 100)).unwrap() else {
            panic!("230 of 250 are spent")
        };
        assert!(why.to_string().contains("230 of 250"), "{why}");
        assert!(matches!(
            folder.open(budget(250)).reserve(tokens(10, 100)).unwrap(),
            Err(Shortage::Spent(_))
        ));
        assert!(
            folder
                .open(budget(400))
                .reserve(tokens(10, 100))
                .unwrap()
                .is_ok()
        );
    }

    #[test]
    fn dollars_and_requests_are_limits_too() {
        let folder = Folder::new();
        let dollars = Budget {
            usd: Some(0.0011),
            ..Budget::default()
        };
        let mut ledger = folder.open(dollars);
        let first = ledger.reserve(tokens(100, 100)).unwrap().unwrap(); // 0.0011 dollars
        assert!(matches!(
            ledger.reserve(tokens(1, 0)).unwrap(),
            Err(Shortage::ForNow)
        ));
        ledger.done(first, None).unwrap();
        assert!(matches!(
            ledger.reserve(tokens(1, 0)).unwrap(),
            Err(Shortage::Spent(_))
        ));
        let requests = Budget {
            requests: Some(1),
            ..Budget::default()
        };
        assert!(matches!(
            folder.open(requests).reserve(tokens(1, 0)).unwrap(),
            Err(Shortage::Spent(_))
        ));
    }
}
