//! A template's source, made ready for the engine: two things are written otherwise, and columns of errors stay its own.
//!
//! - `{% generation %}` ... `{% endgeneration %}`, where the assistant's text stands, is no tag of the engine. It becomes a
//!   filter in a scope of its own: `{% with %}{% filter _a_ %}` ... `{% endfilter %}{% endwith %}`, with the tag's own
//!   whitespace control. As in transformers, where it is a call block, what is set within is not seen behind it. The
//!   filter changes nothing; the engine says where its text went.
//! - `{% set NAME.ATTRIBUTE = VALUE %}` becomes `{% set NAME.ATTRIBUTE = (VALUE) | _b_ %}`, where the filter refuses a
//!   namespace: one that holds itself has no end, and printing it would end the process.
//!
//! A tag that is longer than any template has is refused here: the engine compiles what stands in it by recursion, one call
//! for each operator.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Kwargs, Object, ObjectRepr, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

/// A source for the engine.
#[derive(Clone, Debug)]
pub(super) struct Rewritten {
    /// What the engine reads.
    pub(super) source: String,
    /// Whether there are `{% generation %}` tags.
    pub(super) marks: bool,
    /// The filter that stands for them.
    pub(super) generation: String,
    /// The filter of what a namespace is given.
    pub(super) kept: String,
    /// Where what was put in ends, and by how many bytes it is longer than what it replaced.
    grown: Vec<(usize, usize)>,
}

const OPENS: &str = "generation";
const CLOSES: &str = "endgeneration";

/// Bytes of one tag at most (ours), less strings and blanks. Published templates have up to 300; each byte may be an operator
/// that lies in the one before.
pub(super) const LONGEST_TAG: usize = 4096;
const TOO_LONG: &str = "a tag of more than 4096 bytes beside its strings, accepted: up to that";

/// Rewrites `source`.
///
/// # Errors
/// `{% generation %}` without its counterpart, or a tag that is too long: where, and what is wrong.
pub(super) fn rewrite(source: &str) -> Result<Rewritten, (usize, &'static str)> {
    let mut unused = ('a'..='z')
        .map(|letter| format!("_{letter}_"))
        .filter(|name| !source.contains(name.as_str()));
    let mut name = || unused.next().unwrap_or_else(|| "_0_".to_owned());
    let (generation, kept) = (name(), name());
    let mut open = Vec::new();
    let mut marks = false;
    let mut out = String::with_capacity(source.len());
    let mut grown = Vec::new();
    let mut end = 0;
    let mut put = |range: Range<usize>, instead: &str| {
        out += &source[end..range.start];
        out += instead;
        grown.push((out.len(), instead.len() - range.len()));
        end = range.end;
    };
    for tag in tags(source)? {
        match &source[tag.name.clone()] {
            OPENS => {
                marks = true;
                open.push(tag.name.start);
                put(tag.name, &format!("with %}}{{% filter {generation}"));
            }
            CLOSES => {
                let opened = open.pop();
                opened.ok_or((tag.name.start, "`endgeneration` without `generation`"))?;
                put(tag.name, "endfilter %}{% endwith");
            }
            _ => {
                if let Some(value) = value_of_attribute(source, &tag) {
                    put(value.start..value.start, "(");
                    put(value.end..value.end, &format!(") | {kept}"));
                }
            }
        }
    }
    if let Some(start) = open.pop() {
        return Err((start, "`generation` without `endgeneration`"));
    }
    out += &source[end..];
    Ok(Rewritten {
        source: out,
        marks,
        generation,
        kept,
        grown,
    })
}

/// Where the value stands that a `set` tag gives to an attribute, if it does.
fn value_of_attribute(source: &str, tag: &Tag) -> Option<Range<usize>> {
    let inside = &source[tag.name.end..tag.end];
    let inside = inside.strip_suffix("%}")?;
    let inside = inside.strip_suffix(['-', '+']).unwrap_or(inside);
    let (target, value) = inside.split_once('=')?;
    if !target.contains('.') || target.contains('|') || value.starts_with('=') {
        return None;
    }
    let end = tag.name.end + inside.len();
    Some(end - value.len()..end)
}

impl Rewritten {
    /// The column of an offset, as in the source before it was rewritten: from 1, in characters.
    pub(super) fn column(&self, at: usize) -> Option<usize> {
        let before = self.source.get(..at)?;
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let grown = self
            .grown
            .iter()
            .filter(|(end, _)| (line..=at).contains(end));
        let by: usize = grown.map(|(_, by)| by).sum();
        Some(
            (before[line..].chars().count() + 1)
                .saturating_sub(by)
                .max(1),
        )
    }
}

/// A tag: where its name stands, and its end.
struct Tag {
    name: Range<usize>,
    end: usize,
}

