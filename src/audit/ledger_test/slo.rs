//! Objectives over a run of the ledger: what burns a budget, and what does not.

use super::scene::*;
use crate::audit::slo::{MinuteState, Slo, SloOptions, SloState, Urgency};

/// A run at six records a minute: what happens to those of one minute.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Good,
    /// The first of each minute is refused.
    OneInSixRefused,
    /// Acknowledged, and not read before the end.
    Unread,
    /// The daemon is down.
    Down,
}

fn run(fates: impl IntoIterator<Item = Fate>) -> Scene {
    let mut s = Scene::with(LedgerOptions { window: Duration::from_secs(60), ..LedgerOptions::default() });
    s.now.wall = Timestamp::from_millis(60_000 * 29_000_000);
    let (mut sequence, mut at) = (0, 0);
    for fate in fates {
        for tenth in 0..6 {
            if fate == Fate::Down {
                s.wait(10);
                continue;
            }
            let key = s.key(sequence);
            s.ledger.apply(Event::Sent(key), s.now);
            if fate == Fate::OneInSixRefused && tenth == 0 {
                s.ledger.apply(Event::Rejected { key, error: String::new() }, s.now);
            } else {
                s.ledger.apply(Event::Acked { key, offset: Offset::new(at), broker: None }, s.now);
                if fate != Fate::Unread {
                    let record = s.record(sequence);
                    let leader_epoch = LeaderEpoch::new(0);
                    s.ledger.apply(
                        Event::Received {
                            record,
                            isolation: Isolation::of(CLASS),
                            partition: P,
                            offset: offset(at),
                            leader_epoch,
                        },
                        s.now,
                    );
                }
                at += 1;
            }
            sequence += 1;
            s.wait(10);
        }
    }
    s.ledger.check_rates().expect("the sums by send time are those of the class");
    s
}

fn state(s: &Scene, slo: Slo) -> SloState {
    let all = s.ledger.slo(CLASS, &SloOptions::default(), 1, s.now);
    all.slos.into_iter().find(|state| state.slo == slo).expect("all five are told")
}

fn of(minutes: usize, fate: Fate) -> impl Iterator<Item = Fate> {
    std::iter::repeat_n(fate, minutes)
}

#[test]
fn a_budget_burns_while_both_windows_say_so() {
    use Fate::{Down, Good, OneInSixRefused, Unread};
    type Case = (&'static str, Vec<Fate>, Slo, Vec<(Urgency, f64)>);
    let page = (Urgency::Page, 14.4);
    let cases: Vec<Case> = vec![
        ("all is well", of(90, Good).collect(), Slo::Availability, vec![]),
        ("one bad record", of(60, Good).chain(of(1, OneInSixRefused)).collect(), Slo::Availability, vec![]),
        (
            "one in six, for half an hour",
            of(60, Good).chain(of(30, OneInSixRefused)).collect(),
            Slo::Availability,
            vec![page, (Urgency::Page, 6.0)],
        ),
        (
            "the same, and over for ten minutes",
            of(60, Good).chain(of(30, OneInSixRefused)).chain(of(10, Good)).collect(),
            Slo::Availability,
            vec![(Urgency::Page, 6.0)],
        ),
        (
            "the same, and over for an hour",
            of(60, Good).chain(of(30, OneInSixRefused)).chain(of(60, Good)).collect(),
            Slo::Availability,
            vec![],
        ),
        (
            "the same, and then nothing more is seen",
            of(60, Good).chain(of(30, OneInSixRefused)).chain(of(70, Down)).collect(),
            Slo::Availability,
            vec![],
        ),
        ("down all the time", of(90, Down).collect(), Slo::Availability, vec![]),
        ("two records of a new start", of(2, OneInSixRefused).collect(), Slo::Availability, vec![]),
        (
            "a minute of trouble right after the start spends little of an hour",
            of(2, OneInSixRefused).chain(of(1, Good)).collect(),
            Slo::Availability,
            vec![],
        ),
        (
            "nothing is read any more",
            of(60, Good).chain(of(10, Unread)).collect(),
            Slo::Freshness,
            vec![page, (Urgency::Page, 6.0)],
        ),
        (
            "nothing is read any more: all the same acknowledged",
            of(60, Good).chain(of(10, Unread)).collect(),
            Slo::Availability,
            vec![],
        ),
    ];
    for (name, fates, slo, want) in cases {
        let alarms = state(&run(fates), slo).alarms;
        // The tickets of 3 d need more than these runs.
        let found: Vec<(Urgency, f64)> = alarms.iter().map(|alarm| (alarm.urgency, alarm.factor)).collect();
        let paged: Vec<_> = found.into_iter().filter(|(urgency, _)| *urgency == Urgency::Page).collect();
        assert_eq!(paged, want, "{name}");
    }
}

#[test]
fn blind_time_is_no_data() {
    use Fate::{Down, Good};
    let s = run(of(20, Good).chain(of(30, Down)).chain(of(10, Good)));
    let all = s.ledger.slo(CLASS, &SloOptions::default(), 1, s.now);
    let states = &all.minutes.states;
    let count = |state| states.iter().filter(|one| **one == state).count();
    assert_eq!((count(MinuteState::Bad), count(MinuteState::Lost), states.len()), (0, 0, 120));
    assert_eq!(all.minutes.sentence(), "Of the last 120 minutes: 30 good, 90 without data.");
    assert_eq!(all.time_coverage.sentence(), "30 of 43,200 minutes have data");
    assert!(!all.is_blind());
    let availability = state(&s, Slo::Availability);
    assert_eq!((availability.share.rate, availability.share.total), (Some(0.0), 180));
    let hour = availability.windows.iter().find(|burn| burn.window.as_str() == "1h").expect("it is told");
    assert_eq!((hour.minutes_with_data, hour.burn_rate), (30, Some(0.0)));

    let blind = run(of(20, Good).chain(of(10, Down)));
    let all = blind.ledger.slo(CLASS, &SloOptions::default(), 1, blind.now);
    assert!(all.is_blind());
    let short = all.slos.first().and_then(|slo| slo.windows.first()).copied().expect("it is told");
    assert_eq!((short.share.total, short.share.rate, short.burn_rate), (0, None, None), "neither 0 nor 100 %");
}

#[test]
fn a_kill_burns_nothing() {
    let mut s = run(of(30, Fate::Good));
    s.ledger.reserve(CLASS, P, 500);
    let key = s.key(500);
    s.flush();
    for sequence in 0..100 {
        s.tell(Event::Sent(RecordKey { sequence: key.sequence + sequence, ..key }));
    }
    s.flush();
    s.crash();
    s.wait(60);
    let availability = state(&s, Slo::Availability);
    assert_eq!((availability.share.bad(), availability.alarms.len()), (0, 0), "{:?}", availability.share);
    assert_eq!(availability.budget_left, Some(1.0));
}

#[test]
fn a_proven_loss_is_no_matter_of_a_budget() {
    let mut s = run(of(1, Fate::Good));
    s.now.mono += Duration::from_secs(60);
    let durability = state(&s, Slo::Durability);
    assert!(!durability.is_judged_by_budget && durability.resolution.is_none());
    assert!(durability.windows.iter().all(|burn| burn.burn_rate.is_none()), "{durability:?}");
    assert!(
        Slo::Durability.is_judged_by_budget(CanaryClass::Acks1) && !Slo::Durability.is_promised(CanaryClass::Acks1)
    );
    assert_eq!(durability.budget_in_words(), "none is granted: each one is a finding");
}
