//! The last latencies of one class and stage, and their percentiles.

use std::collections::VecDeque;

use super::summary::Latency;

/// So many samples are remembered: at one record per second and partition, some minutes.
const KEPT: usize = 2_048;

/// The last samples, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Recent(VecDeque<f64>);

impl Recent {
    /// Takes note of one sample.
    pub fn record(&mut self, seconds: f64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(seconds);
    }

    /// The percentiles by nearest rank: each is a latency that was measured, none is interpolated.
    #[must_use]
    pub fn latency(&self) -> Latency {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let place = (sorted.len() * percent).div_ceil(100);
            sorted.get(place.saturating_sub(1)).copied()
        };
        Latency { p50: rank(50), p95: rank(95), p99: rank(99), max: sorted.last().copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let cases: [(&str, Vec<u32>, Latency); 3] = [
            ("none yet", vec![], Latency::default()),
            ("one", vec![7], Latency { p50: Some(7.0), p95: Some(7.0), p99: Some(7.0), max: Some(7.0) }),
            (
                "a hundred, unsorted",
                (1..=100).rev().collect(),
                Latency { p50: Some(50.0), p95: Some(95.0), p99: Some(99.0), max: Some(100.0) },
            ),
        ];
        for (name, samples, want) in cases {
            let mut recent = Recent::default();
            samples.into_iter().for_each(|sample| recent.record(f64::from(sample)));
            assert_eq!(recent.latency(), want, "{name}");
        }
    }

    #[test]
    fn only_the_last_samples_count() {
        let mut recent = Recent::default();
        recent.record(1e9);
        (0..KEPT).for_each(|_| recent.record(1.0));
        assert_eq!(recent.latency().max, Some(1.0));
    }
}
