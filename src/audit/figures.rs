//! How figures read in the audit's sentences.

/// A count with its thousands apart: `86,400`.
#[must_use]
pub fn grouped(count: impl Into<u128>) -> String {
    let digits = count.into().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of one as per cent without idle zeros: `99.9 %`.
#[must_use]
pub fn per_cent(share: f64) -> String {
    format!("{} %", trimmed(share * 100.0, 6))
}

/// A share that it lies below, so rounded up: per cent down to a thousandth, and smaller ones by the power of ten,
/// `3.5 · 10⁻⁵`.
#[must_use]
pub fn at_most(share: f64) -> String {
    let share = rounded_up(share);
    if share == 0.0 || share >= 0.001 { per_cent(share) } else { scientific(share) }
}

/// Two significant digits, rounded up.
#[must_use]
pub(super) fn rounded_up(number: f64) -> f64 {
    if number <= 0.0 || !number.is_finite() {
        return number;
    }
    let unit = 10_f64.powf(number.log10().floor() - 1.0);
    // What is a bit above by the error of the arithmetic is not above.
    (number / unit - 1e-9).ceil() * unit
}

pub(super) fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn scientific(number: f64) -> String {
    let text = format!("{number:.1e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
    let raised: String = exponent
        .chars()
        .map(|digit| match digit {
            '-' => '⁻',
            '0' => '⁰',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            '9' => '⁹',
            other => other,
        })
        .collect();
    format!("{mantissa} · 10{raised}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well_and_bounds_are_never_too_low() {
        for (count, want) in [(0_u64, "0"), (999, "999"), (86_400, "86,400"), (2_592_000, "2,592,000")] {
            assert_eq!(grouped(count), want);
        }
        for (share, want) in [(0.999, "99.9 %"), (0.999_9, "99.99 %"), (0.5, "50 %"), (1.0, "100 %"), (0.0, "0 %")] {
            assert_eq!(per_cent(share), want);
        }
        let bounds = [
            (3.0 / 86_400.0, "3.5 · 10⁻⁵"),
            (3.0 / 864_000.0, "3.5 · 10⁻⁶"),
            (3.0 / 2_592_000.0, "1.2 · 10⁻⁶"),
            (3.0 / 1_000.0, "0.3 %"),
            (0.003_01, "0.31 %"),
            (9.91e-5, "1.0 · 10⁻⁴"),
            (0.394_2, "40 %"),
            (1.0, "100 %"),
            (1e-12, "1.0 · 10⁻¹²"),
        ];
        for (share, want) in bounds {
            assert_eq!(at_most(share), want, "{share}");
        }
    }
}
