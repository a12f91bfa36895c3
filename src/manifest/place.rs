//! Fields by their dotted paths, as `[sweep]` and `[profiles]` name them, and how a value is put there.

use std::sync::Arc;

use super::error::Diagnostic;
use super::nearest::suggest;
use super::source::{Origin, SourceText};
use super::sugar::SUGAR;
use super::tree::{Entry, Node, Table, Tree, parse};

/// A field of a manifest.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// As it was written.
    pub(super) text: String,
    /// Its keys, from the top.
    pub(super) keys: Vec<String>,
    /// Where it was written.
    pub(super) origin: Origin,
}

impl Field {
    /// Reads a dotted path: keys as TOML writes them, `a.b."odd.key"`; a number is a place in a list.
    pub(super) fn parse(text: &str, origin: &Origin) -> Result<Self, Box<Diagnostic>> {
        let source = Arc::new(SourceText {
            name: String::new(),
            text: format!("{text}=0"),
            rank: 0,
        });
        let mut keys = Vec::new();
        if let Ok(mut node) = parse(&source)
            && !text.contains(['\n', '='])
        {
            while let Tree::Table(table) = node.value {
                let Some(entry) = table.entries.into_iter().next() else {
                    break;
                };
                keys.push(entry.key);
                node = entry.value;
            }
        }
        if keys.is_empty() {
            return Err(Box::new(
                Diagnostic::at(origin, format!("`{text}` is not the path of a field"))
                    .hint("for example `\"stages.kept.length.min_tokens\"`".to_owned()),
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            keys,
            origin: origin.clone(),
        })
    }

    /// Puts `value` in the place of what stands at this field. What stood there, if anything did.
    pub(super) fn place(
        &self,
        root: &mut Node,
        value: Node,
    ) -> Result<Option<Node>, Box<Diagnostic>> {
        let keys = self.spelled(root);
        self.find_stage(root, &keys)?;
        let (last, above) = keys.split_last().expect("a field has a key");
        let mut at = root;
        for key in above {
            at = self.step(at, key)?;
        }
        match &mut at.value {
            Tree::Table(table) => {
                if let Some(entry) = table.get_mut(last) {
                    return Ok(Some(std::mem::replace(&mut entry.value, value)));
                }
                table.entries.push(Entry {
                    key: last.clone(),
                    key_origin: self.origin.clone(),
                    value,
                });
                Ok(None)
            }
            Tree::Array(items) => match last.parse().ok().and_then(|i: usize| items.get_mut(i)) {
                Some(item) => Ok(Some(std::mem::replace(item, value))),
                None => Err(self.no_way(last)),
            },
            _ => Err(self.no_way(last)),
        }
    }

    /// What stands at this field.
    pub(super) fn get<'n>(&self, root: &'n Node) -> Option<&'n Node> {
        self.spelled(root)
            .iter()
            .try_fold(root, |at, key| match &at.value {
                Tree::Array(items) => items.get(key.parse::<usize>().ok()?),
                _ => at.get(key),
            })
    }

    /// One key down; a table that is not there yet is made.
    fn step<'n>(&self, at: &'n mut Node, key: &str) -> Result<&'n mut Node, Box<Diagnostic>> {
        match &mut at.value {
            Tree::Table(table) => {
                if table.get(key).is_none() {
                    table.entries.push(Entry {
                        key: key.to_owned(),
                        key_origin: self.origin.clone(),
                        value: Node {
                            value: Tree::Table(Table::default()),
                            origin: self.origin.clone(),
                        },
                    });
                }
                Ok(&mut table.get_mut(key).expect("it is there now").value)
            }
            Tree::Array(items) => key
                .parse()
                .ok()
                .and_then(|index: usize| items.get_mut(index))
                .ok_or_else(|| self.no_way(key)),
            _ => Err(self.no_way(key)),
        }
    }

    fn no_way(&self, key: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic::at(
            &self.origin,
            format!(
                "`{}` leads nowhere: there is no place for `{key}`",
                self.text
            ),
        ))
    }

    /// Spells `data` and `student` as the files do: as sections, or as stages.
    fn spelled(&self, root: &Node) -> Vec<String> {
        let has_stage = |name: &str| {
            root.get("stages")
                .is_some_and(|stages| stages.get(name).is_some())
        };
        let mut keys = self.keys.clone();
        for (section, _) in SUGAR {
            if keys[0] == section && root.get(section).is_none() && has_stage(section) {
                keys.insert(0, "stages".to_owned());
            } else if keys[0] == "stages"
                && keys.get(1).is_some_and(|name| name == section)
                && root.get(section).is_some()
            {
                keys.remove(0);
            }
        }
        keys
    }

    fn find_stage(&self, root: &Node, keys: &[String]) -> Result<(), Box<Diagnostic>> {
        let (Some(first), Some(name)) = (keys.first(), keys.get(1)) else {
            return Ok(());
        };
        let stages = root.get("stages").and_then(Node::as_table);
        if first != "stages" || stages.is_some_and(|stages| stages.get(name).is_some()) {
            return Ok(());
        }
        let known: Vec<&str> = stages.map_or_else(Vec::new, |table| table.keys().collect());
        Err(Box::new(
            Diagnostic::at(
                &self.origin,
                format!("there is no stage `{name}` to set a field of"),
            )
            .hint(suggest(name, known, "stages")),
        ))
    }
}
