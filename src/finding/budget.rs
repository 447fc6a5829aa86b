//! Findings on error budgets: what burns, how fast, and how much is left.

use serde_json::{Value, json};

use super::draft::Draft;
use super::{CountIs, Kind, Severity, Subject};
use crate::audit::figures::grouped;
use crate::audit::slo::{Alarm, ClassSlo, SloState, Urgency, in_words};
use crate::audit::{CanaryClass, Slo};
use crate::model::TopicName;

/// One finding per class and objective whose budget burns.
#[must_use]
pub fn drafts(topic: &TopicName, of: &ClassSlo) -> Vec<Draft> {
    of.slos.iter().filter_map(|state| Some(draft(topic, of, state, state.alarms.first()?))).collect()
}

fn draft(topic: &TopicName, of: &ClassSlo, state: &SloState, worst: &Alarm) -> Draft {
    let (class, slo) = (of.class, state.slo);
    let (long, short) = (worst.long, worst.short);
    let burn = long.burn_rate.unwrap_or_default();
    let summary = format!(
        "Class {class} burns its error budget for {slo} {burn:.1} times as fast as {} allows: {} of {} records of the last {} were {}, {} of {} of the last {}.",
        in_words(slo, state.objective),
        grouped(long.share.bad()),
        grouped(long.share.total),
        long.window.in_words(),
        slo.of_bad(),
        grouped(short.share.bad()),
        grouped(short.share.total),
        short.window.in_words(),
    );
    let subject =
        Subject { topic: Some(topic.clone()), canary_class: Some(class.as_str().to_owned()), ..Subject::default() };
    Draft {
        occurrence: slo.as_str().to_owned(),
        count: None,
        count_is: CountIs::Exact,
        advice: advice(slo).to_owned(),
        evidence: evidence(of, state),
        ..Draft::new(Kind::CanaryBudgetBurning, severity(class, slo, worst.urgency), subject, summary)
    }
}

/// What a class does not promise is told, and alarms nobody by default.
fn severity(class: CanaryClass, slo: Slo, urgency: Urgency) -> Severity {
    match urgency {
        _ if !slo.is_promised(class) => Severity::Info,
        Urgency::Page => Severity::Critical,
        Urgency::Ticket => Severity::Warning,
    }
}

fn evidence(of: &ClassSlo, state: &SloState) -> Value {
    let alarms = state.alarms.iter().map(|alarm| {
        json!({
            "urgency": alarm.urgency,
            "factor": alarm.factor,
            "long": alarm.long.window.as_str(),
            "short": alarm.short.window.as_str(),
        })
    });
    json!({
        "slo": state.slo,
        "objective": state.objective,
        "budget_left": state.budget_left,
        "rules_met": alarms.collect::<Vec<_>>(),
        "windows": state.windows,
        "time_coverage": of.time_coverage,
        "as_of": of.as_of,
    })
}

