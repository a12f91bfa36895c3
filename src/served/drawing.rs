//! Sequences of a served student, in the form of our own engine's.
//!
//! Each sequence is a request of its own, with a seed from its own random stream: one more draw later asks for that alone, and the
//! server's cache of prompts reads their prompt once. A first token that is given is read as a part of the prompt. Stop
//! rules are ours: a text is cut where one holds, as our own engine ends it there.

use std::collections::BTreeMap;

use super::asking::Question;
use super::form::{Ask, Drawn};
use super::{Served, ServedError};
use crate::model::ScoreJob;
use crate::model::sampling::{
    Expand, FirstTokenCandidate, Generated, GenerationRequest, SequenceSpec, record,
};
use crate::text::{EndReason, LogProbSummary};

/// Prompts whose sequences are asked for together (ours).
const TOGETHER: usize = 256;

/// A sequence that is to be drawn.
struct Wanted {
    prompt_index: usize,
    spec: SequenceSpec,
    /// The log-probability of its given first token.
    first: Option<f64>,
    max_tokens: usize,
}

impl Wanted {
    /// How many tokens are to be drawn, at most.
    fn left(&self) -> usize {
        let given = usize::from(self.spec.forced_first.is_some());
        self.max_tokens.saturating_sub(given)
    }
}

impl Served<'_> {
    /// Generates sequences; see [`crate::model::Inference::generate`].
    ///
    /// # Errors
    /// The server cannot be asked, or leaves out what was asked for.
    pub(crate) fn generate(
        &self,
        request: GenerationRequest<'_>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
    ) -> Result<(), ServedError> {
        let all: Vec<usize> = (0..request.prompts.len()).collect();
        for some in all.chunks(TOGETHER) {
            let first_tokens = self.candidates(&request, some)?;
            let mut wanted = Vec::new();
            for (&prompt_index, candidates) in some.iter().zip(&first_tokens) {
                let specs = expand(prompt_index, candidates);
                wanted.extend(specs.into_iter().map(|spec| {
                    let first = spec.forced_first.and_then(|token| {
                        let found = candidates.iter().find(|each| each.token == token);
                        found.map(|each| each.log_prob)
                    });
                    let length = request.prompts[prompt_index].len();
                    let room = self.student.context.saturating_sub(length);
                    Wanted {
                        prompt_index,
                        spec,
                        first,
                        max_tokens: room.min(request.params.max_new_tokens as usize),
                    }
                }));
            }
            self.know_first(&request, &mut wanted)?;
            self.draw(&request, &wanted, done)?;
        }
        Ok(())
    }

    /// The most probable first tokens of prompts, as many as the request hands on.
    fn candidates(
        &self,
        request: &GenerationRequest<'_>,
        prompts: &[usize],
    ) -> Result<Vec<Vec<FirstTokenCandidate>>, ServedError> {
        if request.candidates == 0 {
            return Ok(vec![Vec::new(); prompts.len()]);
        }
        let texts: Vec<&[u32]> = prompts
            .iter()
            .map(|&place| &*request.prompts[place])
            .collect();
        self.first_tokens(&texts, request.candidates)
    }

    /// The `count` most probable tokens after each text.
    pub(super) fn first_tokens(
        &self,
        texts: &[&[u32]],
        count: usize,
    ) -> Result<Vec<Vec<FirstTokenCandidate>>, ServedError> {
        let questions = texts.iter().map(|text| self.at_one_place(text, count));
        let questions = questions.collect();
        let mut found = vec![Vec::new(); texts.len()];
        self.ask(questions, &mut |place, body| {
            let drawn = (self.form.read)(body).map_err(|what| self.lacks(what))?;
            found[place] = self.best(&drawn, count)?;
            Ok(())
        })?;
        Ok(found)
    }

    /// The `count` best tokens at the first place of what was drawn, of those that the student has.
    pub(super) fn best(
        &self,
        drawn: &Drawn,
        count: usize,
    ) -> Result<Vec<FirstTokenCandidate>, ServedError> {
        let known = drawn.best.iter();
        let known = known.filter(|(token, _)| (*token as usize) < self.student.tokens);
        let best: Vec<FirstTokenCandidate> = (0..)
            .zip(known.take(count))
            .map(|(rank, &(token, log_prob))| FirstTokenCandidate {
                token,
                rank,
                log_prob,
            })
            .collect();
        if best.len() < count.min(self.student.tokens) {
            return Err(self.lacks(format!(
                "the {count} most probable tokens were asked for, and {} came",
                best.len()
            )));
        }
        Ok(best)
    }

    /// Finds out how probable those first tokens are that are no longer among the most probable ones: which they are was
    /// kept from an earlier run, and a server's rounding depends on what it has to do beside.
    fn know_first(
        &self,
        request: &GenerationRequest<'_>,
        wanted: &mut [Wanted],
    ) -> Result<(), ServedError> {
        let unknown = |each: &Wanted| each.first.is_none().then_some(each.spec.forced_first?);
        let mut jobs = Vec::new();
        let mut places = Vec::new();
        for (place, each) in wanted.iter().enumerate() {
            if let Some(token) = unknown(each) {
                places.push(place);
                jobs.push(ScoreJob {
                    prompt: request.prompts[each.prompt_index].clone(),
                    continuations: vec![vec![token]],
                });
            }
        }
        self.score(&jobs, &mut |job, scores| {
            wanted[places[job]].first = scores.first().and_then(|each| each.first()).copied();
        })
    }

    /// Draws what is wanted.
    fn draw(
        &self,
        request: &GenerationRequest<'_>,
        wanted: &[Wanted],
        done: &mut (dyn FnMut(Generated) + Send),
    ) -> Result<(), ServedError> {
        let params = request.params;
        let mut asked = Vec::new();
        let mut questions = Vec::new();
        for each in wanted {
            let given = each.spec.forced_first;
            let left = each.left();
            if left == 0 {
                done(finished(request, each, None, &[]));
                continue;
            }
            let mut prompt = request.prompts[each.prompt_index].clone();
            prompt.extend(given);
            let body = (self.form.ask)(&Ask {
                model: self.model.as_deref(),
                prompt: &prompt,
                max_tokens: left,
                temperature: params.temperature,
                top_k: params.top_k,
                top_p: params.top_p,
                seed: seed(&each.spec),
                ends: &self.student.ends,
                best: 0,
            });
            questions.push(Question {
                body,
                prompt: prompt.len(),
                most: left,
            });
            asked.push(each);
        }
        // Drawn, with tokens whose log-probabilities the server left out.
        let mut partly: BTreeMap<usize, Drawn> = BTreeMap::new();
        self.ask(questions, &mut |place, body| {
            let drawn = (self.form.read)(body).map_err(|what| self.lacks(what))?;
            if let Some(&token) = drawn
                .tokens
                .iter()
                .find(|token| (**token as usize) >= self.student.tokens)
            {
                return Err(self.lacks(format!(
                    "it drew the token {token}, which the student's tokenizer does not have"
                )));
            }
            let most = asked[place].left();
            if drawn.tokens.is_empty() || drawn.tokens.len() > most {
                return Err(self.lacks(format!(
                    "1 to {most} tokens were asked for, and {} came",
                    drawn.tokens.len()
                )));
            }
            let known: Option<Vec<f64>> = drawn.log_probs.iter().copied().collect();
            match known {
                Some(log_probs) => {
                    done(finished(request, asked[place], Some(&drawn), &log_probs));
                }
                None => _ = partly.insert(place, drawn),
            }
            Ok(())
        })?;
        let (places, partly): (Vec<usize>, Vec<Drawn>) = partly.into_iter().unzip();
        let jobs: Vec<ScoreJob> = places
            .iter()
            .zip(&partly)
            .map(|(&place, drawn)| {
                let each = asked[place];
                let mut prompt = request.prompts[each.prompt_index].clone();
                prompt.extend(each.spec.forced_first);
                ScoreJob {
                    prompt,
                    continuations: vec![drawn.tokens.clone()],
                }
            })
            .collect();
        self.score(&jobs, &mut |job, scores| {
            let log_probs = scores.into_iter().next().unwrap_or_default();
            let each = asked[places[job]];
            done(finished(request, each, Some(&partly[job]), &log_probs));
        })
    }
}

