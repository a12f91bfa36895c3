//! Which branches an adapter has beside a model's linear maps, and the arrays that these make.

use super::options::LoraTargets;
use super::options::{LoraOptions, is_called};
use crate::model::Architecture;
use crate::model::architecture::{ArrayId, ArraySpec, FileArray, Layout, OutputOrder, Part, Role};
use crate::model::dropout::LORA_SITE;
use crate::model::error::ModelError;

/// The branches of an adapter.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LoraShape {
    /// Of each branch.
    pub(crate) rank: usize,
    /// What each is multiplied by.
    pub(crate) scale: f32,
    /// In the order of [`Architecture::arrays`] and of the files that these are.
    pub(crate) branches: Vec<LoraBranch>,
}

/// One branch: beside a module of the files' layout, which may be some of the outputs of an array in memory.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LoraBranch {
    /// The weight in memory that it is beside.
    pub(crate) weight: ArrayId,
    /// Which of that array's files it is beside.
    file: usize,
    /// The files' module, without the family's prefix.
    pub(super) module: String,
    /// Inputs of the module.
    pub(crate) inputs: usize,
    /// The first of its outputs, of those in memory.
    pub(crate) first: usize,
    /// Its outputs.
    pub(crate) outputs: usize,
    /// Their order in files.
    order: OutputOrder,
    /// Whether files have the weight as `[inputs, outputs]`: GPT-2's `Conv1D`.
    pub(super) transposed: bool,
    /// The place of its dropout.
    pub(crate) site: u32,
}

impl LoraBranch {
    /// What the input goes through first, `[inputs, rank]`.
    pub(crate) fn a(&self) -> ArrayId {
        ArrayId {
            part: Part::LoraA(self.file),
            ..self.weight
        }
    }

    /// What that goes through then, `[rank, outputs]`, the outputs in the order of memory.
    pub(crate) fn b(&self) -> ArrayId {
        ArrayId {
            part: Part::LoraB(self.file),
            ..self.weight
        }
    }
}

impl LoraShape {
    /// The branches beside the linear maps of `architecture` that `options` name.
    ///
    /// # Errors
    /// A target is none of the modules.
    pub(crate) fn new(
        architecture: &Architecture,
        options: &LoraOptions,
    ) -> Result<Self, ModelError> {
        let prefix = architecture.family.prefix();
        let mut every = Vec::new();
        for spec in architecture.arrays() {
            let linear = matches!(
                spec.id.role,
                Role::QueryKeyValue | Role::AttentionOut | Role::Up | Role::Down
            );
            if let ([inputs, outputs], Part::Weight, true) =
                (spec.shape.as_slice(), spec.id.part, linear)
            {
                let sizes = [*inputs, *outputs];
                let files = spec.files.iter().enumerate();
                every.extend(files.map(|(file, of)| branch(spec.id, sizes, file, of)));
            }
        }
        if let LoraTargets::Modules(names) = &options.targets
            && let Some(name) = names.iter().find(|name| {
                !every
                    .iter()
                    .any(|branch| is_called(&branch.module, name, prefix))
            })
        {
            return Err(ModelError::LoraTarget {
                target: name.clone(),
                modules: last_names(&every),
            });
        }
        every.retain(|branch| options.targets.take(&branch.module, prefix));
        for (site, branch) in (LORA_SITE..).zip(&mut every) {
            branch.site = site;
        }
        Ok(Self {
            rank: options.rank,
            scale: options.scale(),
            branches: every,
        })
    }

    /// The branches beside a weight.
    pub(crate) fn of(&self, weight: ArrayId) -> impl Iterator<Item = &LoraBranch> {
        self.branches
            .iter()
            .filter(move |branch| branch.weight == weight)
    }

    /// The arrays of the branches, as PEFT names and lays them out, without what stands before all names.
    pub(crate) fn arrays(&self) -> Vec<ArraySpec> {
        let pairs = self.branches.iter().flat_map(|branch| {
            let (inputs, outputs, rank) = (branch.inputs, branch.outputs, self.rank);
            let whole = OutputOrder::Same;
            [
                spec(branch, branch.a(), [inputs, rank], whole),
                spec(branch, branch.b(), [rank, outputs], branch.order),
            ]
        });
        pairs.collect()
    }

    /// How many values the branches have.
    pub(crate) fn parameters(&self) -> usize {
        let sides = self.branches.iter();
        let sides = sides.map(|branch| branch.inputs + branch.outputs);
        self.rank * sides.sum::<usize>()
    }

    /// What the modules are called at the end of their names, each once.
    pub(super) fn module_names(&self) -> Vec<String> {
        last_names(&self.branches)
    }
}

fn branch(
    weight: ArrayId,
    [inputs, outputs]: [usize; 2],
    file: usize,
    of: &FileArray,
) -> LoraBranch {
    let (first, outputs, order) = match of.layout {
        Layout::Same => (0, outputs, OutputOrder::Same),
        Layout::Outputs { first, order } => (first, of.shape[0], order),
    };
    LoraBranch {
        weight,
        file,
        module: of.module().to_owned(),
        inputs,
        first,
        outputs,
        order,
        transposed: of.layout == Layout::Same,
        site: LORA_SITE,
    }
}

/// An array of a branch: in memory `[inputs, outputs]` as other linear maps, in files the other way round.
fn spec(
    branch: &LoraBranch,
    id: ArrayId,
    [inputs, outputs]: [usize; 2],
    order: OutputOrder,
) -> ArraySpec {
    let name = format!("{}.{}", branch.module, id.part.name());
    ArraySpec {
        id,
        shape: vec![inputs, outputs],
        name: name.clone(),
        files: vec![FileArray {
            name,
            shape: vec![outputs, inputs],
            layout: Layout::Outputs { first: 0, order },
        }],
    }
}

/// The last part of each name, in their order, each once.
fn last_names(branches: &[LoraBranch]) -> Vec<String> {
    let names = branches.iter();
    let names = names.filter_map(|branch| branch.module.rsplit('.').next());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}
