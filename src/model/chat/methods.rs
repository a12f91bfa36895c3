//! Python's methods of strings, dicts and lists, as templates call them.
//!
//! A list or dict is never changed: transformers' sandbox refuses `append`, `update` and their like, and they are unknown
//! here. Digits and letters beyond ASCII are told by Unicode's classes, as Rust knows them.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Tuple, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

use super::strings;

/// Calls `method` of `value`.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => of_string(state, value.as_str().unwrap_or_default(), method, args),
        ValueKind::Map => of_dict(value, method, args),
        ValueKind::Seq | ValueKind::Iterable => of_list(value, method, args),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

fn of_string(
    state: &State<'_, '_>,
    text: &str,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    Ok(match method {
        "strip" => stripped(text, args, true, true)?,
        "lstrip" => stripped(text, args, true, false)?,
        "rstrip" => stripped(text, args, false, true)?,
        "split" => split(text, args, false)?,
        "rsplit" => split(text, args, true)?,
        "splitlines" => {
            let (keep, kwargs): (Option<bool>, Kwargs) = from_args(args)?;
            let keep = keep.or(kwargs.get("keepends")?).unwrap_or(false);
            kwargs.assert_all_used()?;
            strings::lines(text, keep)
                .into_iter()
                .map(Value::from)
                .collect()
        }
        "partition" | "rpartition" => {
            let (mark,): (&str,) = from_args(args)?;
            not_empty(mark)?;
            let left = method == "partition";
            let cut = if left {
                text.split_once(mark)
            } else {
                text.rsplit_once(mark)
            };
            let parts = match cut {
                Some((before, behind)) => [before, mark, behind],
                None if left => [text, "", ""],
                None => ["", "", text],
            };
            Value::from(Tuple::from(parts.map(Value::from)))
        }
        "replace" => replaced(state, text, args)?,
        "join" => joined(state, text, args)?,
        "format" => {
            no_wide_field(text)?;
            Value::from(format(FormatStyle::StrFormat, text, args)?)
        }
        "startswith" => any_of(args, |mark| text.starts_with(mark))?,
        "endswith" => any_of(args, |mark| text.ends_with(mark))?,
        "removeprefix" | "removesuffix" => {
            let (mark,): (&str,) = from_args(args)?;
            let prefix = method == "removeprefix";
            let rest = if prefix {
                text.strip_prefix(mark)
            } else {
                text.strip_suffix(mark)
            };
            Value::from(rest.unwrap_or(text))
        }
        "find" | "index" => place(text, text.find(one(args)?), method == "index")?,
        "rfind" | "rindex" => place(text, text.rfind(one(args)?), method == "rindex")?,
        "count" => Value::from(text.matches(one(args)?).count()),
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let sign = text.starts_with(['+', '-']);
            let (sign, digits) = text.split_at(usize::from(sign));
            let zeros = width.saturating_sub(text.chars().count());
            state.consume_fuel(zeros as u64 / 64)?;
            Value::from(format!("{sign}{}{digits}", "0".repeat(zeros)))
        }
        _ => {
            let changed = without_arguments(text, method).ok_or(ErrorKind::UnknownMethod)?;
            let () = from_args(args)?;
            changed
        }
    })
}

fn without_arguments(text: &str, method: &str) -> Option<Value> {
    let all = |test: fn(char) -> bool| Value::from(!text.is_empty() && text.chars().all(test));
    let cased = |one: fn(char) -> bool, other: fn(char) -> bool| {
        Value::from(text.chars().any(one) && !text.chars().any(other))
    };
    Some(match method {
        "upper" => Value::from(text.to_uppercase()),
        "lower" | "casefold" => Value::from(text.to_lowercase()),
        "title" => Value::from(strings::title(text)),
        "capitalize" => Value::from(strings::capitalize(text)),
        "swapcase" => Value::from(strings::swap_case(text)),
        "isspace" => all(strings::is_space),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
        "isascii" => Value::from(text.is_ascii()),
        "islower" => cased(char::is_lowercase, char::is_uppercase),
        "isupper" => cased(char::is_uppercase, char::is_lowercase),
        _ => return None,
    })
}

fn stripped(text: &str, args: &[Value], left: bool, right: bool) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    Ok(Value::from(strings::strip(text, chars, left, right)))
}

