//! Writes prompts as a manifest declares them, for one student.
//!
//! No prompt gives the gold answer away but by a declared hint: a template has no place for it, examples are never the
//! question itself, and a question that a template's own text shows is refused by its id, since its answer may follow
//! there.

use std::ops::Range;

use super::few_shot::Shots;
use super::shown::Declared;
use crate::model::{
    ChatSettings, ChatTemplate, ChatTurn, PromptText, Student, StudentTokenizer, chat_prompt,
    chat_training,
};
use crate::stage::{Context, StageError};
use crate::text::{
    Asks, ChatSpec, ChoiceAnswer, Filled, Hint, PromptForm, PromptSpec, Question, Template,
};

/// What marks a template that is written out, where a name could stand.
const JINJA: [&str; 2] = ["{{", "{%"];

/// Makes the prompts of a stage, as its `prompt` says and its student's template and tokenizer have it.
pub(crate) struct Prompter<'a> {
    asking: Asking,
    shots: Option<Shots>,
    declared: Declared,
    tokenizer: &'a StudentTokenizer,
    /// How examples write a multiple-choice answer.
    choice_answer: ChoiceAnswer,
}

enum Asking {
    Form(PromptForm),
    Template(Template),
    Chat(Box<Chat>),
}

/// What is asked by a chat template.
struct Chat {
    template: ChatTemplate,
    system: Option<String>,
    user: Template,
    add_generation_prompt: bool,
    /// Whether the template puts no blank before what the assistant says.
    tight: bool,
}

impl<'a> Prompter<'a> {
    /// Of a stage that asks `student`; examples come in at its port.
    ///
    /// # Errors
    /// The student has no such template, or it cannot be used; no examples come in, and some are wanted.
    pub(crate) fn new<W>(
        spec: &PromptSpec,
        context: &Context<'_>,
        student: &'a Student<W>,
        choice_answer: ChoiceAnswer,
    ) -> Result<Self, StageError> {
        Self::with_shots(spec, Shots::of(spec, context)?, student, choice_answer)
    }

    pub(super) fn with_shots<W>(
        spec: &PromptSpec,
        shots: Option<Shots>,
        student: &'a Student<W>,
        choice_answer: ChoiceAnswer,
    ) -> Result<Self, StageError> {
        let asking = match &spec.asks {
            Asks::Form(form) => Asking::Form(*form),
            Asks::Template(text) => Asking::Template(template("prompt", text)?),
            Asks::Chat(spec) => Asking::Chat(Box::new(Chat::new(spec, student)?)),
        };
        Ok(Self {
            asking,
            shots,
            declared: Declared::of(spec),
            tokenizer: &student.tokenizer,
            choice_answer,
        })
    }

    /// Whether messages are asked, by a chat template.
    pub(crate) fn is_chat(&self) -> bool {
        matches!(self.asking, Asking::Chat(_))
    }

    /// Whether it is one of the paper's forms, whose training texts know no thinking part.
    pub(crate) fn is_form(&self) -> bool {
        matches!(self.asking, Asking::Form(_))
    }

    /// The prompt for `question`.
    ///
    /// # Errors
    /// The chat template fails; there are too few examples; or its text shows the question itself.
    pub(crate) fn prompt(&self, question: &Question, hint: Hint) -> Result<PromptText, StageError> {
        if hint == Hint::None {
            self.declared.refuse_shown(question)?;
        }
        match &self.asking {
            Asking::Chat(chat) => {
                let turns = self.turns(chat, question, hint)?;
                let add = chat.add_generation_prompt;
                let prompt = chat_prompt(&chat.template, self.tokenizer, &turns, add)?;
                Ok(chat.led(prompt))
            }
            // As it was before there was a choice: what a question spells is a token there.
            Asking::Form(form) if self.shots.is_none() => {
                let text = form.prompt(&hint.given(question));
                Ok(text.as_str().into())
            }
            _ => {
                let mut text = Filled::default();
                for example in self.examples(question)? {
                    let (example, answer) = example;
                    let asked = PromptText::of(self.filled(example, Hint::None));
                    let answer = asked.led(&answer).to_owned();
                    text.append(&self.filled(example, Hint::None));
                    text.push_own(&answer);
                    text.push(self.shots.as_ref().map_or("", Shots::separator));
                }
                text.append(&self.filled(question, hint));
                Ok(PromptText::of(text))
            }
        }
    }

    /// The training text of a chat in which the assistant says `content` to `question`, and what of it a loss counts.
    ///
    /// # Errors
    /// As of [`Prompter::prompt`]; or it cannot be told what a loss counts.
    pub(crate) fn chat_training(
        &self,
        question: &Question,
        thought: Option<&str>,
        content: &str,
    ) -> Result<Option<(PromptText, Range<usize>)>, StageError> {
        let Asking::Chat(chat) = &self.asking else {
            return Ok(None);
        };
        self.declared.refuse_shown(question)?;
        let mut turns = self.turns(chat, question, Hint::None)?;
        turns.push(ChatTurn {
            thought: thought.map(own),
            ..ChatTurn::new("assistant", own(content))
        });
        let made = chat_training(&chat.template, self.tokenizer, &turns)?;
        Ok(Some(made))
    }

