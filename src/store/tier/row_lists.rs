//! Which rows a remote has: lists of keys, one beside each sealed segment, and merged ones of many segments.
//!
//! Jobs that each seal a few rows leave as many lists, and each later job that looks for rows would read them all. So a run
//! that gathers what its jobs made merges their lists: of s segments, about s / [`TOGETHER`] + [`TOGETHER`] lists are left
//! to read. A merged list takes nothing away: a segment that none names has its own list, and one that is damaged or gone
//! costs reads alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::key::Digest;
use crate::remote::{Existing, Pulled};

use super::super::{Store, own};
use super::{ROWS, Tier};

/// Sealed segments, by bucket.
pub(crate) type Segments = BTreeMap<String, BTreeSet<Digest>>;

/// How the name of a segment's list ends.
pub(super) const KEYS: &str = "keys";
/// How the name of a merged list ends.
pub(super) const MERGED: &str = "lists";
/// Segments whose lists are merged into one. Ours: with 20,000 segments a job reads about 300 lists.
const TOGETHER: usize = 128;
/// Bytes of a key in a list.
const PREFIX_BYTES: usize = 8;
const MAX_LIST_BYTES: u64 = 1 << 30;

/// What is known of the rows of one bucket there.
#[derive(Default)]
pub(super) struct RemoteRows {
    pub(super) listed: Option<Instant>,
    pub(super) segments: Vec<Digest>,
    /// The numbers of the segments whose keys begin so.
    places: BTreeSet<(u64, usize)>,
    known: BTreeSet<Digest>,
    /// The numbers of those whose rows are here.
    pub(super) pulled: BTreeSet<usize>,
    /// The merged lists that were read, or put.
    merged: BTreeSet<Digest>,
    /// Segments whose lists are to be merged.
    unmerged: BTreeSet<Digest>,
}

impl RemoteRows {
    /// The segments, not pulled yet, that hold some of `keys`.
    pub(super) fn holding(&self, keys: &[Digest]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for key in keys {
            let prefix = prefix_of(key);
            let places = self.places.range((prefix, 0)..=(prefix, usize::MAX));
            found.extend(places.map(|(_, segment)| *segment));
        }
        &found - &self.pulled
    }

    pub(super) fn add(
        &mut self,
        segment: Digest,
        prefixes: impl IntoIterator<Item = u64>,
        is_here: bool,
    ) {
        if !self.known.insert(segment) {
            return;
        }
        let number = self.segments.len();
        self.segments.push(segment);
        self.places
            .extend(prefixes.into_iter().map(|prefix| (prefix, number)));
        if is_here {
            self.pulled.insert(number);
        }
    }

    pub(super) fn has(&self, key: &Digest) -> bool {
        let prefix = prefix_of(key);
        let mut places = self.places.range((prefix, 0)..=(prefix, usize::MAX));
        places.next().is_some()
    }
}

/// Why a list was not read; what follows was told.
enum Unread {
    /// The remote does not answer.
    Away,
    /// It was collected.
    Gone,
    Damaged,
}

impl Store {
    /// Reads the lists that were put since.
    pub(super) fn list_rows(&self, tier: &Tier, bucket: &str, rows: &mut RemoteRows) {
        rows.listed = Some(Instant::now());
        let folder = format!("{ROWS}{bucket}/");
        let entries = match tier.bucket.list(&folder) {
            Ok(entries) => entries,
            Err(error) => return self.tell_remote(tier, &error, "its rows are made here"),
        };
        let named = |end: &str| -> Vec<Digest> {
            let end = format!(".{end}");
            let name = |name: &str| name.strip_prefix(&folder)?.strip_suffix(&end)?.parse().ok();
            entries
                .iter()
                .filter_map(|entry| name(&entry.name))
                .collect()
        };
        // Merged ones first: the lists that they stand for need not be read.
        for list in named(MERGED) {
            if rows.merged.contains(&list) {
                continue;
            }
            match self.read_list(tier, bucket, list, MERGED, decode_merged) {
                Ok(lists) => {
                    for (segment, prefixes) in lists {
                        rows.add(segment, prefixes, false);
                    }
                }
                Err(Unread::Away) => return,
                Err(Unread::Gone | Unread::Damaged) => {}
            }
            rows.merged.insert(list);
        }
        for segment in named(KEYS) {
            if rows.known.contains(&segment) {
                continue;
            }
            match self.read_list(tier, bucket, segment, KEYS, decode_keys) {
                Ok(prefixes) => rows.add(segment, prefixes, false),
                Err(Unread::Away) => return,
                Err(Unread::Gone) => {}
                Err(Unread::Damaged) => rows.add(segment, [], true),
            }
        }
    }

