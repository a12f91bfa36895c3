//! The judge's prompt.

/// The paper's criteria (Table I), as scores are named.
pub(crate) const CRITERIA: [&str; 4] = [
    "coherence",
    "relevance",
    "logical_consistency",
    "completeness",
];

/// What the paper's criteria mean, in our words.
const MEANINGS: [(&str, &str); 4] = [
    (
        CRITERIA[0],
        "the sentences follow one another as one line of thought",
    ),
    (CRITERIA[1], "it keeps to what is asked"),
    (
        CRITERIA[2],
        "each step follows from what stands before it, and nothing contradicts itself",
    ),
    (
        CRITERIA[3],
        "no step is missing between the question and an answer",
    ),
];

/// The default template: the task, `Question:`, `Response:`, the scores one by one on lines of the paper's
/// form, and a sentence to close (paper, Table I; the words are ours).
const DEFAULT: &str = "\
Below are a question and a response that reasons about it. Judge the reasoning, not whether you would \
have answered so. Give it a score from 0 (worst) to 10 (best) for each criterion:
{criteria}

Question: {question}
Response: {response}

Now give the scores one by one, each on its own line with one number in place of the dots, and close with \
one sentence that sums up your judgement:
{scores}";

/// A prompt with places for a question and a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Template(String);

impl Template {
    /// `own`, or the default one, for `criteria`.
    pub(crate) fn new(own: Option<&str>, criteria: &[String]) -> Self {
        let list = |line: &dyn Fn(&String) -> String| {
            let lines: Vec<String> = criteria.iter().map(line).collect();
            lines.join("\n")
        };
        let meaning = |name: &String| {
            let known = MEANINGS.iter().find(|(known, _)| known == name);
            match known {
                Some((_, meaning)) => format!("- {}: {meaning}.", label(name)),
                None => format!("- {}.", label(name)),
            }
        };
        let score = |name: &String| format!("- Score for {}: [..]", label(name));
        let (criteria, scores) = (list(&meaning), list(&score));
        Self(filled(
            own.unwrap_or(DEFAULT),
            &[("{criteria}", &criteria), ("{scores}", &scores)],
        ))
    }

    /// The prompt for one response.
    pub(crate) fn prompt(&self, question: &str, response: &str) -> String {
        let response = response.trim();
        filled(
            &self.0,
            &[("{question}", question), ("{response}", response)],
        )
    }

    /// What is wrong with a template of one's own, if anything is.
    pub(crate) fn prompt_error(own: &str) -> Option<String> {
        let missing: Vec<&str> = ["{question}", "{response}"]
            .into_iter()
            .filter(|place| !own.contains(place))
            .collect();
        (!missing.is_empty()).then(|| format!("it has no place for {}", missing.join(" and ")))
    }
}

/// A criterion as prompts and replies write it: `logical_consistency` as `Logical Consistency`.
pub(crate) fn label(criterion: &str) -> String {
    let words: Vec<String> = criterion
        .split(['_', '-', ' '])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters).collect()
        })
        .collect();
    words.join(" ")
}

/// `template` with each place filled, in one pass: what is filled in is not looked at again.
fn filled(template: &str, places: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut rest = template;
    loop {
        let next = places
            .iter()
            .filter_map(|(place, value)| Some((rest.find(place)?, *place, *value)))
            .min_by_key(|(at, ..)| *at);
        let Some((at, place, value)) = next else {
            return text + rest;
        };
        text += &rest[..at];
        text += value;
        rest = &rest[at + place.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criteria() -> Vec<String> {
        CRITERIA.map(str::to_owned).to_vec()
    }

    #[test]
    fn the_default_has_the_papers_form() {
        let prompt = Template::new(None, &criteria()).prompt("Do bees fly?", " They do.\n");
        assert!(
            prompt.contains("\nQuestion: Do bees fly?\nResponse: They do.\n"),
            "{prompt}"
        );
        assert!(prompt.ends_with(
            "- Score for Coherence: [..]\n- Score for Relevance: [..]\n- Score for Logical Consistency: [..]\n- Score for Completeness: [..]"
        ));
        assert!(prompt.contains("- Logical Consistency: each step"));
        assert_eq!(Template::prompt_error(DEFAULT), None);
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let template = Template::new(Some("{question}|{response}"), &criteria());
        assert_eq!(
            template.prompt("a {response} b", "{question}"),
            "a {response} b|{question}"
        );
    }

    #[test]
    fn a_template_needs_both_places() {
        let prompt_error = Template::prompt_error("rate this: {response}").unwrap();
        assert!(prompt_error.contains("{question}") && !prompt_error.contains("{response}"));
    }

    #[test]
    fn other_criteria_have_their_lines_too() {
        let own = ["step_count".to_owned()];
        let prompt = Template::new(None, &own).prompt("q", "r");
        assert!(prompt.ends_with("- Score for Step Count: [..]"), "{prompt}");
    }
}
