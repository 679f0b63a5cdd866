//! Chances of counts: how likely a number of rare events reaches a bound.
//!
//! Sums over the shorter tail, its first term by logarithms, so that nothing overflows and what is
//! unlikely keeps its digits.

/// How likely a Poisson variable with this mean is at least `least`. It is also how likely `least`
/// waits of exponential length, whose mean is 1, are over after `mean`.
pub(crate) fn poisson_at_least(mean: f64, least: u64) -> f64 {
    let count = least as f64;
    if least == 0 || mean == f64::INFINITY {
        1.0
    } else if mean <= 0.0 {
        0.0
    } else if count > mean {
        let first = ln_poisson(mean, count);
        sum(first, |step| mean / (count + step))
    } else {
        let first = ln_poisson(mean, count - 1.0);
        1.0 - sum(first, |step| (count - step) / mean)
    }
}

/// How likely at least `least` of `tries` succeed, each with the chance `chance`.
pub(super) fn binomial_at_least(tries: u64, chance: f64, least: u64) -> f64 {
    if least == 0 {
        return 1.0;
    }
    if least > tries || chance <= 0.0 {
        return 0.0;
    }
    if chance >= 1.0 {
        return 1.0;
    }
    let (n, count, odds) = (tries as f64, least as f64, chance / (1.0 - chance));
    if count > n * chance {
        let first = ln_binomial(tries, chance, least);
        sum(first, |step| (n - count - step + 1.0) / (count + step) * odds)
    } else {
        let first = ln_binomial(tries, chance, least - 1);
        1.0 - sum(first, |step| (count - step) / ((n - count + step + 1.0) * odds))
    }
}

/// The sum of terms that shrink: the first by its logarithm, the others by their ratio to the one
/// before, steps counted from 1.
fn sum(ln_first: f64, ratio: impl Fn(f64) -> f64) -> f64 {
    let mut term = ln_first.exp();
    let (mut sum, mut step) = (term, 1.0);
    while term > sum * f64::EPSILON / 16.0 {
        term *= ratio(step).max(0.0);
        sum += term;
        step += 1.0;
    }
    sum.clamp(0.0, 1.0)
}

/// The logarithm of a Poisson variable's chance to be `count`, a whole number.
fn ln_poisson(mean: f64, count: f64) -> f64 {
    count * mean.ln() - mean - ln_factorial(count)
}

fn ln_binomial(tries: u64, chance: f64, count: u64) -> f64 {
    let (n, k) = (tries as f64, count as f64);
    // One factor at a time: differences of large factorials would cost the digits that matter.
    let choices: f64 = (0..count).map(|i| ((n - i as f64) / (k - i as f64)).ln()).sum();
    choices + k * chance.ln() + (n - k) * (-chance).ln_1p()
}

/// The logarithm of `1 · 2 · … · count`.
fn ln_factorial(count: f64) -> f64 {
    /// From here on Stirling's series is exact to the last digit.
    const STIRLING: f64 = 64.0;
    if count < STIRLING {
        return (2..=count as u32).map(|factor| f64::from(factor).ln()).sum();
    }
    let inverse = 1.0 / count;
    let series = inverse / 12.0 - inverse.powi(3) / 360.0 + inverse.powi(5) / 1260.0;
    (count + 0.5) * count.ln() - count + 0.5 * core::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-300)
    }

    #[test]
    fn factorials_meet_where_the_series_begins() {
        for count in [64_u32, 65, 100, 170] {
            let product: f64 = (1..=count).map(|factor| f64::from(factor).ln()).sum();
            assert!(close(ln_factorial(count.into()), product), "{count}");
        }
    }

    #[test]
    fn small_cases_are_counted() {
        // Two coins: both heads, at least one, any.
        let coins = |least| binomial_at_least(2, 0.5, least);
        assert_eq!([coins(0), coins(3)], [1.0, 0.0]);
        assert!(close(coins(1), 0.75) && close(coins(2), 0.25));
        assert!(close(poisson_at_least(1.0, 1), 1.0 - (-1.0_f64).exp()));
        assert!(close(poisson_at_least(2.0, 3), 1.0 - 5.0 * (-2.0_f64).exp()));
        assert_eq!(poisson_at_least(0.0, 1), 0.0);
        assert_eq!(poisson_at_least(f64::INFINITY, 9), 1.0);
    }

    /// By mpmath with 30 digits: `gammainc(least, 0, mean, regularized=True)`, and `betainc`.
    #[test]
    fn tails_are_those_of_another_library() {
        for (mean, least, expected) in [
            (26.0, 37, 0.024_380_236_595_433_5),
            (26.0, 5, 0.999_999_885_888_497),
            (100.0, 200, 9.343_150_072_983_89e-19),
            (18.0, 18, 0.531_352_330_444_664),
            (1e6, 1_000_001, 0.499_734_038_513_716),
            (900.0, 1024, 2.753_930_176_335_94e-5),
        ] {
            let found = poisson_at_least(mean, least);
            assert!((found / expected - 1.0).abs() < 1e-7, "{mean} {least}: {found} {expected}");
        }
        let found = binomial_at_least(1024, 26.0 / 1024.0, 37);
        assert!(close(found, 0.022_871_406_843_762_1), "{found}");
    }

    proptest! {
        #[test]
        fn tails_fall_with_the_bound_and_rise_with_the_mean(
            mean in 0.01_f64..5000.0, more in 0.0_f64..100.0, least in 0_u64..3000,
        ) {
            let chance = poisson_at_least(mean, least);
            prop_assert!((0.0..=1.0).contains(&chance));
            prop_assert!(poisson_at_least(mean, least + 1) <= chance + 1e-12);
            prop_assert!(poisson_at_least(mean + more, least) >= chance - 1e-12);
        }

        #[test]
        fn many_tries_with_a_small_chance_are_poisson_s(
            mean in 1.0_f64..200.0, least in 0_u64..300,
        ) {
            let tries = 1_u64 << 40;
            let binomial = binomial_at_least(tries, mean / tries as f64, least);
            prop_assert!((binomial - poisson_at_least(mean, least)).abs() < 1e-9);
        }

        #[test]
        fn tails_of_either_side_are_one_whole(
            tries in 1_u64..400, chance in 0.001_f64..0.999, least in 0_u64..400,
        ) {
            // At least so many successes, or more failures than that leaves.
            let failures = (tries + 1).saturating_sub(least);
            let reached = binomial_at_least(tries, chance, least);
            let missed = binomial_at_least(tries, 1.0 - chance, failures);
            let whole = reached + missed;
            prop_assert!((whole - 1.0).abs() < 1e-9, "{whole}");
        }
    }
}
