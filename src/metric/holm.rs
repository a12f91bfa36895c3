//! Holm's correction for several tests.

/// Holm's step-down correction (1979; as statsmodels' `multipletests(method="holm")`) of the p-values
/// of one family, in the order given: each is multiplied with the number of tests at or above it, is
/// at least the smaller ones' corrected value, and at most 1. Comparing these with alpha keeps the
/// chance of any false claim in the family at alpha.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![0.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        least = least.max((p.len() - rank) as f64 * p[at]);
        corrected[at] = least.min(1.0);
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixture;

    #[test]
    fn by_hand() {
        let found = holm(&[0.04, 0.01, 0.03]);
        assert_eq!(found.len(), 3);
        for (found, expected) in found.iter().zip([0.06, 0.03, 0.06]) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn agrees_with_statsmodels() {
        for case in fixture::load().holm {
            let found = holm(&case.p);
            assert_eq!(found.len(), case.corrected.len());
            for (found, expected) in found.iter().zip(&case.corrected) {
                fixture::close(*found, *expected);
            }
        }
    }
}
