//! A batch under way and its steps: launched operation by operation, or captured once as a graph, which a card runs again
//! as one launch.
//!
//! A graph is of operations on memory: it reads and writes what was read and written while it was captured. So keys and values, and
//! what a step is told, are changed where they are, by one thread, whose stream is the graph's; where they could not be, the
//! graph is dropped and captured again.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use burn::tensor::{Graph, Int, Tensor, capture};

use super::super::network::{Copies, DecodeBatch, Network, Next, step_input};
use super::row::{AskedRows, Wanted};

/// Steps of a batch before they are captured: that costs five of them, and a batch may end soon.
const EAGER_STEPS: usize = 4;
/// Steps of a graph that are launched one by one too, and what a draw asks of them compared: the first shows what was captured, the second that it
/// reads what is new.
const CHECKED_STEPS: usize = 2;

/// Keys and values of some sequences, and how they go on.
pub(super) struct StepBatch {
    // Not `Arc`: a stream is a thread's.
    memory: Rc<RefCell<StepMemory>>,
    graph: Option<StepGraph>,
    eager_steps: usize,
}

/// What a step reads and writes, and the next one finds there.
struct StepMemory {
    batch: DecodeBatch,
    /// Each place's token, then each one's position: `[2 * places]`.
    input: Tensor<1, Int>,
}

/// A step as a graph.
struct StepGraph {
    graph: Graph<AskedRows, Box<dyn FnMut() -> AskedRows>>,
    unchecked: usize,
}

impl StepBatch {
    /// A batch of so many places, empty.
    pub(super) fn new(network: &Network, places: usize, bucket: usize) -> Self {
        let memory = StepMemory {
            batch: DecodeBatch::new(network, places, bucket),
            input: step_input(&vec![Next::default(); places], &network.device()),
        };
        Self {
            memory: Rc::new(RefCell::new(memory)),
            graph: None,
            eager_steps: 0,
        }
    }

    /// The length, in tokens, that its keys and values have.
    pub(super) fn bucket(&self) -> usize {
        self.memory.borrow().batch.bucket
    }

    /// Its keys and values as they are, for [`StepBatch::put`] of another one.
    pub(super) fn keys_and_values(&self) -> DecodeBatch {
        self.memory.borrow().batch.clone()
    }

    /// As [`DecodeBatch::put`].
    pub(super) fn put(&mut self, other: &DecodeBatch, copies: &Copies) {
        self.before_a_change();
        self.memory.borrow_mut().batch.put(other, copies);
    }

    /// Asks for one more token of each place; nothing waits, but where a graph is compared. With `graphs`, steps become one
    /// after the first few. All steps of a batch want the same.
    ///
    /// # Shapes
    /// `next` of each place.
    ///
    /// # Panics
    /// The device fails; a graph gives other numbers than its operations do.
    pub(super) fn step(
        &mut self,
        network: &Arc<Network>,
        next: &[Next],
        wanted: Wanted,
        graphs: bool,
    ) -> AskedRows {
        self.before_a_change();
        self.tell(step_input(next, &network.device()));
        if !graphs || (self.graph.is_none() && self.eager_steps < EAGER_STEPS) {
            self.eager_steps += 1;
            return self.memory.borrow_mut().step(network, wanted);
        }
        let graph = self
            .graph
            .get_or_insert_with(|| StepGraph::capture(&self.memory, network, wanted));
        let rows = graph.replay();
        if graph.unchecked > 0 {
            graph.unchecked -= 1;
            let launched = self.memory.borrow_mut().step(network, wanted);
            assert!(
                rows.is_same(&launched),
                "a step as a graph gave other numbers than launched operation by operation"
            );
        }
        rows
    }

    /// What the next step reads is about to change. A graph reads on where it was, so it goes where that would not stay there.
    fn before_a_change(&mut self) {
        if !self.memory.borrow().stays() {
            self.graph = self.graph.take().filter(StepGraph::launches);
            if self.graph.is_none() {
                self.eager_steps = 0;
            }
        }
    }

    /// Tells the next step tokens and positions: a graph where it was told them before.
    fn tell(&mut self, input: Tensor<1, Int>) {
        let told = &mut self.memory.borrow_mut().input;
        match &self.graph {
            None => *told = input,
            Some(_) => told.inplace(|old| {
                let all = 0..old.dims()[0];
                old.slice_assign([all], input)
            }),
        }
    }
}

impl StepMemory {
    fn step(&mut self, network: &Network, wanted: Wanted) -> AskedRows {
        AskedRows::new(network.decode(&mut self.batch, &self.input), wanted)
    }

    /// Whether what changes its tensors changes them where they are.
    fn stays(&self) -> bool {
        self.input.can_mut() && self.batch.is_alone()
    }
}

impl StepGraph {
    /// Runs the step four times, which changes nothing more than once does, and keeps the last.
    fn capture(memory: &Rc<RefCell<StepMemory>>, network: &Arc<Network>, wanted: Wanted) -> Self {
        let device = network.device();
        let (memory, network) = (Rc::clone(memory), Arc::clone(network));
        let step = move || memory.borrow_mut().step(&network, wanted);
        Self {
            graph: capture(&device, Box::new(step)),
            unchecked: CHECKED_STEPS,
        }
    }

    /// The step's numbers; those of the one before are overwritten.
    #[expect(unsafe_code, reason = "burn leaves to its caller what a graph reads")]
    fn replay(&mut self) -> AskedRows {
        // SAFETY: what the captured step read and wrote is alive, being the closure's own (network, keys and values, input) or
        // the graph's (its output), and CubeCL keeps the pages of all of it, of what came between too, from others while
        // the graph is there. It is where it was: `StepBatch::before_a_change` drops the graph where a change would have moved
        // it. `Rc` keeps all of it on one thread, so on the stream of the capture, and nobody else has a hand on it.
        unsafe { self.graph.replay() }.clone()
    }

    /// Whether it launches its operations one by one after all: what it reads may be anywhere then.
    fn launches(&self) -> bool {
        !self.graph.is_hardware()
    }
}