fn split(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (mark, times, kwargs): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let mark = mark.or(kwargs.get("sep")?).filter(|mark| !mark.is_none());
    let times = times.or(kwargs.get("maxsplit")?).unwrap_or(-1);
    kwargs.assert_all_used()?;
    // Below zero, all.
    let times = usize::try_from(times).ok();
    let parts: Vec<&str> = match &mark {
        None if from_right => strings::words_from_right(text, times),
        None => strings::words(text, times),
        Some(mark) => {
            let mark = mark
                .as_str()
                .ok_or_else(|| wrong("split: a string was expected"))?;
            not_empty(mark)?;
            let parts = times.map_or(usize::MAX, |times| times.saturating_add(1));
            if from_right {
                let mut parts: Vec<&str> = text.rsplitn(parts, mark).collect();
                parts.reverse();
                parts
            } else {
                text.splitn(parts, mark).collect()
            }
        }
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

fn replaced(state: &State<'_, '_>, text: &str, args: &[Value]) -> Result<Value, Error> {
    let (old, new, count, kwargs): (&str, &str, Option<i64>, Kwargs) = from_args(args)?;
    let count = count.or(kwargs.get("count")?).unwrap_or(-1);
    kwargs.assert_all_used()?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    // Paid for before it is made: it may be much longer than what it is made of.
    let most = (text.len() / old.len().max(1) + 1).min(count);
    let grows = most.saturating_mul(new.len().saturating_sub(old.len()));
    state.consume_fuel((grows + text.len()) as u64 / 64)?;
    Ok(Value::from(text.replacen(old, new, count)))
}

fn joined(state: &State<'_, '_>, text: &str, args: &[Value]) -> Result<Value, Error> {
    let (items,): (Value,) = from_args(args)?;
    let mut out = String::new();
    for (index, item) in items.try_iter()?.enumerate() {
        let item = item.as_str().ok_or_else(|| {
            wrong(format!(
                "join: item {index} is of kind {}, strings were expected",
                item.kind()
            ))
        })?;
        state.consume_fuel((text.len() + item.len()) as u64 / 64 + 1)?;
        if index > 0 {
            out += text;
        }
        out += item;
    }
    Ok(Value::from(out))
}

/// `startswith` and `endswith`: a string, or a tuple of them.
fn any_of(args: &[Value], test: impl Fn(&str) -> bool) -> Result<Value, Error> {
    let (marks,): (Value,) = from_args(args)?;
    let expected = || wrong("a string or a tuple of strings was expected");
    if let Some(mark) = marks.as_str() {
        return Ok(Value::from(test(mark)));
    }
    if !marks.is_tuple() {
        return Err(expected());
    }
    for mark in marks.try_iter()? {
        if test(mark.as_str().ok_or_else(expected)?) {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

fn one(args: &[Value]) -> Result<&str, Error> {
    let (mark,): (&str,) = from_args(args)?;
    Ok(mark)
}

/// A place in characters; without one, -1, or an error where the method is `index`.
fn place(text: &str, at: Option<usize>, must: bool) -> Result<Value, Error> {
    match at {
        Some(at) => Ok(Value::from(text[..at].chars().count())),
        None if must => Err(wrong("substring not found")),
        None => Ok(Value::from(-1)),
    }
}

/// Refuses what would make a text as long as it likes: a width of more than four digits, or one that an argument gives.
fn no_wide_field(text: &str) -> Result<(), Error> {
    for field in text.split('{').filter_map(|part| part.split_once(':')) {
        let spec = field.1;
        let digits = spec.split(|letter: char| !letter.is_ascii_digit());
        let closed = spec.contains('}');
        if !closed || digits.map(str::len).max().unwrap_or(0) > 4 {
            return Err(wrong("format: a width of at most four digits was expected"));
        }
    }
    Ok(())
}

fn not_empty(mark: &str) -> Result<(), Error> {
    if mark.is_empty() {
        Err(wrong("empty separator"))
    } else {
        Ok(())
    }
}

fn of_dict(value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let keys = || -> Result<Vec<Value>, Error> { Ok(value.try_iter()?.collect()) };
    match method {
        "get" => {
            let (key, default): (Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(&key)?;
            Ok(if found.is_undefined() {
                default.unwrap_or_else(|| Value::from(()))
            } else {
                found
            })
        }
        "keys" => {
            let () = from_args(args)?;
            Ok(Value::from(keys()?))
        }
        "values" => {
            let () = from_args(args)?;
            let values: Result<Vec<Value>, Error> =
                keys()?.iter().map(|key| value.get_item(key)).collect();
            Ok(Value::from(values?))
        }
        "items" => {
            let () = from_args(args)?;
            let pair = |key: Value| {
                let item = value.get_item(&key)?;
                Ok(Value::from(Tuple::from([key, item])))
            };
            let items: Result<Vec<Value>, Error> = keys()?.into_iter().map(pair).collect();
            Ok(Value::from(items?))
        }
        "copy" => {
            let () = from_args(args)?;
            Ok(value.clone())
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn of_list(value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "count" => {
            let (what,): (Value,) = from_args(args)?;
            Ok(Value::from(
                value.try_iter()?.filter(|item| *item == what).count(),
            ))
        }
        "index" => {
            let (what,): (Value,) = from_args(args)?;
            let mut items = value.try_iter()?;
            let at = items.position(|item| item == what);
            at.map(Value::from).ok_or_else(|| wrong("not in list"))
        }
        "copy" => {
            let () = from_args(args)?;
            Ok(value.clone())
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}
