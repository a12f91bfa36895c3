//! McNemar's exact test of two shares on the same questions.

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

/// The outcome of McNemar's exact test.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct McNemar {
    /// Pairs where only the first holds.
    pub only_a: usize,
    /// Pairs where only the second holds.
    pub only_b: usize,
    /// Two-sided p-value.
    pub p: f64,
}

/// McNemar's exact test (1947; as statsmodels' `mcnemar(exact=True)`): the pairs that disagree go
/// either way with equal chance, so p is twice the binomial tail of the rarer way, at most 1. No
/// pair that disagrees: p is 1.
pub fn mcnemar(pairs: impl IntoIterator<Item = (bool, bool)>) -> McNemar {
    let (mut only_a, mut only_b) = (0, 0);
    for (a, b) in pairs {
        only_a += usize::from(a && !b);
        only_b += usize::from(b && !a);
    }
    let disagree = (only_a + only_b) as u64;
    let coin = Binomial::new(0.5, disagree).expect("one half is a probability");
    McNemar {
        only_a,
        only_b,
        p: (2.0 * coin.cdf(only_a.min(only_b) as u64)).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixture;

    fn of(only_a: usize, only_b: usize) -> McNemar {
        let pairs = std::iter::repeat_n((true, false), only_a)
            .chain(std::iter::repeat_n((false, true), only_b))
            .chain([(true, true), (false, false)]);
        mcnemar(pairs)
    }

    #[test]
    fn by_hand() {
        // 1 of 6: 2 (1 + 6) / 64.
        assert!((of(1, 5).p - 14.0 / 64.0).abs() < 1e-15);
        assert_eq!(of(5, 1).p.to_bits(), of(1, 5).p.to_bits());
        assert_eq!((of(5, 1).only_a, of(5, 1).only_b), (5, 1));
        assert!((of(0, 0).p - 1.0).abs() < 1e-15);
        assert!((of(3, 3).p - 1.0).abs() < 1e-15);
    }

    #[test]
    fn agrees_with_statsmodels() {
        for (only_a, only_b, p) in fixture::load().mcnemar {
            fixture::close_relative(of(only_a, only_b).p, p);
        }
    }
}