fn advice(slo: Slo) -> &'static str {
    match slo {
        Slo::Availability => {
            "See which brokers answer late or not at all, whether partitions lack a leader or in-sync replicas, and what the producer is told in evidence of the same time."
        }
        Slo::Freshness => {
            "See whether partitions can be read: a leader that does not answer, a high watermark that stands, a transaction that hangs."
        }
        Slo::Durability => {
            "This acknowledgement does not outlive its leader. What must not be lost needs acks=all and min.insync.replicas 2."
        }
        Slo::Exactness => {
            "Without idempotence a retry after a lost answer writes the record again: set enable.idempotence. With it, none may be."
        }
        Slo::Order => {
            "Without idempotence a retry may overtake what was sent after it: set enable.idempotence, or one request in flight."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::rates::{Rates, Sum, Tally};
    use crate::audit::resolution;
    use crate::audit::slo::{Burn, MinuteState, Minutes, TimeCoverage, Window};
    use crate::finding::{FindingBook, FindingState, Judged};
    use crate::model::Timestamp;

    /// Bad records in each window, shortest first, of one per second.
    fn class_slo(class: CanaryClass, slo: Slo, bad: [u64; 5], blind: bool) -> ClassSlo {
        let sum = |window: Window, bad: u64| {
            let sent = u64::from(window.minutes()) * 60;
            let tally = Tally {
                sent,
                acked: sent,
                acked_in_time: sent - bad,
                delivered: sent - bad,
                lost: bad,
                received: sent,
                duplicated: bad,
                minutes: window.minutes().into(),
                ..Tally::default()
            };
            Sum { tally, ..Sum::default() }
        };
        let windows: Vec<Burn> = Window::ALL
            .into_iter()
            .zip(bad)
            .map(|(window, bad)| Burn::of(slo, 0.999, window, &sum(window, bad)))
            .collect();
        let period = sum(Window::ThreeDays, bad[4]);
        let resolved = resolution(1.0, 1, 0.999);
        let state = SloState::of((slo, class), 0.999, slo.share(&period), windows, resolved);
        ClassSlo {
            class,
            as_of: Timestamp::from_millis(0),
            slos: vec![state],
            rates: Rates::of(&period),
            time_coverage: TimeCoverage { minutes_with_data: 4_320, minutes: 43_200, sent: 259_200, settled: 259_200 },
            minutes: Minutes {
                from: Timestamp::from_millis(0),
                states: vec![if blind { MinuteState::NoData } else { MinuteState::Good }; 120],
                clock_set: Vec::new(),
            },
            corrections: Vec::new(),
        }
    }

    const PAGES: [u64; 5] = [100, 200, 200, 200, 200];

    #[test]
    fn a_burning_budget_is_told_with_its_numbers() {
        let drafts = drafts(&"canary".into(), &class_slo(CanaryClass::Idempotent, Slo::Availability, PAGES, false));
        let [draft] = drafts.as_slice() else { panic!("one finding: {drafts:?}") };
        insta::assert_snapshot!(draft.summary, @"Class idempotent burns its error budget for availability 55.6 times as fast as 99.9 % acknowledged in time allows: 200 of 3,600 records of the last hour were not acknowledged in time, 100 of 300 of the last 5 minutes.");
        insta::assert_snapshot!(draft.key(&"main".into()), @"main/canary_budget_burning/topic=canary/canary_class=idempotent/occurrence=availability");
        assert_eq!(
            draft.evidence["rules_met"][0],
            json!({"urgency": "page", "factor": 14.4, "long": "1h", "short": "5m"})
        );
        assert_eq!(draft.evidence["windows"][2]["window"], "1h");
        assert_eq!(draft.evidence["windows"][2]["total"], 3_600);
    }

    #[test]
    fn severity_is_by_urgency_and_by_what_the_class_promises() {
        const TICKET: [u64; 5] = [0, 0, 0, 25, 300];
        let cases = [
            (CanaryClass::Idempotent, Slo::Availability, PAGES, Some(Severity::Critical)),
            (CanaryClass::Acks0, Slo::Availability, PAGES, Some(Severity::Critical)),
            (CanaryClass::Idempotent, Slo::Freshness, TICKET, Some(Severity::Warning)),
            (CanaryClass::Acks1, Slo::Durability, PAGES, Some(Severity::Info)),
            (CanaryClass::All, Slo::Exactness, PAGES, Some(Severity::Info)),
            (CanaryClass::Transactional, Slo::Exactness, PAGES, Some(Severity::Critical)),
            (CanaryClass::Idempotent, Slo::Availability, [0, 0, 200, 200, 200], None),
        ];
        for (class, slo, bad, want) in cases {
            let drafts = drafts(&"canary".into(), &class_slo(class, slo, bad, false));
            assert_eq!(drafts.first().map(|draft| draft.severity), want, "{class} {slo} {bad:?}");
        }
    }

    #[test]
    fn it_closes_when_the_short_windows_recover_and_not_when_nobody_sees() {
        let reading = |bad: [u64; 5], blind: bool| {
            let slos = [class_slo(CanaryClass::Idempotent, Slo::Availability, bad, blind)];
            Judged::of_canary(drafts(&"canary".into(), &slos[0])).with_slos(&slos)
        };
        let mut book = FindingBook::new("main".into(), crate::finding::BookOptions::default());
        let mut step = |seconds: i64, reading: &Judged| {
            let changed = book.step(Timestamp::from_millis(seconds * 1_000), reading);
            changed.first().map(|finding| (finding.state, finding.severity))
        };
        assert_eq!(step(0, &reading(PAGES, false)), Some((FindingState::Open, Severity::Critical)));
        assert_eq!(step(15, &reading([0, 0, 0, 25, 300], false)), Some((FindingState::Open, Severity::Warning)));
        let recovered = [0, 0, 200, 200, 200];
        for second in [30, 45, 60] {
            assert_eq!(step(second, &reading(recovered, true)), None, "nothing is seen, nothing has recovered");
        }
        assert_eq!(step(75, &reading(recovered, false)), None);
        assert_eq!(step(90, &reading(recovered, false)), Some((FindingState::Closed, Severity::Warning)));
    }
}
