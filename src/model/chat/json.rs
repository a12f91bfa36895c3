//! `tojson` as transformers has it: `json.dumps(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::number::python_float;

/// How deep values may lie in each other (ours; Python stops at about a thousand).
const DEPTH: usize = 200;

/// The filter.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine hands arguments over"
)]
pub(super) fn tojson(
    state: &State<'_, '_>,
    value: &Value,
    args: Rest<Value>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    if args.len() > 4 {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let argument = |at: usize, name: &str| -> Result<Option<Value>, Error> {
        let given: Option<Value> = kwargs.get(name)?;
        Ok(args
            .get(at)
            .cloned()
            .or(given)
            .filter(|value| !value.is_none()))
    };
    let ensure_ascii = argument(0, "ensure_ascii")?.is_some_and(|value| value.is_true());
    let indent = argument(1, "indent")?.map(indentation).transpose()?;
    let separators = argument(2, "separators")?
        .map(|pair| pair_of(&pair))
        .transpose()?;
    let sort_keys = argument(3, "sort_keys")?.is_some_and(|value| value.is_true());
    kwargs.assert_all_used()?;
    let item = if indent.is_some() { "," } else { ", " };
    let (item, key) = separators.unwrap_or_else(|| (item.to_owned(), ": ".to_owned()));
    let mut writer = Writer {
        state,
        out: String::new(),
        ensure_ascii,
        indent,
        item,
        key,
        sort_keys,
    };
    writer.value(value, 0)?;
    Ok(writer.out)
}

fn indentation(value: Value) -> Result<Indent, Error> {
    match value.as_str() {
        Some(text) => Ok(Indent {
            unit: text.to_owned(),
            times: 1,
        }),
        // Python takes a negative number as none.
        None => Ok(Indent {
            unit: " ".to_owned(),
            times: usize::try_from(i64::try_from(value)?).unwrap_or(0),
        }),
    }
}

fn pair_of(value: &Value) -> Result<(String, String), Error> {
    let parts: Vec<Value> = value.try_iter()?.collect();
    match parts.as_slice() {
        [item, key] if item.as_str().is_some() && key.as_str().is_some() => {
            Ok((item.to_string(), key.to_string()))
        }
        _ => Err(wrong("separators of tojson: two strings were expected")),
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

struct Indent {
    unit: String,
    times: usize,
}

struct Writer<'a> {
    state: &'a State<'a, 'a>,
    out: String,
    ensure_ascii: bool,
    indent: Option<Indent>,
    item: String,
    key: String,
    sort_keys: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.state.consume_fuel(1)?;
        if depth > DEPTH {
            return Err(wrong(format!(
                "tojson: values lie more than {DEPTH} deep in each other"
            )));
        }
        match value.kind() {
            ValueKind::None => self.out += "null",
            ValueKind::Bool => self.out += if value.is_true() { "true" } else { "false" },
            ValueKind::Number => self.out += &number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?;
                self.list('[', ']', depth, items, |writer, item| {
                    writer.value(&item, depth + 1)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.list('{', '}', depth, keys.into_iter(), |writer, name| {
                    writer.name(&name)?;
                    writer.out += &writer.key;
                    writer.value(&value.get_item(&name)?, depth + 1)
                })?;
            }
            other => {
                return Err(wrong(format!(
                    "tojson: a value of kind {other} has no form in JSON"
                )));
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        open: char,
        close: char,
        depth: usize,
        items: impl Iterator<Item = Value>,
        mut write: impl FnMut(&mut Self, Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        let mut empty = true;
        for item in items {
            if !empty {
                self.out += &self.item;
            }
            empty = false;
            self.line(depth + 1)?;
            write(self, item)?;
        }
        if !empty {
            self.line(depth)?;
        }
        self.out.push(close);
        Ok(())
    }

    /// A new line, where lines are indented. It is paid for before it is written: templates choose its width.
    fn line(&mut self, depth: usize) -> Result<(), Error> {
        if let Some(indent) = &self.indent {
            let times = indent.times.saturating_mul(depth);
            let bytes = indent.unit.len().saturating_mul(times);
            self.state.consume_fuel(bytes as u64 / 64 + 1)?;
            self.out.push('\n');
            self.out += &indent.unit.repeat(times);
        }
        Ok(())
    }

    fn name(&mut self, name: &Value) -> Result<(), Error> {
        match name.kind() {
            ValueKind::String => self.string(name.as_str().unwrap_or_default()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                self.out.push('"');
                self.value(name, 0)?;
                self.out.push('"');
                Ok(())
            }
            other => Err(wrong(format!(
                "tojson: a key of kind {other} has no form in JSON"
            ))),
        }
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        self.state.consume_fuel(text.len() as u64 / 64)?;
        self.out.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.out += "\\\"",
                '\\' => self.out += "\\\\",
                '\n' => self.out += "\\n",
                '\r' => self.out += "\\r",
                '\t' => self.out += "\\t",
                '\u{8}' => self.out += "\\b",
                '\u{c}' => self.out += "\\f",
                _ if letter < ' ' || (self.ensure_ascii && !(' '..='~').contains(&letter)) => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                _ => self.out.push(letter),
            }
        }
        self.out.push('"');
        Ok(())
    }
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    match f64::try_from(value.clone()) {
        Ok(float) if float.is_nan() => "NaN".to_owned(),
        Ok(float) if float.is_infinite() => {
            format!("{}Infinity", if float < 0.0 { "-" } else { "" })
        }
        Ok(float) => python_float(float),
        Err(_) => value.to_string(),
    }
}
