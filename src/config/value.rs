//! The kinds of value a key may have, and how its text is read.

use std::time::Duration;

use toml::Value;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// `host:port` to listen on.
    Address,
    /// A number with a unit: `250ms`, `15s`, `5m`, `1h`, `7d`.
    Duration,
    /// true or false.
    Flag,
    /// A number above 0.
    Rate,
    /// A whole number.
    Count,
    /// A share of records that is to be good.
    Objective,
    /// A list of texts.
    List,
    /// A list of regular expressions.
    Patterns,
    /// critical, warning or info.
    Severity,
    /// Text that is never shown; has a twin `…_file`.
    Secret,
}

impl Kind {
    /// What a good value looks like, for messages and the reference.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "a text",
            Self::Address => "an address such as \"127.0.0.1:9980\"",
            Self::Duration => "a duration such as \"15s\" (ms, s, m, h, d)",
            Self::Flag => "true or false",
            Self::Rate => "a number above 0",
            Self::Count => "a whole number from 0 to 10000",
            // Below 1 - 1 / 14.4 not even all records bad would burn the budget 14.4 times as fast as allowed.
            Self::Objective => "a share from 0.94 to below 1, such as 0.999 for 99.9 %",
            Self::List => "a list of texts",
            Self::Patterns => "a list of regular expressions",
            Self::Severity => "\"critical\", \"warning\" or \"info\"",
        }
    }

    /// The value a text from the environment stands for.
    pub(crate) fn value_of(self, text: &str) -> Value {
        let list = || Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect());
        match self {
            Self::Flag => text.parse().map_or_else(|_| Value::String(text.to_owned()), Value::Boolean),
            Self::Rate | Self::Objective => text.parse().map_or_else(|_| Value::String(text.to_owned()), Value::Float),
            Self::Count => text.parse().map_or_else(|_| Value::String(text.to_owned()), Value::Integer),
            Self::List | Self::Patterns => list(),
            Self::Text | Self::Address | Self::Duration | Self::Severity | Self::Secret => {
                Value::String(text.to_owned())
            }
        }
    }

    /// True when the value is one of this kind.
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Text | Self::Secret => value.is_str(),
            Self::Address => value.as_str().is_some_and(|text| text.parse::<std::net::SocketAddr>().is_ok()),
            Self::Duration => value.as_str().and_then(duration).is_some(),
            Self::Flag => value.is_bool(),
            Self::Rate => number(value).is_some_and(|rate| rate > 0.0 && rate.is_finite()),
            Self::Count => value.as_integer().is_some_and(|count| (0..=10_000).contains(&count)),
            Self::Objective => number(value).is_some_and(|share| (0.94..1.0).contains(&share)),
            Self::List => texts(value).is_some(),
            Self::Patterns => texts(value).is_some_and(|all| all.iter().all(|one| regex::Regex::new(one).is_ok())),
            Self::Severity => matches!(value.as_str(), Some("critical" | "warning" | "info")),
        }
    }
}

/// The duration a text such as `15s` means; nothing when it means none.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// The number of an integer or float value.
#[expect(clippy::cast_precision_loss, reason = "rates are small numbers")]
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

/// The texts of a list, when it holds nothing else.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit_only() {
        let cases = [
            ("15s", Some(Duration::from_secs(15))),
            ("250ms", Some(Duration::from_millis(250))),
            ("5m", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("7d", Some(Duration::from_secs(604_800))),
            ("15", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("9223372036854775807d", None),
        ];
        for (text, want) in cases {
            assert_eq!(duration(text), want, "{text}");
        }
    }
}
