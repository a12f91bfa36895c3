//! The smallest difference that so many questions could show.

use super::normal::normal_quantile;

/// What two arms are compared by, and so how many questions a difference takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Design {
    /// The same questions for both arms (Connor 1987).
    Paired {
        /// The share of questions that only one of the arms answers rightly, 0 to 1.
        discordant: f64,
    },
    /// The same over several seeds: a question may be apart by a part.
    PairedOverSeeds {
        /// The mean square of the questions' differences, which for one seed is the discordant share.
        mean_square: f64,
    },
    /// Other questions for each arm, as many (Fleiss, Levin & Paik 2003, 4.2, without continuity
    /// correction): what can be said before there is a baseline to pair with.
    Independent {
        /// The arm's share, 0 to 1. The other arm's is sought on the side of one half, where shares
        /// vary more and a difference is harder to show.
        share: f64,
    },
}

/// The smallest difference of two shares, 0 to 1, that a two-sided test at `alpha` finds with chance
/// `power` on `n` questions. `None` where no difference is large enough, not even if all discordant
/// questions fell to one arm, and of an `alpha` or `power` that is not between 0 and 1.
///
/// It solves for `d`, with `z` the normal's quantiles at `1 - alpha / 2` and `power`, and, between
/// independent shares `p` and `q` a difference `d` apart with mean `m`:
///
/// ```text
/// paired       sqrt(n) d = z_alpha sqrt(s) + z_power sqrt(s - d^2), s the discordant share or mean square
/// independent  sqrt(n) d = z_alpha sqrt(2 m (1 - m)) + z_power sqrt(p (1 - p) + q (1 - q))
/// ```
pub fn smallest_difference(n: usize, design: Design, alpha: f64, power: f64) -> Option<f64> {
    let between = |p: f64| p > 0.0 && p < 1.0;
    if !(between(alpha) && between(power)) {
        return None;
    }
    let z_alpha = normal_quantile(1.0 - alpha / 2.0);
    let z_power = normal_quantile(power);
    let root_n = (n as f64).sqrt();
    // How much of the difference is missing; it falls as the difference grows.
    let short = |d: f64| match design {
        Design::Paired { discordant: s } | Design::PairedOverSeeds { mean_square: s } => {
            z_alpha * s.sqrt() + z_power * (s - d * d).max(0.0).sqrt() - root_n * d
        }
        Design::Independent { share } => {
            let other = if share <= 0.5 { share + d } else { share - d };
            let mean = f64::midpoint(share, other);
            z_alpha * (2.0 * mean * (1.0 - mean)).sqrt()
                + z_power * (share * (1.0 - share) + other * (1.0 - other)).sqrt()
                - root_n * d
        }
    };
    let largest = match design {
        Design::Paired { discordant } => discordant,
        Design::PairedOverSeeds { mean_square } => mean_square.sqrt(),
        Design::Independent { share } => share.max(1.0 - share),
    };
    if !(largest > 0.0 && short(largest) <= 0.0) {
        return None;
    }
    let (mut low, mut high) = (0.0, largest);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return Some(high);
        }
        if short(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixture;

    /// For 687 questions it is several points, whatever the design.
    #[test]
    fn strategyqas_test_split_shows_several_points() {
        let paired = Design::Paired { discordant: 0.3 };
        let d = smallest_difference(687, paired, 0.05, 0.8).unwrap();
        assert!((0.05..0.07).contains(&d), "{d}");
        let independent = Design::Independent { share: 0.54 };
        let d = smallest_difference(687, independent, 0.05, 0.8).unwrap();
        assert!((0.07..0.08).contains(&d), "{d}");
    }

    #[test]
    fn what_no_number_of_discordant_pairs_shows() {
        for (n, design) in [
            (687, Design::Paired { discordant: 0.0 }),
            (10, Design::Paired { discordant: 0.1 }),
            (10, Design::PairedOverSeeds { mean_square: 0.0 }),
            (0, Design::Independent { share: 0.5 }),
            (
                687,
                Design::Paired {
                    discordant: f64::NAN,
                },
            ),
        ] {
            assert_eq!(
                smallest_difference(n, design, 0.05, 0.8),
                None,
                "{design:?}"
            );
        }
    }

    #[test]
    fn agrees_with_scipy() {
        for case in fixture::load().smallest {
            let design = match (case.discordant, case.mean_square, case.share) {
                (Some(discordant), ..) => Design::Paired { discordant },
                (_, Some(mean_square), _) => Design::PairedOverSeeds { mean_square },
                (.., share) => Design::Independent {
                    share: share.unwrap(),
                },
            };
            let found = smallest_difference(case.n, design, case.alpha, case.power);
            fixture::close(found.unwrap(), case.difference);
        }
    }
}
