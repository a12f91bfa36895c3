//! What was learned from a stage's paths: who answers greedily before and after a training on them.

use std::collections::BTreeSet;

use super::{NodeId, Plan};
use crate::artifact::ArtifactKind;

/// A student that wrote paths, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Learned {
    /// The paths' questions.
    pub questions: (NodeId, &'static str),
    /// The answers of the student that wrote the paths.
    pub before: NodeId,
    /// The answers of students that were trained on them, in order.
    pub after: Vec<NodeId>,
}

impl Plan {
    /// What was learned from the paths of `paths`; `None` where no student of the manifest wrote them, or where no greedy answers
    /// are asked for before and after a training on them.
    pub(crate) fn learned_from(&self, paths: NodeId) -> Option<Learned> {
        let mut sampler = paths;
        // Stages between filter, score and join; the one that takes no paths wrote them.
        while let Some((from, _)) = self.input(sampler, ArtifactKind::Paths) {
            sampler = from;
        }
        let writer = self.input(sampler, ArtifactKind::Model)?;
        let after: Vec<NodeId> = (self.order().iter())
            .filter(|id| self.node(**id).kind.output(ArtifactKind::Model).is_some())
            .filter(|id| self.reads_paths_of(**id, paths))
            .filter_map(|id| {
                let output = self.node(*id).kind.output(ArtifactKind::Model)?;
                self.greedy_answers((*id, output.name))
            })
            .collect();
        Some(Learned {
            questions: self.input(sampler, ArtifactKind::Questions)?,
            before: self.greedy_answers(writer)?,
            after: (!after.is_empty()).then_some(after)?,
        })
    }

    /// `of` and all stages that have to run again where it makes something else, in order.
    pub(crate) fn behind(&self, of: NodeId) -> Vec<NodeId> {
        let mut behind = BTreeSet::from([of]);
        for &id in self.order() {
            if self
                .inputs(id)
                .values()
                .any(|(from, _)| behind.contains(from))
            {
                behind.insert(id);
            }
        }
        let order = self.order().iter().copied();
        order.filter(|id| behind.contains(id)).collect()
    }

    /// The first stage that lets the student of `model` answer, always in the most probable words.
    fn greedy_answers(&self, model: (NodeId, &'static str)) -> Option<NodeId> {
        let greedy = |id: NodeId| {
            let param = |name: &str| self.node(id).params.get(name);
            param("temperature").is_some_and(|value| value.as_f64() == Some(0.0))
                && param("branching").is_none_or(|value| value == "none")
        };
        let answers = |id: NodeId| {
            self.node(id)
                .kind
                .output(ArtifactKind::Predictions)
                .is_some()
                && self.input(id, ArtifactKind::Model) == Some(model)
        };
        let mut order = self.order().iter().copied();
        order.find(|&id| answers(id) && greedy(id))
    }

    /// Whether paths of `wanted` come in at `id`, on whatever way.
    fn reads_paths_of(&self, id: NodeId, wanted: NodeId) -> bool {
        let mut open = vec![id];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            for (from, output) in self.inputs(id).into_values() {
                let outputs = self.node(from).kind.outputs();
                let of_paths = (outputs.iter())
                    .any(|each| each.name == output && each.kind == ArtifactKind::Paths);
                if of_paths && from == wanted {
                    return true;
                }
                if of_paths && seen.insert(from) {
                    open.push(from);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::{self, Changes};
    use crate::stage::KINDS;

    #[test]
    fn the_paths_of_a_student_have_a_before_and_an_after() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/quickstart.toml");
        let manifest = manifest::load(&path, &Changes::default(), KINDS).unwrap();
        let plan = Plan::new(&manifest).unwrap();
        let name = |id: NodeId| plan.node(id).name();
        for paths in ["sampled", "kept"] {
            let learned = plan.learned_from(plan.find(paths).unwrap()).unwrap();
            assert_eq!(name(learned.before), "predict-untrained");
            let after: Vec<&str> = learned.after.into_iter().map(name).collect();
            assert_eq!(after, ["predict-sert"]);
            assert_eq!(learned.questions, (plan.find("data").unwrap(), "train"));
        }
        // Nobody here wrote a teacher's paths.
        assert_eq!(plan.learned_from(plan.find("teacher").unwrap()), None);
        let behind: Vec<&str> = (plan.behind(plan.find("kept").unwrap()).into_iter())
            .map(name)
            .collect();
        assert!(behind.starts_with(&["kept", "sert"]), "{behind:?}");
        assert!(
            !behind.contains(&"rd") && behind.contains(&"eval-sert-rd"),
            "{behind:?}"
        );
    }
}
