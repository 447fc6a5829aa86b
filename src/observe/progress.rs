//! Whether a group gets on: how long it has been behind without a commit, and which way its lag goes.

use std::time::Duration;

use super::history::Options;

/// One partition's lag over the window, thinned to a dozen points.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trend {
    points: Vec<Point>,
}

/// There are a dozen of them for each commit that lags: the time in tenths of a second takes a quarter of a `Duration`.
#[derive(Clone, Copy, Debug)]
struct Point {
    at: u32,
    lag: u64,
}

fn tenths(at: Duration) -> u32 {
    u32::try_from(at.as_millis() / 100).unwrap_or(u32::MAX)
}

impl Trend {
    const POINTS: u32 = 12;

    /// Adds the lag at `at`, in watched time. A group that caught up starts anew: it kept pace.
    pub(crate) fn record(&mut self, at: Duration, lag: u64, window: Duration) {
        if lag == 0 {
            self.points.clear();
            return;
        }
        let (at, step, window) = (tenths(at), tenths(window / Self::POINTS), tenths(window));
        if self.points.last().is_none_or(|last| at.saturating_sub(last.at) >= step) {
            self.points.push(Point { at, lag });
        }
        let covered = |from: Option<&Point>| from.is_some_and(|from| at.saturating_sub(from.at) >= window);
        while covered(self.points.get(1)) {
            self.points.remove(0);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.points.clear();
    }

    /// Records gained per second over a whole window: the median of the slopes between all pairs of points (Theil–Sen),
    /// which neither one dip nor one burst can turn. Nothing before a window is full.
    pub(crate) fn slope(&self, window: Duration) -> Option<f64> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        // The last point may be one step old.
        let (step, window) = (tenths(window / Self::POINTS), tenths(window));
        if self.points.len() < 4 || last.at.saturating_sub(first.at).saturating_add(step) < window {
            return None;
        }
        let mut slopes = Vec::with_capacity(self.points.len() * self.points.len() / 2);
        for (index, before) in self.points.iter().enumerate() {
            for after in self.points.iter().skip(index + 1) {
                let seconds = f64::from(after.at.saturating_sub(before.at)) / 10.0;
                if seconds > 0.0 {
                    slopes.push((real(after.lag) - real(before.lag)) / seconds);
                }
            }
        }
        let middle = slopes.len() / 2;
        if slopes.is_empty() {
            return None;
        }
        Some(*slopes.select_nth_unstable_by(middle, f64::total_cmp).1)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a slope needs no more than 53 bits")]
fn real(records: u64) -> f64 {
    records as f64
}

/// True when the lag grows by more than the floor over the window, and is old and large enough to matter.
pub(crate) fn falls_behind(trend: &Trend, lag: u64, age: Duration, options: &Options) -> bool {
    lag >= options.falling_behind_min_lag
        && age >= options.falling_behind_min_age
        && trend
            .slope(options.window)
            .is_some_and(|slope| slope * options.window.as_secs_f64() >= real(options.falling_behind_min_lag).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn trend(lags: &[u64]) -> Trend {
        let mut trend = Trend::default();
        let mut at = Duration::ZERO;
        for lag in lags {
            trend.record(at, *lag, WINDOW);
            at += Duration::from_secs(15);
        }
        trend
    }

    #[test]
    fn falls_behind_only_on_a_whole_window_of_growth() {
        let steady: Vec<u64> = (0..40).map(|n| 1_000 + n * 100).collect();
        let mut one_dip = steady.clone();
        one_dip[30] = 10;
        let mut caught_up = steady.clone();
        caught_up[30] = 0;
        let saw: Vec<u64> = (0..40).map(|n| 100 + (n % 4) * 500).collect();
        let cases = [
            ("steady growth", steady.clone(), true),
            ("one dip does not hide it", one_dip, true),
            ("caught up within the window", caught_up, false),
            ("less than a window", steady.iter().copied().take(15).collect(), false),
            ("constant", vec![5_000; 40], false),
            ("shrinking", steady.iter().rev().copied().collect(), false),
            ("a saw tooth of batches", saw, false),
            ("tiny growth on a large lag", (0..40).map(|n| 1_000_000 + n).collect(), false),
            ("growth below the floor", (0..40).collect(), false),
        ];
        for (name, lags, want) in cases {
            let last = *lags.last().expect("some");
            let options = Options::default();
            assert_eq!(falls_behind(&trend(&lags), last, Duration::from_secs(90), &options), want, "{name}");
            assert!(!falls_behind(&trend(&lags), last, Duration::from_secs(59), &options), "{name}, but young");
        }
    }

    #[test]
    fn the_slope_is_the_growth_per_second() {
        let steady: Vec<u64> = (0..40).map(|n| 1_000 + n * 150).collect();
        assert_eq!(trend(&steady).slope(WINDOW), Some(10.0));
        assert!(trend(&steady).points.len() <= 14);
    }
}