    /// A chat up to the question.
    fn turns(
        &self,
        chat: &Chat,
        question: &Question,
        hint: Hint,
    ) -> Result<Vec<ChatTurn>, StageError> {
        let mut turns = Vec::new();
        if let Some(system) = &chat.system {
            turns.push(ChatTurn::new("system", fixed(system)));
        }
        for (example, answer) in self.examples(question)? {
            turns.push(ChatTurn::new("user", chat.user.fill(example, Hint::None)));
            turns.push(ChatTurn::new("assistant", own(answer.trim_start())));
        }
        turns.push(ChatTurn::new("user", chat.user.fill(question, hint)));
        Ok(turns)
    }

    /// The examples before `question`, each with its answer.
    fn examples(&self, question: &Question) -> Result<Vec<(&Question, String)>, StageError> {
        let Some(shots) = &self.shots else {
            return Ok(Vec::new());
        };
        let examples = shots.before(question)?.into_iter();
        let answered = |example| (example, shots.answer(example, self.choice_answer));
        Ok(examples.map(answered).collect())
    }

    /// What stands where `question` is asked without a chat.
    fn filled(&self, question: &Question, hint: Hint) -> Filled {
        match &self.asking {
            Asking::Form(form) => own(&form.prompt(&hint.given(question))),
            Asking::Template(template) => template.fill(question, hint),
            Asking::Chat(chat) => chat.user.fill(question, hint),
        }
    }
}

impl Chat {
    fn new<W>(spec: &ChatSpec, student: &Student<W>) -> Result<Self, StageError> {
        let files = student.chat_files()?;
        let written = spec.template.as_deref();
        let written = written.filter(|text| JINJA.iter().any(|mark| text.contains(mark)));
        let (name, source) = match (written, &spec.template) {
            (Some(source), _) => ("prompt.chat.template", source),
            (None, Some(name)) => (name.as_str(), files.template(Some(name))?),
            (None, None) => ("default", files.template(None)?),
        };
        let settings = ChatSettings {
            special_tokens: files.special_tokens.clone(),
            arguments: spec.arguments.clone(),
            today: spec.date.parse()?,
        };
        let mut chat = Self {
            template: ChatTemplate::new(name, source, settings)?,
            system: spec.system.clone(),
            user: template("prompt.chat.user", &spec.user)?,
            add_generation_prompt: spec.add_generation_prompt,
            tight: true,
        };
        chat.tight = chat.is_tight(&student.tokenizer);
        chat.says_what_it_is_told(&student.tokenizer)?;
        Ok(chat)
    }

    /// Whether the template's text has what the system and the user say: one that leaves out the question asks every one the
    /// same. One that takes no such chat says nothing of it here.
    fn says_what_it_is_told(&self, tokenizer: &StudentTokenizer) -> Result<(), StageError> {
        let system = self.system.as_deref();
        let system = system.is_some_and(|text| !text.trim().is_empty());
        let system = system.then_some(("system", "xyzzy"));
        let told: Vec<_> = system.into_iter().chain([("user", "plugh")]).collect();
        let turns = told
            .iter()
            .map(|(role, says)| ChatTurn::new(role, fixed(says)));
        let turns: Vec<ChatTurn> = turns.collect();
        let add = self.add_generation_prompt;
        let Ok(made) = chat_prompt(&self.template, tokenizer, &turns, add) else {
            return Ok(());
        };
        for (role, says) in told.into_iter().rev() {
            if !made.text.to_lowercase().contains(says) {
                let hint = match role {
                    "system" => "put it into `prompt.chat.user`, or take",
                    _ => "take",
                };
                return Err(StageError::Invalid(format!(
                    "the chat template `{}` leaves out what the {role} says\nhint: {hint} a template that writes each message's `content`",
                    self.template.name()
                )));
            }
        }
        Ok(())
    }

    /// Whether the template puts no blank before the answer of a chat. One that takes no such chat says nothing of it here:
    /// what it is asked for says why.
    fn is_tight(&self, tokenizer: &StudentTokenizer) -> bool {
        let turns = [
            ChatTurn::new("user", fixed("a")),
            ChatTurn::new("assistant", fixed("b")),
        ];
        let asked = chat_prompt(&self.template, tokenizer, &turns[..1], true);
        let whole = chat_prompt(&self.template, tokenizer, &turns, false);
        let (Ok(asked), Ok(whole)) = (asked, whole) else {
            return true;
        };
        let answer = whole.text.strip_prefix(&asked.text);
        answer.is_none_or(|answer| !answer.starts_with(' '))
    }

    fn led(&self, prompt: PromptText) -> PromptText {
        PromptText {
            tight: self.tight,
            ..prompt
        }
    }
}

fn template(field: &str, text: &str) -> Result<Template, StageError> {
    Template::new(text).map_err(|error| StageError::Invalid(format!("`{field}`: {error}")))
}

/// Words of the manifest's.
fn fixed(text: &str) -> Filled {
    let mut filled = Filled::default();
    filled.push(text);
    filled
}

/// Words of a data set's or a model's.
fn own(text: &str) -> Filled {
    let mut filled = Filled::default();
    filled.push_own(text);
    filled
}
