//! The words: names, what a person can have, and how a fact is said.
//!
//! Each name and each thing is one word, so that it becomes one token; every one of them stands behind a blank wherever
//! the world writes it, since a byte-level tokenizer has another token for a word at the beginning of a text.

/// How many facts a topic's chain has at most.
pub(super) const MAX_HOPS: usize = 3;
/// In how many ways a fact is said at most.
pub(super) const PHRASINGS: usize = 5;

/// One kind of fact: what its subject is linked to.
pub(super) struct Link {
    /// What a subject can be linked to; each is the subject of the next link's facts.
    pub(super) objects: &'static [&'static str],
    /// How the fact is said, `{s}` of `{o}`; the first is the solver's. Each has another order of words than those of other
    /// topics or takes other things, so that a sentence says one fact.
    pub(super) phrasings: [&'static str; PHRASINGS],
}

/// How the end of a chain of two or three facts is asked about and said, of person `{p}` and value `{v}`.
pub(super) struct Asked {
    pub(super) yes_no: &'static str,
    pub(super) choice: &'static str,
    pub(super) conclusion: &'static str,
}

/// A chain of facts that begins with a person.
pub(super) struct Topic {
    /// What a heading calls it.
    pub(super) heading: &'static str,
    pub(super) links: [Link; MAX_HOPS],
    /// Of two hops, of three.
    pub(super) asked: [Asked; 2],
}

/// Every topic.
pub(super) static TOPICS: [Topic; 3] = [
    Topic {
        heading: "the pet of {p}",
        links: [
            Link {
                objects: &[
                    "cat", "dog", "goat", "duck", "horse", "rabbit", "parrot", "turtle", "hamster",
                    "donkey",
                ],
                phrasings: [
                    "{s} has a {o}",
                    "the pet of {s} is a {o}",
                    "a {o} belongs to {s}",
                    "{s} keeps a {o} at home",
                    "there is a {o} that {s} owns",
                ],
            },
            Link {
                objects: &["milk", "hay", "seeds", "fish", "corn", "leaves"],
                phrasings: [
                    "every {s} eats {o}",
                    "the food of a {s} is {o}",
                    "a {s} lives on {o}",
                    "people give {o} to any {s}",
                    "{o} is what a {s} eats",
                ],
            },
            Link {
                objects: &["farm", "garden", "pond", "mill", "barn", "meadow"],
                phrasings: [
                    "all {s} comes from the {o}",
                    "the {o} gives us {s}",
                    "people get {s} from the {o}",
                    "the source of {s} is the {o}",
                    "from the {o} comes {s}",
                ],
            },
        ],
        asked: [
            Asked {
                yes_no: "Does the pet of {p} eat {v}?",
                choice: "What does the pet of {p} eat?",
                conclusion: "the pet of {p} eats {v}",
            },
            Asked {
                yes_no: "Does the food of the pet of {p} come from the {v}?",
                choice: "Where does the food of the pet of {p} come from?",
                conclusion: "the food of the pet of {p} comes from the {v}",
            },
        ],
    },
    Topic {
        heading: "the home of {p}",
        links: [
            Link {
                objects: &[
                    "Oakford", "Redwick", "Fernley", "Larkham", "Stonely", "Westbury", "Dunmore",
                    "Hazelby", "Milford", "Ashton",
                ],
                phrasings: [
                    "{s} lives in {o}",
                    "the home of {s} is in {o}",
                    "the house of {s} stands in {o}",
                    "in {o} you can visit {s}",
                    "{s} settled in {o}",
                ],
            },
            Link {
                objects: &["sea", "desert", "lake", "forest", "river", "swamp"],
                phrasings: [
                    "{s} lies near the {o}",
                    "near {s} you see the {o}",
                    "{s} is close to the {o}",
                    "from {s} people walk to the {o}",
                    "the {o} is not far from {s}",
                ],
            },
            Link {
                objects: &["wolves", "gulls", "foxes", "bears", "otters", "snakes"],
                phrasings: [
                    "by the {s} there are {o}",
                    "the {s} is full of {o}",
                    "{o} live by the {s}",
                    "you meet {o} at the {s}",
                    "the {s} is home to {o}",
                ],
            },
        ],
        asked: [
            Asked {
                yes_no: "Does {p} live near the {v}?",
                choice: "What does {p} live near?",
                conclusion: "{p} lives near the {v}",
            },
            Asked {
                yes_no: "Are there {v} near the home of {p}?",
                choice: "What lives near the home of {p}?",
                conclusion: "near the home of {p} there are {v}",
            },
        ],
    },
    Topic {
        heading: "the job of {p}",
        links: [
            Link {
                objects: &[
                    "baker", "farmer", "teacher", "tailor", "painter", "doctor", "sailor",
                    "miller", "potter", "weaver",
                ],
                phrasings: [
                    "{s} is a {o}",
                    "the job of {s} is that of a {o}",
                    "{s} works as a {o}",
                    "people know {s} as a {o}",
                    "all day {s} is busy as a {o}",
                ],
            },
            Link {
                objects: &["paper", "iron", "cloth", "clay", "rope", "glue"],
                phrasings: [
                    "every {s} needs {o}",
                    "the work of a {s} takes {o}",
                    "no {s} can work without {o}",
                    "a {s} must buy {o}",
                    "{o} is what a {s} needs",
                ],
            },
            Link {
                objects: &["market", "harbour", "shop", "castle", "bridge", "station"],
                phrasings: [
                    "all {s} is sold at the {o}",
                    "the {o} sells {s}",
                    "people buy {s} at the {o}",
                    "look for {s} at the {o}",
                    "at the {o} there is {s}",
                ],
            },
        ],
        asked: [
            Asked {
                yes_no: "Does {p} need {v}?",
                choice: "What does {p} need?",
                conclusion: "{p} needs {v}",
            },
            Asked {
                yes_no: "Does {p} go to the {v}?",
                choice: "Where does {p} go?",
                conclusion: "{p} goes to the {v}",
            },
        ],
    },
];

