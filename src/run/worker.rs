//! Who carries stages out: threads here, or something elsewhere that is asked to.

use super::scheduler::Scheduler;
use crate::plan::Node;
use crate::stage::Environment;

/// Who carries stages out. A stage goes to the first worker away that takes it, or else to any of those here.
pub(crate) trait Worker: Sync {
    /// Whether it carries them out elsewhere.
    fn is_away(&self) -> bool {
        false
    }

    /// Whether it carries out such a stage.
    fn takes(&self, node: &Node) -> bool;

    /// Takes stages from the scheduler until none is left, and gives each back when it is over.
    fn work(&self, scheduler: &Scheduler<'_>);
}

/// One stage at a time, in this process.
pub(crate) struct Here<'a>(pub(crate) Environment<'a>);

impl Worker for Here<'_> {
    fn takes(&self, _: &Node) -> bool {
        true
    }

    fn work(&self, scheduler: &Scheduler<'_>) {
        scheduler.work(&self.0);
    }
}
