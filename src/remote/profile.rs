//! The files in which the AWS tools keep profiles: `~/.aws/config` and `~/.aws/credentials`.

use std::collections::BTreeMap;

/// What a profile says, by key; a key in a nested block (`s3 =` and indented lines) is `s3.addressing_style`.
pub(super) type Profile = BTreeMap<String, String>;

/// The section of this name in the text of such a file.
pub(super) fn section(text: &str, name: &str) -> Option<Profile> {
    let mut found: Option<Profile> = None;
    let (mut inside, mut block) = (false, String::new());
    for line in text.lines() {
        let words = line.trim();
        if words.is_empty() || words.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = words
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
        {
            let header = header.split_whitespace().collect::<Vec<_>>().join(" ");
            inside = header == name;
            if inside {
                found.get_or_insert_default();
            }
            block.clear();
            continue;
        }
        let (Some(profile), true) = (&mut found, inside) else {
            continue;
        };
        let Some((key, value)) = words.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim().to_lowercase(), value.trim());
        if line.starts_with([' ', '\t']) && !block.is_empty() {
            profile.insert(format!("{block}.{key}"), value.to_owned());
        } else {
            block = if value.is_empty() {
                key.clone()
            } else {
                String::new()
            };
            profile.insert(key, value.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_comments_and_nested_blocks() {
        let text = "# ours\n[default]\nregion = eu-west-1 \n\n[profile  lab]\nregion=x\ns3 =\n  addressing_style = path\n  \
                    max_concurrent_requests = 20\nendpoint_url = http://minio:9000\n[other]\nregion = y\n";
        let lab = section(text, "profile lab").unwrap();
        assert_eq!(lab["region"], "x");
        assert_eq!(lab["s3.addressing_style"], "path");
        assert_eq!(lab["endpoint_url"], "http://minio:9000");
        assert_eq!(section(text, "default").unwrap()["region"], "eu-west-1");
        assert_eq!(section(text, "lab"), None);
    }
}
