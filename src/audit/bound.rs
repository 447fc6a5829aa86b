//! The exact binomial bound: what a count of losses allows the true rate to be.

/// The one-sided 95 % bound of Clopper and Pearson on a rate of which `hits` were seen in `trials`; 3/n (the rule of
/// three) when none was. Nothing without trials.
#[must_use]
pub fn upper_95(hits: u64, trials: u64) -> Option<f64> {
    if trials == 0 {
        return None;
    }
    if hits >= trials {
        return Some(1.0);
    }
    let n = trials as f64;
    if hits == 0 {
        return Some((3.0 / n).min(1.0));
    }
    // At the bound, so few hits or fewer have a probability of 5 %; the probability falls as the rate rises.
    let (mut low, mut high) = (hits as f64 / n, 1.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if at_most(hits, trials, middle) > 0.05 { low = middle } else { high = middle }
    }
    Some(high)
}

/// The probability of `hits` or fewer in `trials` at a rate above hits / trials.
fn at_most(hits: u64, trials: u64, rate: f64) -> f64 {
    if rate >= 1.0 {
        return 0.0;
    }
    let (k, n) = (hits as f64, trials as f64);
    let ln_term = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k) + k * rate.ln() + (n - k) * (-rate).ln_1p();
    // Above the mean the terms fall towards 0 hits: summed downwards, relative to the first, until they no longer count.
    let (mut relative, mut sum, mut i) = (1.0, 1.0, k);
    while i > 0.0 && relative > sum * 1e-16 {
        relative *= i / (n - i + 1.0) * (1.0 - rate) / rate;
        sum += relative;
        i -= 1.0;
    }
    (ln_term + sum.ln()).exp()
}

/// ln n!: summed for small n, by Stirling's series (error below 1e-12) beyond.
fn ln_factorial(n: f64) -> f64 {
    if n < 64.0 {
        let (mut ln, mut i) = (0.0, 2.0);
        while i <= n {
            ln += f64::ln(i);
            i += 1.0;
        }
        return ln;
    }
    n * n.ln() - n + 0.5 * (2.0 * std::f64::consts::PI * n).ln() + 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3))
        + 1.0 / (1260.0 * n.powi(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_the_tables() {
        // By the beta distribution: the 95 % quantile of Beta(hits + 1, trials - hits).
        let cases: [(u64, u64, f64); 7] = [
            (0, 1_000, 0.003),
            (0, 2, 1.0),
            (1, 10, 0.394_163_3),
            (2, 10, 0.506_901_3),
            (5, 10, 0.777_558_9),
            (9, 10, 0.994_883_8),
            (1, 1_000, 0.004_735_0),
        ];
        for (hits, trials, want) in cases {
            let bound = upper_95(hits, trials).expect("there are trials");
            assert!((bound - want).abs() < 2e-6, "{hits} of {trials}: {bound}, not {want}");
        }
        assert_eq!(upper_95(0, 0), None);
        assert_eq!(upper_95(7, 7), Some(1.0));
    }

    #[test]
    fn large_counts_neither_overflow_nor_stall() {
        let bound = upper_95(40_000, 100_000_000).expect("there are trials");
        // Close to the normal approximation, k + 1.645 sqrt(k).
        assert!((bound - 4.033e-4).abs() < 2e-7, "{bound}");
    }

    #[test]
    fn more_losses_never_lower_the_bound() {
        for trials in [1, 2, 3, 10, 64, 65, 500] {
            let bounds: Vec<f64> = (1..=trials).filter_map(|hits| upper_95(hits, trials)).collect();
            assert!(bounds.is_sorted(), "{trials}: {bounds:?}");
        }
    }
}