    /// What a list says.
    fn read_list<T>(
        &self,
        tier: &Tier,
        bucket: &str,
        list: Digest,
        end: &str,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Unread> {
        let name = format!("{ROWS}{bucket}/{list}.{end}");
        let mut bytes = Vec::new();
        match tier.bucket.pull(&name, MAX_LIST_BYTES, &mut bytes) {
            Ok(Pulled::Whole) => {}
            Ok(_) => return Err(Unread::Gone),
            Err(error) => {
                self.tell_remote(tier, &error, "its rows are made here");
                return Err(Unread::Away);
            }
        }
        decode(&bytes).ok_or_else(|| {
            let follows = match end {
                KEYS => "the rows that it lists are made here",
                _ => "the lists that it stands for are read",
            };
            self.warn(format!("{name} of {} is damaged; {follows}", tier.url));
            Unread::Damaged
        })
    }

    /// Merges the lists of these segments, which others sealed: with those of before, once they are enough, or `all` of
    /// them. What fails costs others more reads, and nothing else.
    pub fn merge_lists(&self, segments: &Segments, all: bool) {
        let Some(tier) = self
            .tier
            .as_ref()
            .filter(|tier| tier.may_write() && tier.is_up())
        else {
            return;
        };
        let mut known = tier.rows();
        for (bucket, segments) in segments {
            if own::check_bucket(bucket).is_ok() {
                let rows = known.entry(bucket.clone()).or_default();
                rows.unmerged.extend(segments);
            }
        }
        for (bucket, rows) in &mut *known {
            let count = rows.unmerged.len();
            if count < TOGETHER && !(all && count > 1) {
                continue;
            }
            let mut lists = Vec::new();
            for segment in std::mem::take(&mut rows.unmerged) {
                match self.read_list(tier, bucket, segment, KEYS, decode_keys) {
                    Ok(prefixes) => lists.push((segment, prefixes)),
                    Err(Unread::Away) => return,
                    Err(Unread::Gone | Unread::Damaged) => {}
                }
            }
            let bytes = encode_merged(&lists);
            let digest = Digest::of(&bytes);
            let name = format!("{ROWS}{bucket}/{digest}.{MERGED}");
            match tier.bucket.put(&name, &bytes, Existing::Stays) {
                Ok(_) => {
                    rows.merged.insert(digest);
                }
                Err(error) => {
                    return self.tell_remote(
                        tier,
                        &error,
                        "other machines read more lists of rows",
                    );
                }
            }
        }
    }
}

/// What a list says of a key.
pub(super) fn prefix_of(key: &Digest) -> u64 {
    let first = key.as_bytes().first_chunk().expect("a digest is longer");
    u64::from_be_bytes(*first)
}

/// A list of keys: its digest, then the beginning of each.
pub(super) fn encode_keys(prefixes: impl IntoIterator<Item = u64>) -> Vec<u8> {
    checked(prefixes.into_iter().flat_map(u64::to_be_bytes).collect())
}

fn decode_keys(bytes: &[u8]) -> Option<Vec<u64>> {
    decode_prefixes(body(bytes)?)
}

/// The lists of many segments: the digest of all that follows, then of each its digest, how many keys, and their beginnings.
fn encode_merged(lists: &[(Digest, Vec<u64>)]) -> Vec<u8> {
    let mut list = Vec::new();
    for (segment, prefixes) in lists {
        list.extend(segment.as_bytes());
        list.extend((prefixes.len() as u64).to_be_bytes());
        list.extend(prefixes.iter().flat_map(|prefix| prefix.to_be_bytes()));
    }
    checked(list)
}

fn decode_merged(bytes: &[u8]) -> Option<Vec<(Digest, Vec<u64>)>> {
    let mut rest = body(bytes)?;
    let mut lists = Vec::new();
    while !rest.is_empty() {
        let (segment, after) = rest.split_first_chunk::<32>()?;
        let (count, after) = after.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_be_bytes(*count)).ok()?;
        let (prefixes, after) = after.split_at_checked(count.checked_mul(PREFIX_BYTES)?)?;
        lists.push((Digest::from_bytes(*segment), decode_prefixes(prefixes)?));
        rest = after;
    }
    Some(lists)
}

fn decode_prefixes(list: &[u8]) -> Option<Vec<u64>> {
    let (prefixes, rest) = list.as_chunks::<PREFIX_BYTES>();
    rest.is_empty()
        .then(|| prefixes.iter().copied().map(u64::from_be_bytes).collect())
}

fn checked(list: Vec<u8>) -> Vec<u8> {
    let mut bytes = Digest::of(&list).as_bytes().to_vec();
    bytes.extend(list);
    bytes
}

fn body(bytes: &[u8]) -> Option<&[u8]> {
    let (check, list) = bytes.split_first_chunk::<32>()?;
    (Digest::of(list).as_bytes() == check).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_were_written_and_damaged_ones_not_at_all() {
        let keys = vec![1, u64::MAX, 7];
        assert_eq!(decode_keys(&encode_keys(keys.clone())), Some(keys.clone()));
        let lists = vec![
            (Digest::of(b"a"), keys),
            (Digest::of(b"b"), Vec::new()),
            (Digest::of(b"c"), vec![3]),
        ];
        let bytes = encode_merged(&lists);
        assert_eq!(decode_merged(&bytes), Some(lists));
        for at in [0, 32, 70, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode_merged(&damaged), None);
        }
        assert_eq!(decode_merged(&bytes[..bytes.len() - 8]), None);
        // Whole by its check, and no list: a count of more than there is.
        let mut list = Digest::of(b"a").as_bytes().to_vec();
        list.extend(u64::MAX.to_be_bytes());
        assert_eq!(decode_merged(&checked(list)), None);
        assert_eq!(decode_keys(&checked(vec![1, 2, 3])), None);
    }
}
