//! How long a broker wants to be left alone: the throttle time in its answers.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What a broker may ask for at most. Kafka's own throttle for requests is a second or less; a number beyond all reason
/// must not blind us to a broker for days.
const LONGEST: Duration = Duration::from_mins(1);

/// Until when a broker wants no further request.
#[derive(Debug, Default)]
pub(crate) struct Throttle(watch::Sender<Option<Instant>>);

impl Throttle {
    /// Takes note of an answer that came at `now` with this throttle time; true where there is one.
    pub(crate) fn told(&self, milliseconds: i32, now: Instant) -> bool {
        let milliseconds = u64::try_from(milliseconds).unwrap_or(0);
        if milliseconds == 0 {
            return false;
        }
        let until = now + Duration::from_millis(milliseconds).min(LONGEST);
        self.0.send_if_modified(|known| {
            let is_later = known.is_none_or(|known| known < until);
            if is_later {
                *known = Some(until);
            }
            is_later
        });
        true
    }

    /// Waits until the broker may be asked again; false, at once, when that is not before `deadline`.
    pub(crate) async fn over(&self, deadline: Instant) -> bool {
        let until = *self.0.borrow();
        match until {
            Some(until) if until > Instant::now() => {
                let is_in_time = until < deadline;
                if is_in_time {
                    sleep_until(until).await;
                }
                is_in_time
            }
            Some(_) | None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_broker_is_left_alone_as_long_as_it_told() {
        let cases = [
            ("nothing told", vec![], 10_000, true, 0),
            ("zero", vec![0], 10_000, true, 0),
            ("negative", vec![-1], 10_000, true, 0),
            ("some time", vec![300], 10_000, true, 300),
            ("the longest of several", vec![300, 700, 20], 10_000, true, 700),
            ("longer than there is time", vec![10_000], 10_000, false, 0),
            ("beyond all reason", vec![i32::MAX], 100_000, true, 60_000),
        ];
        for (name, told, deadline, in_time, waited) in cases {
            let (throttle, start) = (Throttle::default(), Instant::now());
            for milliseconds in told {
                assert_eq!(throttle.told(milliseconds, start), milliseconds > 0, "{name}");
            }
            assert_eq!(throttle.over(start + Duration::from_millis(deadline)).await, in_time, "{name}");
            assert_eq!(start.elapsed(), Duration::from_millis(waited), "{name}");
        }
    }
}
