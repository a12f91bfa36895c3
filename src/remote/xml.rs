//! What S3 says in XML: lists, errors, the name of an upload.

use super::Entry;
use super::dates;

/// A page of a list, and where the next one begins.
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    pub(super) next: Option<String>,
}

/// A page of `ListObjectsV2`; `None` where it is none, or says that there is more and not where.
pub(super) fn page(text: &str) -> Option<Page> {
    let document = roxmltree::Document::parse(text).ok()?;
    let root = document.root_element();
    if root.tag_name().name() != "ListBucketResult" {
        return None;
    }
    let mut entries = Vec::new();
    for contents in root
        .children()
        .filter(|node| node.has_tag_name_local("Contents"))
    {
        entries.push(Entry {
            name: child(contents, "Key")?.to_owned(),
            bytes: child(contents, "Size")?.parse().ok()?,
            modified: dates::iso(child(contents, "LastModified")?)?,
        });
    }
    let next = if child(root, "IsTruncated") == Some("true") {
        let token = child(root, "NextContinuationToken").filter(|token| !token.is_empty())?;
        Some(token.to_owned())
    } else {
        None
    };
    Some(Page { entries, next })
}

/// The code and the sentence of an error; empty where there is none.
pub(super) fn error(text: &str) -> (String, String) {
    let found = || {
        let document = roxmltree::Document::parse(text).ok()?;
        let root = document.root_element();
        let root = root.has_tag_name_local("Error").then_some(root)?;
        let text = |name| child(root, name).unwrap_or_default().to_owned();
        Some((text("Code"), text("Message")))
    };
    found().unwrap_or_default()
}

/// The text of the element of this name below the root.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    let document = roxmltree::Document::parse(text).ok()?;
    child(document.root_element(), name).map(str::to_owned)
}

fn child<'a>(node: roxmltree::Node<'a, '_>, name: &str) -> Option<&'a str> {
    let mut children = node.children();
    let found = children.find(|each| each.has_tag_name_local(name))?;
    Some(found.text().unwrap_or_default())
}

/// Servers differ in the namespace that they name, or name none.
trait Local {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl Local for roxmltree::Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_errors_and_nonsense() {
        let text = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken>
            <Contents><Key>x/y</Key><Size>3</Size><LastModified>2013-05-24T00:00:00.000Z</LastModified></Contents>
            </ListBucketResult>"#;
        let page = page(text).unwrap();
        assert_eq!(page.next.as_deref(), Some("a&b"));
        assert_eq!(
            (page.entries[0].name.as_str(), page.entries[0].bytes),
            ("x/y", 3)
        );
        let cut = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
        assert!(
            super::page(cut).is_none(),
            "what is missing would be taken for absent"
        );
        let text = "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
        assert_eq!(error(text), ("AccessDenied".into(), "No.".into()));
        for nonsense in ["", "<html>", "<Error/>", "{}"] {
            assert!(super::page(nonsense).is_none());
            assert_eq!(error(nonsense), (String::new(), String::new()));
        }
    }
}
