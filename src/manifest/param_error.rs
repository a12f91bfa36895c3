//! What a stage kind says is wrong with a field, at the place where that was written.

use super::error::Diagnostic;
use super::source::Origin;
use super::tree::{Node, Tree};
use super::words::dotted;
use crate::stage::ParamError;

/// The error at the field it names, or the nearest part of it that was written; `path`, `node` and `origin` are the
/// stage's.
pub(super) fn placed<'n>(
    path: &[String],
    mut node: &'n Node,
    mut origin: &'n Origin,
    param_error: ParamError,
) -> Diagnostic {
    let mut path = path.to_vec();
    for key in param_error
        .field
        .split(['.', '['])
        .filter(|key| !key.is_empty())
    {
        let index = key.strip_suffix(']').and_then(|key| key.parse().ok());
        path.push(index.map_or_else(|| key.to_owned(), |index: usize| format!("[{index}]")));
        let next = match (&node.value, index) {
            (Tree::Array(items), Some(index)) => items.get(index),
            _ => node.get(key),
        };
        if let Some(next) = next {
            node = next;
            origin = &next.origin;
        }
    }
    let message = format!("`{}`: {}", dotted(&path), param_error.message);
    Diagnostic {
        path,
        ..Diagnostic::at(origin, message).hint(param_error.hint)
    }
}