/// All names.
pub(super) static NAMES: [&str; 64] = [
    "Ada", "Alan", "Anna", "Arthur", "Bella", "Boris", "Bruno", "Carl", "Clara", "Colin", "Daisy",
    "David", "Dora", "Edgar", "Elena", "Emil", "Erik", "Esther", "Felix", "Fiona", "Frank",
    "Freda", "Gina", "Gordon", "Greta", "Hanna", "Harry", "Helen", "Hugo", "Ida", "Igor", "Irene",
    "Isaac", "Jacob", "Jane", "Julia", "Karen", "Kevin", "Laura", "Leo", "Linda", "Lucas", "Maria",
    "Martin", "Nadia", "Nina", "Norman", "Olga", "Oscar", "Paula", "Peter", "Ralph", "Rosa",
    "Rupert", "Sarah", "Simon", "Sofia", "Thomas", "Tina", "Ursula", "Victor", "Vera", "Walter",
    "Wendy",
];

/// `template` with its places filled: each is one word, or a part of one.
pub(super) fn filled(template: &str, places: &[(&str, &str)]) -> String {
    let words = template.split(' ').map(|word| {
        let found = places.iter().find(|(place, _)| word.contains(place));
        found.map_or_else(
            || word.to_owned(),
            |(place, with)| word.replace(place, with),
        )
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What stands in the places of `template`, where `text` is said by it; case does not count beside them.
pub(super) fn read<'t>(template: &str, text: &'t str) -> Option<Vec<(&'static str, &'t str)>> {
    let mut places = Vec::new();
    let (mut wanted, mut found) = (template.split(' '), text.split(' '));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(places),
            (Some(wanted), Some(found)) => {
                let place = ["{s}", "{o}", "{p}", "{v}"]
                    .into_iter()
                    .find(|place| wanted.contains(place));
                match place {
                    Some(place) => {
                        let (before, after) = wanted.split_once(place)?;
                        let inner = found.strip_prefix(before)?.strip_suffix(after)?;
                        places.push((place, inner));
                    }
                    None if wanted.eq_ignore_ascii_case(found) => {}
                    None => return None,
                }
            }
            _ => return None,
        }
    }
}
