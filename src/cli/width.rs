//! How wide the terminal is that tables are printed on.

use std::io::IsTerminal as _;

use clap::Args;
use console::Term;

use crate::report::Width;

/// How wide tables may be.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct WidthArgs {
    /// Print tables as wide as they are, in one block; by default they fit the terminal, or COLUMNS where that is set
    #[arg(long)]
    wide: bool,
}

impl WidthArgs {
    /// The width for what goes to stdout. What is no terminal takes any, so that a file does not depend on a window.
    pub(crate) fn stdout(self) -> Width {
        if self.wide {
            return Width::FREE;
        }
        let set = std::env::var("COLUMNS").ok();
        let set = set
            .and_then(|text| text.parse().ok())
            .filter(|&columns| columns > 0);
        let of_terminal = || {
            let is_terminal = std::io::stdout().is_terminal();
            let size = is_terminal.then(|| Term::stdout().size_checked());
            // A terminal that does not know its size says 0.
            size.flatten()
                .map(|(_, columns)| columns)
                .filter(|&columns| columns > 0)
        };
        set.or_else(of_terminal).map_or(Width::FREE, Width::of)
    }
}