/// The tags that are rewritten: not those in comments, strings, or raw text. What ends a tag, a comment and raw text is what
/// ends it for the engine, or a tag that is too long could be hidden from this.
///
/// # Errors
/// A tag is too long: where.
fn tags(source: &str) -> Result<Vec<Tag>, (usize, &'static str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = source[at..].find('{').map(|open| at + open) {
        let inside = open + 2;
        let behind = |from, end| behind(source, from, end).ok_or((open, TOO_LONG));
        at = match source.as_bytes().get(open + 1) {
            Some(b'#') => source[inside..]
                .find("#}")
                .map_or(source.len(), |end| inside + end + 2),
            Some(b'{') => behind(inside, "}}")?,
            Some(b'%') => {
                let (name, alone) = tag_name(source, inside);
                match &source[name.clone()] {
                    "raw" if alone => behind_raw(source, name.end),
                    known => {
                        let taken = known == "set" || (alone && [OPENS, CLOSES].contains(&known));
                        let end = behind(inside, "%}")?;
                        if taken {
                            found.push(Tag { name, end });
                        }
                        end
                    }
                }
            }
            _ => open + 1,
        };
    }
    Ok(found)
}

/// The name at the head of a tag, and whether it is all there is in it.
fn tag_name(source: &str, inside: usize) -> (Range<usize>, bool) {
    let text = &source[inside..];
    let head = text.strip_prefix(['-', '+']).unwrap_or(text);
    let head = head.trim_ascii_start();
    let start = source.len() - head.len();
    let len = head
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(head.len());
    let tail = head[len..].trim_ascii_start();
    let tail = tail.strip_prefix(['-', '+']).unwrap_or(tail);
    (start..start + len, tail.starts_with("%}"))
}

/// Behind the next `end` that is not within a string or brackets; `None` where it comes too late.
fn behind(source: &str, from: usize, end: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let (mut quote, mut brackets, mut length) = (None, 0_i64, 0);
    let mut at = from;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, _) if brackets == 0 && bytes[at..].starts_with(end.as_bytes()) => {
                return Some(at + end.len());
            }
            (None, byte) => {
                match byte {
                    b'"' | b'\'' => quote = Some(byte),
                    b'(' | b'[' | b'{' => brackets += 1,
                    b')' | b']' | b'}' => brackets -= 1,
                    _ => {}
                }
                length += usize::from(!byte.is_ascii_whitespace());
                if length > LONGEST_TAG {
                    return None;
                }
            }
        }
        at += 1;
    }
    Some(source.len())
}

fn behind_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(open) = source[at..].find("{%").map(|open| at + open) {
        at = open + 2;
        let (name, alone) = tag_name(source, at);
        if alone && source[name.clone()] == *"endraw" {
            let end = source[name.end..].find("%}");
            return end.map_or(source.len(), |end| name.end + end + 2);
        }
    }
    source.len()
}

/// Counts the blocks of one text.
#[derive(Debug, Default)]
pub(super) struct Generation {
    /// Blocks that wrote something.
    written: AtomicUsize,
}

impl Generation {
    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }
}

impl Object for Generation {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// The filter of `{% generation %}`: counts, by the [`Generation`] that the text's context has under `name`, and gives
/// the text back.
pub(super) fn generation(name: String) -> impl Fn(&State<'_, '_>, Value) -> Value {
    move |state: &State<'_, '_>, text: Value| {
        let count = state
            .lookup(&name)
            .and_then(|value| value.downcast_object::<Generation>());
        if let Some(count) = count
            && text.as_str().is_some_and(|text| !text.is_empty())
        {
            count.written.fetch_add(1, Ordering::Relaxed);
        }
        text
    }
}

/// What tells a namespace from a dict: no template can write it.
const MARK: &str = "\0namespace";

/// The function `namespace`, whose values can be told from dicts.
pub(super) fn namespace(args: &[Value]) -> Result<Value, Error> {
    let (given, kwargs): (Option<Value>, Kwargs) = from_args(args)?;
    let mut attributes: Vec<(Value, Value)> = vec![(Value::from(MARK), Value::from(()))];
    let mut take = |from: &Value| -> Result<(), Error> {
        for key in from.try_iter()? {
            attributes.push((key.clone(), from.get_item(&key)?));
        }
        Ok(())
    };
    if let Some(given) = given {
        if given.kind() != ValueKind::Map {
            let expected = "namespace: a dict or named arguments were expected";
            return Err(Error::new(ErrorKind::InvalidOperation, expected));
        }
        take(&given)?;
    }
    take(&Value::from(kwargs))?;
    let defaults = [Value::from_pairs(attributes)];
    minijinja::functions::namespace(
        from_args::<(Option<minijinja::value::ValueOrKwargs>,)>(&defaults)?.0,
    )
}

/// The filter of what a namespace is given: refuses namespaces, however deep they lie in it.
pub(super) fn kept(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    let mut open = vec![value.clone()];
    while let Some(one) = open.pop() {
        let map = one.kind() == ValueKind::Map;
        if map && !one.get_attr(MARK)?.is_undefined() {
            let refused = "a namespace cannot be kept in a namespace";
            return Err(Error::new(ErrorKind::InvalidOperation, refused));
        }
        if map
            || (matches!(one.kind(), ValueKind::Seq | ValueKind::Iterable) && one.len().is_some())
        {
            for item in one.try_iter()? {
                state.consume_fuel(1)?;
                open.push(if map { one.get_item(&item)? } else { item });
            }
        }
    }
    Ok(value)
}
