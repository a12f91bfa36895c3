//! How far two lists of numbers are apart, so that whatever compares it with a tolerance fails where a number is none.

/// The largest difference of two lists, place by place: infinite where they are not of one length, NaN where a number
/// is NaN. `f64::max` would pass over it.
pub(super) fn furthest<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let differences = a
        .iter()
        .zip(b)
        .map(|(a, b)| ((*a).into() - (*b).into()).abs());
    differences.fold(0.0, |most, next| {
        // Whichever is NaN stays.
        if next > most || next.is_nan() {
            next
        } else {
            most
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_within_no_tolerance() {
        let (one, nan, far) = ([1.0_f32, 2.0], f32::NAN, f32::INFINITY);
        assert!((furthest(&one, &[1.5, 1.0]) - 1.0).abs() < 1e-12);
        assert_eq!(furthest::<f64>(&[], &[]).to_bits(), 0.0_f64.to_bits());
        for other in [
            &[nan, 2.0][..],
            &[1.0, nan],
            &[nan, nan],
            &[1.0, far],
            &[1.0],
            &[],
        ] {
            for (a, b) in [(&one[..], other), (other, &one[..])] {
                let distance = furthest(a, b);
                assert!(distance.is_nan() || distance == f64::INFINITY, "{other:?}");
            }
        }
        // A number after it does not hide it, and what cannot be told apart from infinity is no match.
        assert!(furthest(&[nan, 1.0], &[0.0, 0.0]).is_nan());
        assert!(furthest(&[far], &[far]).is_nan());
    }
}
