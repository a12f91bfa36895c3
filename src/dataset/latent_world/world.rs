//! The facts, and who is asked about where.

use super::LatentWorldParams;
use super::random::{below, shuffle, stream};
use super::words::{Link, MAX_HOPS, NAMES, TOPICS, filled};

/// Which questions ask about a pair of person and topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Test,
    Train,
    /// Those of the pretraining text.
    Text,
}

/// Who, and on which topic: what a question is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Pair {
    pub(super) person: usize,
    pub(super) topic: usize,
}

/// All facts of a world.
pub(super) struct World {
    /// Everybody's name.
    pub(super) people: Vec<&'static str>,
    /// How many topics and hops there are, and values of a topic.
    pub(super) topics: usize,
    pub(super) hops: usize,
    pub(super) values: usize,
    middles: usize,
    /// By topic, link and subject: the object.
    objects: Vec<[Vec<usize>; MAX_HOPS]>,
    /// By topic and person.
    parts: Vec<Vec<Part>>,
}

impl World {
    /// The world of `params`, which were checked. Within each part of each topic every value has as many people as any
    /// other, so that no value tells an answer.
    pub(super) fn new(params: &LatentWorldParams) -> Self {
        let mut rng = stream(params.seed, "world");
        let mut people = NAMES.to_vec();
        shuffle(&mut rng, &mut people);
        people.truncate(params.people);
        let mut objects = Vec::new();
        let mut parts = Vec::new();
        for _ in 0..params.topics {
            let mut value_of: Vec<usize> = (0..params.middles).map(|m| m % params.values).collect();
            shuffle(&mut rng, &mut value_of);
            let mut end_of: Vec<usize> = (0..params.values).collect();
            shuffle(&mut rng, &mut end_of);
            // Test people are the same for all topics; the others part anew.
            let mut others: Vec<usize> = (params.test_people..params.people).collect();
            shuffle(&mut rng, &mut others);
            let mut test: Vec<usize> = (0..params.test_people).collect();
            shuffle(&mut rng, &mut test);
            let (train, text) = others.split_at(params.train_people);
            let mut middle_of = vec![0; params.people];
            let mut part_of = vec![Part::Text; params.people];
            // Of each value its middles take turns, whatever the part.
            let mut turns: Vec<usize> = (0..params.values).map(|_| below(&mut rng, 100)).collect();
            for (part, group) in [
                (Part::Test, &*test),
                (Part::Train, train),
                (Part::Text, text),
            ] {
                for (i, &person) in group.iter().enumerate() {
                    let value = i % params.values;
                    let with: Vec<usize> = (0..params.middles)
                        .filter(|&m| value_of[m] == value)
                        .collect();
                    middle_of[person] = with[turns[value] % with.len()];
                    turns[value] += 1;
                    part_of[person] = part;
                }
            }
            objects.push([middle_of, value_of, end_of]);
            parts.push(part_of);
        }
        Self {
            people,
            topics: params.topics,
            hops: params.hops,
            values: params.values,
            middles: params.middles,
            objects,
            parts,
        }
    }

    /// All pairs that `part` asks about, by topic, then person.
    pub(super) fn pairs(&self, part: Part) -> Vec<Pair> {
        let mut pairs = self.all_pairs();
        pairs.retain(|pair| self.parts[pair.topic][pair.person] == part);
        pairs
    }

    /// Every pair.
    pub(super) fn all_pairs(&self) -> Vec<Pair> {
        let pairs = |topic| (0..self.people.len()).map(move |person| Pair { person, topic });
        (0..self.topics).flat_map(pairs).collect()
    }

    /// What answers a question about `pair`: the end of its chain.
    pub(super) fn value(&self, pair: Pair) -> usize {
        self.chain(pair).last().map_or(0, |fact| fact.object)
    }

    /// The words for the values of a topic.
    pub(super) fn value_words(&self, topic: usize) -> &'static [&'static str] {
        &TOPICS[topic].links[self.hops - 1].objects[..self.values]
    }

    /// The facts that lead from the person to the value.
    pub(super) fn chain(&self, pair: Pair) -> Vec<Fact> {
        let mut subject = pair.person;
        let links = (0..self.hops).map(|link| {
            let object = self.objects[pair.topic][link][subject];
            let fact = Fact {
                topic: pair.topic,
                link,
                subject,
                object,
            };
            subject = object;
            fact
        });
        links.collect()
    }

    /// Every fact, each once.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for topic in 0..self.topics {
            for (link, subjects) in [self.people.len(), self.middles, self.values]
                .into_iter()
                .enumerate()
                .take(self.hops)
            {
                facts.extend((0..subjects).map(|subject| {
                    let object = self.objects[topic][link][subject];
                    Fact {
                        topic,
                        link,
                        subject,
                        object,
                    }
                }));
            }
        }
        facts
    }

    /// Every name and every thing that facts are about.
    #[cfg(test)]
    pub(super) fn words(&self) -> Vec<&'static str> {
        let mut words = self.people.clone();
        for topic in &TOPICS[..self.topics] {
            let counts = [self.middles, self.values, self.values];
            let links = topic.links[..self.hops].iter().zip(counts);
            words.extend(links.flat_map(|(link, count)| &link.objects[..count]));
        }
        words
    }

    /// A fact in words, in phrasing `how`, without capital and full stop.
    pub(super) fn say(&self, fact: Fact, how: usize) -> String {
        let links = &TOPICS[fact.topic].links;
        let Link { objects, phrasings } = &links[fact.link];
        let subject = match fact.link.checked_sub(1) {
            None => self.people[fact.subject],
            Some(before) => links[before].objects[fact.subject],
        };
        filled(
            phrasings[how],
            &[("{s}", subject), ("{o}", objects[fact.object])],
        )
    }
}

/// A fact: what its subject is linked to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Fact {
    pub(super) topic: usize,
    pub(super) link: usize,
    /// A person of the first link, an object of the link before of the others.
    pub(super) subject: usize,
    pub(super) object: usize,
}
