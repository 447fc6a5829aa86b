//! The objectives of its canary: one class burns, one sent nothing lately, one never sent anything.

use super::before;
use crate::audit::rates::{Correction, Rates, Sum, Tally};
use crate::audit::slo::{Burn, MinuteState, Minutes, TimeCoverage, Window};
use crate::audit::{CanaryClass, ClassSlo, Slo, SloState, resolution};
use crate::model::Timestamp;

const OBJECTIVE: f64 = 0.999;

/// So many minutes at three records a second; the last ones as the class has it.
fn sum(class: CanaryClass, minutes: u64) -> Sum {
    let sent = minutes * 180;
    let (slow, late, lost) = match class {
        CanaryClass::Acks0 | CanaryClass::Idempotent => (0, 0, 0),
        CanaryClass::Acks1 => (0, 0, 51.min(sent)),
        CanaryClass::All => (600.min(sent / 2), 22, 0),
        CanaryClass::Transactional => return Sum::default(),
    };
    let tally = Tally {
        sent,
        acked: sent - slow,
        acked_in_time: sent - slow,
        indeterminate: slow,
        delivered: sent - slow - late - lost,
        late,
        lost,
        received: sent - slow - lost,
        minutes,
        ..Tally::default()
    };
    Sum { tally, ..Sum::default() }
}

fn minutes(class: CanaryClass, at: Timestamp) -> Minutes {
    use MinuteState::{Bad, Good, Lost, NoData, Waiting};
    let state = |minute: usize| match (class, minute) {
        (CanaryClass::Transactional, _) | (_, 60..=71) => NoData,
        (_, 119) => Waiting,
        (CanaryClass::Acks1, 100..=101) => Lost,
        (CanaryClass::All, 112..) => Bad,
        (CanaryClass::Acks0 | CanaryClass::Acks1 | CanaryClass::All | CanaryClass::Idempotent, _) => Good,
    };
    Minutes { from: before(at, 119 * 60), states: (0..120).map(state).collect(), clock_set: vec![] }
}

pub(super) fn slo(class: CanaryClass, at: Timestamp) -> ClassSlo {
    let period = sum(class, 1_500);
    let state = |slo: Slo| {
        let burns = Window::ALL
            .map(|window| Burn::of(slo, OBJECTIVE, window, &sum(class, u64::from(window.minutes()).min(1_500))));
        SloState::of((slo, class), OBJECTIVE, slo.share(&period), burns.into(), resolution(1.0, 3, OBJECTIVE))
    };
    let correction = Correction {
        number: 7,
        class,
        bucket: before(at, 1_300),
        at: before(at, 900),
        from: "delivered".to_owned(),
        to: "truncated_after_delivery".to_owned(),
        records: 3,
    };
    let tally = period.tally;
    ClassSlo {
        class,
        as_of: at,
        slos: Slo::ALL.into_iter().map(state).collect(),
        rates: Rates::of(&period),
        time_coverage: TimeCoverage {
            minutes_with_data: tally.minutes,
            minutes: 43_200,
            sent: tally.sent,
            settled: tally.sent,
        },
        minutes: minutes(class, at),
        corrections: if class == CanaryClass::Acks1 { vec![correction] } else { vec![] },
    }
}
