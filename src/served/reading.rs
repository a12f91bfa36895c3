//! How probable given texts are to a served student.

use serde_json::Value;

use super::asking::Question;
use super::form::{Ask, ReadAsk, Reading};
use super::{Served, ServedError};
use crate::model::ScoreJob;

/// Jobs of which requests are made at a time: enough that none of the server's places stays empty for long (ours).
const TOGETHER: usize = 512;

/// One request: of which continuation it reads which tokens.
struct Part {
    job: usize,
    continuation: usize,
    /// All that it reads, and from which place on that counts.
    tokens: Vec<u32>,
    from: usize,
}

impl Served<'_> {
    /// Log-probabilities of given continuations, handed on job by job, as [`crate::model::Inference::score`] does.
    ///
    /// # Errors
    /// The server cannot be asked, or leaves out what was asked for.
    pub(crate) fn score(
        &self,
        jobs: &[ScoreJob],
        done: &mut (dyn FnMut(usize, Vec<Vec<f64>>) + Send),
    ) -> Result<(), ServedError> {
        for start in (0..jobs.len()).step_by(TOGETHER) {
            let some = &jobs[start..jobs.len().min(start + TOGETHER)];
            self.score_some(some, &mut |place, scores| done(start + place, scores))?;
        }
        Ok(())
    }

    fn score_some(
        &self,
        jobs: &[ScoreJob],
        done: &mut (dyn FnMut(usize, Vec<Vec<f64>>) + Send),
    ) -> Result<(), ServedError> {
        let parts = self.parts(jobs);
        let mut scores: Vec<Vec<Vec<f64>>> = jobs
            .iter()
            .map(|job| {
                job.continuations
                    .iter()
                    .map(|c| vec![0.0; c.len()])
                    .collect()
            })
            .collect();
        let mut left = vec![0; jobs.len()];
        for part in &parts {
            left[part.job] += 1;
        }
        for (job, left) in left.iter().enumerate() {
            if *left == 0 {
                done(job, std::mem::take(&mut scores[job]));
            }
        }
        let mut fill = |part: &Part, found: Vec<f64>| {
            let behind = jobs[part.job].prompt.len();
            for (token, log_prob) in (part.from - behind..).zip(found) {
                scores[part.job][part.continuation][token] = log_prob;
            }
            left[part.job] -= 1;
            if left[part.job] == 0 {
                done(part.job, std::mem::take(&mut scores[part.job]));
            }
        };
        // Tokens that end within a character, of which a server may tell nothing where they are drawn.
        let mut untold = Vec::new();
        let questions = parts.iter().map(|part| self.question(part)).collect();
        self.ask(questions, &mut |place, body| {
            match self.found(&parts[place], body)? {
                Some(found) => fill(&parts[place], found),
                None => untold.push(place),
            }
            Ok(())
        })?;
        let questions = untold.iter().map(|&place| self.wide(&parts[place]));
        let questions = questions.collect();
        self.ask(questions, &mut |place, body| {
            let part = &parts[untold[place]];
            let wanted = part.tokens[part.from];
            let drawn = (self.form.read)(body).map_err(|what| self.lacks(what))?;
            let found = drawn.best.iter().find(|(token, _)| *token == wanted);
            let (_, log_prob) = found.ok_or_else(|| {
                self.lacks(format!(
                    "the log-probability of the token {wanted} after {} others is not told",
                    part.from
                ))
            })?;
            fill(part, vec![*log_prob]);
            Ok(())
        })
    }

    /// The requests that all jobs take.
    fn parts(&self, jobs: &[ScoreJob]) -> Vec<Part> {
        let mut parts = Vec::new();
        for (
            job,
            ScoreJob {
                prompt,
                continuations,
            },
        ) in jobs.iter().enumerate()
        {
            for (continuation, tokens) in continuations.iter().enumerate() {
                let all = [prompt.as_slice(), tokens].concat();
                let places = match self.form.reading {
                    _ if tokens.is_empty() => continue,
                    Reading::AtOnce { .. } => prompt.len()..prompt.len() + 1,
                    Reading::ByToken { .. } => prompt.len()..all.len(),
                };
                for from in places {
                    let end = match self.form.reading {
                        Reading::AtOnce { .. } => all.len(),
                        Reading::ByToken { .. } => from + 1,
                    };
                    parts.push(Part {
                        job,
                        continuation,
                        tokens: all[..end].to_vec(),
                        from,
                    });
                }
            }
        }
        parts
    }

    fn question(&self, part: &Part) -> Question {
        let model = self.model.as_deref();
        let body = match self.form.reading {
            Reading::AtOnce { ask, .. } => ask(&ReadAsk {
                model,
                tokens: &part.tokens,
                from: part.from,
            }),
            Reading::ByToken { ask } => ask(&part.before(model), part.tokens[part.from], 1),
        };
        Question {
            body,
            prompt: part.tokens.len(),
            most: 1,
        }
    }

    /// Asks for the log-probabilities of all tokens at the place of a part's one.
    fn wide(&self, part: &Part) -> Question {
        self.at_one_place(&part.tokens[..part.from], self.student.tokens)
    }

    /// Asks for the most probable tokens after others.
    pub(super) fn at_one_place(&self, tokens: &[u32], best: usize) -> Question {
        let model = self.model.as_deref();
        let before = ReadAsk {
            model,
            tokens,
            from: tokens.len(),
        };
        let body = match self.form.reading {
            Reading::ByToken { ask } => ask(&before, self.student.plain, best),
            Reading::AtOnce { .. } => (self.form.ask)(&Ask {
                model,
                prompt: tokens,
                max_tokens: 1,
                temperature: 0.0,
                top_k: 0,
                top_p: 1.0,
                seed: 0,
                ends: &self.student.ends,
                best,
            }),
        };
        Question {
            body,
            prompt: tokens.len(),
            most: 1,
        }
    }

    /// The log-probabilities that an answer tells; `None` where it says nothing of a token that it was made to draw.
    fn found(&self, part: &Part, body: &Value) -> Result<Option<Vec<f64>>, ServedError> {
        match self.form.reading {
            Reading::AtOnce { read, .. } => {
                let asked = ReadAsk {
                    model: None,
                    tokens: &part.tokens,
                    from: part.from,
                };
                let found = read(body, &asked).map_err(|what| self.lacks(what))?;
                Ok(Some(found))
            }
            Reading::ByToken { .. } => {
                let drawn = (self.form.read)(body).map_err(|what| self.lacks(what))?;
                let forced = drawn.tokens.first() == Some(&part.tokens[part.from]);
                let known = drawn.log_probs.first().copied().flatten();
                Ok(known.filter(|_| forced).map(|log_prob| vec![log_prob]))
            }
        }
    }
}

impl Part {
    /// What stands before its one token.
    fn before<'p>(&'p self, model: Option<&'p str>) -> ReadAsk<'p> {
        ReadAsk {
            model,
            tokens: &self.tokens[..self.from],
            from: self.from,
        }
    }
}