/// What was drawn as a sequence: up to the token that ends it, or to where a stop rule holds.
fn finished(
    request: &GenerationRequest<'_>,
    wanted: &Wanted,
    drawn: Option<&Drawn>,
    log_probs: &[f64],
) -> Generated {
    let mut tokens: Vec<u32> = wanted.spec.forced_first.into_iter().collect();
    let mut log_prob = LogProbSummary {
        sum: 0.0,
        count: 0,
        first: 0.0,
        min: 0.0,
    };
    if let Some(first) = wanted.first {
        record(&mut log_prob, first);
    }
    let mut end = EndReason::Length;
    let mut end_token = None;
    let each = drawn.map_or(&[][..], |drawn| &drawn.tokens);
    for (place, (&token, &value)) in each.iter().zip(log_probs).enumerate() {
        record(&mut log_prob, value);
        // The server may know further ends; the last token is then the one that ended it.
        let is_last = place + 1 == each.len();
        let stopped = is_last && drawn.is_some_and(|drawn| drawn.ended);
        if stopped || request.vocabulary.ends().contains(&token) {
            end = EndReason::EndOfText;
            end_token = Some(token);
            break;
        }
        tokens.push(token);
        if request.stop.is_some_and(|stop| stop(&tokens)) {
            end = EndReason::Imitative;
            break;
        }
    }
    Generated {
        prompt_index: wanted.prompt_index,
        tag: wanted.spec.tag,
        tokens,
        log_prob,
        end,
        end_token,
    }
}

/// A server's seed from a sequence's own stream: servers take 31 bits.
fn seed(spec: &SequenceSpec) -> u32 {
    let bytes = spec.stream.as_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) & 0x7fff_ffff
}
