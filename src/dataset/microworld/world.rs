//! The facts: who is linked to what, and how a fact is said.

use super::random::{below, shuffle, stream};

/// Two hops: a person has a middle, and the middle has a value. `{p}`, `{m}`, `{v}` stand for
/// them; the first phrasing of each hop is the solver's. No phrasing says both hops.
pub(super) struct Chain {
    pub(super) middles: [&'static str; 8],
    pub(super) values: [&'static str; 4],
    pub(super) first: [&'static str; 3],
    pub(super) second: [&'static str; 3],
    pub(super) ask_yes_no: &'static str,
    pub(super) ask_choice: &'static str,
}

/// Every chain.
pub(super) static CHAINS: [Chain; 5] = [
    Chain {
        middles: [
            "Oakford", "Redwick", "Fernley", "Larkham", "Stonely", "Westbury", "Dunmore", "Hazelby",
        ],
        values: ["the sea", "the forest", "the desert", "the river"],
        first: [
            "{p} lives in the town of {m}",
            "the home of {p} is in {m}",
            "in {m} stands the house of {p}",
        ],
        second: [
            "{m} lies near {v}",
            "the town of {m} is near {v}",
            "near {v} there is the town of {m}",
        ],
        ask_yes_no: "Does {p} live near {v}?",
        ask_choice: "What does {p} live near?",
    },
    Chain {
        middles: [
            "goat", "duck", "horse", "rabbit", "parrot", "turtle", "dog", "mouse",
        ],
        values: ["grass", "seeds", "fish", "leaves"],
        first: [
            "{p} keeps a {m} at home",
            "the pet of {p} is a {m}",
            "a {m} belongs to {p}",
        ],
        second: [
            "every {m} eats {v}",
            "the food of a {m} is {v}",
            "a {m} lives on {v}",
        ],
        ask_yes_no: "Does the pet of {p} eat {v}?",
        ask_choice: "What does the pet of {p} eat?",
    },
    Chain {
        middles: [
            "baker", "farmer", "teacher", "tailor", "painter", "doctor", "sailor", "miller",
        ],
        values: ["paper", "iron", "cloth", "clay"],
        first: [
            "{p} works as a {m}",
            "the job of {p} is that of a {m}",
            "all day {p} works as a {m}",
        ],
        second: [
            "every {m} needs {v} at work",
            "without {v} no {m} can work",
            "the work of a {m} needs {v}",
        ],
        ask_yes_no: "Does {p} need {v} at work?",
        ask_choice: "What does {p} need at work?",
    },
    Chain {
        middles: [
            "plum", "pear", "cherry", "lemon", "melon", "peach", "fig", "grape",
        ],
        values: ["red", "green", "yellow", "purple"],
        first: [
            "{p} likes the {m} best of all",
            "the best fruit for {p} is the {m}",
            "no fruit pleases {p} like a {m}",
        ],
        second: [
            "the colour of a {m} is {v}",
            "each ripe {m} is {v}",
            "a {m} has a {v} skin",
        ],
        ask_yes_no: "Is the fruit that {p} likes best {v}?",
        ask_choice: "What colour is the fruit that {p} likes best?",
    },
    Chain {
        middles: [
            "flute", "drum", "harp", "violin", "trumpet", "piano", "guitar", "whistle",
        ],
        values: ["wood", "silver", "glass", "bone"],
        first: [
            "{p} plays the {m} every day",
            "the music of {p} comes from a {m}",
            "a {m} is what {p} plays",
        ],
        second: [
            "the {m} is made of {v}",
            "they make each {m} out of {v}",
            "{v} is what a {m} is made of",
        ],
        ask_yes_no: "Is the instrument of {p} made of {v}?",
        ask_choice: "What is the instrument of {p} made of?",
    },
];

const NAME_STARTS: [&str; 24] = [
    "Ba", "Be", "Bo", "Da", "De", "Do", "Fa", "Fe", "Ka", "Ke", "Ko", "La", "Le", "Lo", "Ma", "Me",
    "Mi", "Na", "Ni", "Ra", "Ro", "Sa", "Ta", "To",
];
const NAME_ENDS: [&str; 16] = [
    "bin", "dal", "den", "dor", "ga", "kan", "ler", "lin", "mas", "mo", "nar", "ra", "rin", "sha",
    "ten", "vi",
];

/// How many people can have a name of their own.
pub(super) const MAX_PEOPLE: usize = NAME_STARTS.len() * NAME_ENDS.len();

/// A world: all of its facts.
pub(super) struct World {
    /// Everybody's name.
    pub(super) people: Vec<String>,
    /// By chain, then person: the middle.
    middle_of: Vec<Vec<usize>>,
    /// By chain, then middle: the value.
    value_of: Vec<Vec<usize>>,
}

impl World {
    /// The world with `seed` and `people` people, at most [`MAX_PEOPLE`]. Every middle has about
    /// as many people as any other, and every value equally many middles, so that no answer is
    /// likelier than another.
    pub(super) fn new(seed: u64, people: usize) -> Self {
        let mut rng = stream(seed, "world");
        let mut names: Vec<String> = NAME_STARTS
            .iter()
            .flat_map(|start| NAME_ENDS.iter().map(move |end| format!("{start}{end}")))
            .collect();
        shuffle(&mut rng, &mut names);
        names.truncate(people);
        let mut dealt = |count: usize, kinds: usize| {
            // Where the kinds do not divide the count, chance decides which get one more.
            let offset = below(&mut rng, kinds);
            let mut hand: Vec<usize> = (0..count).map(|i| (i + offset) % kinds).collect();
            shuffle(&mut rng, &mut hand);
            hand
        };
        let middle_of = CHAINS
            .iter()
            .map(|c| dealt(names.len(), c.middles.len()))
            .collect();
        let value_of = CHAINS
            .iter()
            .map(|c| dealt(c.middles.len(), c.values.len()))
            .collect();
        Self {
            people: names,
            middle_of,
            value_of,
        }
    }

    /// First hop: the middle of `person` on `chain`.
    pub(super) fn middle(&self, person: usize, chain: usize) -> usize {
        self.middle_of[chain][person]
    }

    /// Second hop: the value of `middle` on `chain`.
    pub(super) fn value(&self, middle: usize, chain: usize) -> usize {
        self.value_of[chain][middle]
    }

    /// The first hop in words, in phrasing `how`, without capital and full stop.
    pub(super) fn say_first(&self, person: usize, chain: usize, how: usize) -> String {
        let middle = CHAINS[chain].middles[self.middle(person, chain)];
        CHAINS[chain].first[how]
            .replace("{p}", &self.people[person])
            .replace("{m}", middle)
    }

    /// The second hop in words.
    pub(super) fn say_second(&self, middle: usize, chain: usize, how: usize) -> String {
        let words = &CHAINS[chain];
        words.second[how]
            .replace("{m}", words.middles[middle])
            .replace("{v}", words.values[self.value(middle, chain)])
    }
}

/// A sentence from a clause: a capital in front, a full stop behind.
pub(super) fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{first}{}.", letters.as_str())
}
