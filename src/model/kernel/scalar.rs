//! Logarithm and exponential in f64, written out so that no platform's mathematics library decides a
//! draw or a bit of a log-probability.

/// Natural logarithm of a positive finite number, within 2 units in the last place or 1e-16.
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    // The mantissa in [sqrt(1/2), sqrt(2)).
    let shifted = bits.wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits());
    let exponent = shifted.cast_signed() >> 52;
    let mantissa = f64::from_bits(bits.wrapping_sub((exponent << 52).cast_unsigned()));
    // ln m = 2 artanh s. As |s| < 0.172, the first term that is left out is below 2e-20 of the sum.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut series = 0.0;
    for odd in (1..=23).rev().step_by(2) {
        series = series * square + 1.0 / f64::from(odd);
    }
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * s * series
}

/// `exp` of a number that is not positive, within 2 units in the last place; 0 below -700.
pub(crate) fn exp(x: f64) -> f64 {
    /// ln 2 in two parts; the first has 32 bits, so its products with exponents are exact.
    const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    if x < -700.0 {
        return 0.0;
    }
    let n = (x * std::f64::consts::LOG2_E).round_ties_even();
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    // As |r| < 0.347, the first term that is left out is below 1e-18.
    let mut series = 1.0;
    for i in (1..=14).rev() {
        series = 1.0 + series * r / f64::from(i);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an integer between -1010 and 0"
    )]
    let exponent = (n as i64 + 1023) << 52;
    series * f64::from_bits(exponent.cast_unsigned())
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_exponential_agree_with_the_platforms() {
        for i in 1..20_000 {
            let x = f64::from(i) * 7.3;
            assert!(
                (ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(0.5),
                "ln {x}"
            );
            let x = 1.0 + f64::from(i) / 10_000.0;
            assert!(
                (ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(0.5),
                "ln {x}"
            );
            let x = -f64::from(i) * 0.03;
            assert!((exp(x) / x.exp() - 1.0).abs() < 5e-16, "exp {x}");
        }
        assert_eq!((ln(1.0), exp(0.0), exp(-1e9)), (0.0, 1.0, 0.0));
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
    }
}
