//! Readers of a cluster that is read each second.

use super::*;
use crate::finding::{BookOptions, FindingBook, Grade, JudgeOptions, judge};
use crate::model::{BrokerId, Missing};
use crate::observe::world::World;

const CANARY: &str = "canary";
const READERS: [Isolation; 2] = [Isolation::ReadUncommitted, Isolation::ReadCommitted];

/// A cluster that is read every second, and two readers of the canary's topic.
struct Watched {
    world: World,
    sights: ReaderSights,
    readers: BlindReaders,
    book: FindingBook,
    /// What happens in a second besides.
    appends: i64,
    stable_stands: bool,
    deaf: Vec<(Isolation, i32)>,
    told: Option<bool>,
}

fn moment(seconds: i64) -> Moment {
    let mono = Duration::from_secs(u64::try_from(seconds).expect("after the start"));
    Moment { wall: Timestamp::from_millis(seconds * 1_000), mono }
}

impl Watched {
    fn new() -> Self {
        let world = World::new().with_topic(CANARY, 7, &[100, 100, 100]);
        let key = |isolation| (0..3).map(move |partition| (isolation, PartitionId(partition)));
        let begun = |key| (key, ReaderSight::begun(Offset::new(100), moment(0)));
        Self {
            world,
            sights: READERS.into_iter().flat_map(key).map(begun).collect(),
            readers: BlindReaders::default(),
            book: FindingBook::new("main".into(), BookOptions::default()),
            appends: 10,
            stable_stands: false,
            deaf: Vec::new(),
            told: None,
        }
    }

    /// A second: records are appended and read, and then the cluster is read.
    fn second(&mut self) {
        self.world.seconds += 1;
        let now = moment(self.world.seconds);
        for partition in 0..3 {
            let log = self.world.log(CANARY, partition);
            let can_append = log.leader.is_some() && log.missing.is_none();
            let stable = log.stable.unwrap_or(log.high);
            log.high += if can_append { self.appends } else { 0 };
            log.stable = self.stable_stands.then_some(stable);
            let (high, stable) = (log.high, log.stable.unwrap_or(log.high));
            for isolation in READERS {
                let sight = self.sights.get_mut(&(isolation, PartitionId(partition))).expect("it is read");
                let end = if isolation == Isolation::ReadCommitted { stable } else { high };
                if self.deaf.contains(&(isolation, partition)) {
                    if let Some(is_denied) = self.told
                        && !(is_denied && sight.refusal.is_some())
                    {
                        sight.refuse(is_denied, "Fetch from broker 1 failed".to_owned(), now);
                    }
                } else if can_append && (sight.next != Offset::new(end) || !sight.has_heard) {
                    sight.hear(Offset::new(end), now);
                }
            }
        }
        self.read();
    }

    fn read(&mut self) {
        // The world's own turns are 15 s apart.
        self.world.seconds -= 15;
        let mut observation = self.world.turn();
        let heard = moment(self.world.seconds);
        let later = |millis| Duration::from_millis(millis);
        observation.started = heard.wall + later(250);
        let now = Moment { wall: heard.wall + later(500), mono: heard.mono + later(500) };
        let mut judged = judge(&observation, &JudgeOptions::default());
        self.readers.judge(&observation, (&CANARY.into(), &self.sights), now, "b:9092", &mut judged);
        self.book.step(now.wall, &judged);
    }

    fn seconds(&mut self, number: u32) -> &mut Self {
        (0..number).for_each(|_| self.second());
        self
    }

    fn open(&self) -> Vec<String> {
        let of_readers = self.book.open().filter(|one| one.kind == Kind::MonitorBlind && one.subject.topic.is_some());
        of_readers.map(|finding| finding.summary.clone()).collect()
    }

    fn deafen(&mut self, isolation: Isolation, partitions: &[i32], told: Option<bool>) -> &mut Self {
        self.deaf.extend(partitions.iter().map(|partition| (isolation, *partition)));
        self.told = told;
        self
    }
}

#[test]
fn a_reader_that_may_not_read_is_told_in_seconds_and_until_it_may() {
    let mut watched = Watched::new();
    watched.seconds(5);
    watched.deafen(Isolation::ReadUncommitted, &[0, 1, 2], Some(true)).seconds(4);
    assert_eq!(watched.open(), Vec::<String>::new(), "not at once");
    watched.seconds(6);
    insta::assert_snapshot!(watched.open().join("\n"), @"The canary's own reader (read_uncommitted) is not authorized to read 3 partitions of canary (0, 1, 2): it lacks READ on the topic.");
    let finding = watched.book.open().next().expect("open").clone();
    assert_eq!((finding.grade, finding.severity, finding.count), (Grade::Unknown, Severity::Warning, Some(3)));
    insta::assert_snapshot!(finding.key, @"main/monitor_blind/topic=canary/occurrence=read_uncommitted");
    insta::assert_snapshot!(finding.advice, @"Grant our principal READ on the topic: kafka-acls.sh --bootstrap-server b:9092 --add --allow-principal User:… --operation Read --topic 'canary'. A DENY counts more than any ALLOW: take it back if there is one. Until then what is acknowledged there is neither delivered nor lost.");
    assert_eq!(finding.evidence["partitions"][1]["reason"], "topic_not_authorized");
    assert_eq!(finding.verify[0], "kafka-acls.sh --bootstrap-server b:9092 --list --topic 'canary'");
    // A leader that dies, and nothing that is appended, change nothing: it is still forbidden.
    watched.world.log(CANARY, 1).leader = None;
    watched.appends = 0;
    assert_eq!(watched.seconds(10).open().len(), 1);
    watched.world.log(CANARY, 1).leader = Some(3);
    watched.deaf.clear();
    assert_eq!(watched.seconds(1).open().len(), 1);
    assert_eq!(watched.seconds(2).open(), Vec::<String>::new(), "it reads again");
}

#[test]
fn only_what_is_there_and_not_read_makes_a_reader_blind() {
    type Break = fn(&mut Watched);
    // What is open after 20 s, and after a minute.
    let cases: [(&str, Break, usize, usize); 12] = [
        ("nothing is wrong", |_| {}, 0, 0),
        ("nothing is appended", |w| w.appends = 0, 0, 0),
        ("a transaction hangs", |w| w.stable_stands = true, 0, 0),
        (
            "forbidden, one partition",
            |w| {
                w.deafen(READERS[0], &[1], Some(true));
            },
            1,
            1,
        ),
        (
            "forbidden, both readers",
            |w| {
                w.deafen(READERS[0], &[0], Some(true)).deafen(READERS[1], &[0], Some(true));
            },
            2,
            2,
        ),
        (
            "an error, again and again",
            |w| {
                w.deafen(READERS[1], &[1], Some(false));
            },
            1,
            1,
        ),
        (
            "an error, once",
            |w| {
                w.deafen(READERS[0], &[1], Some(false)).second();
                w.told = None;
            },
            0,
            1,
        ),
        (
            "silent",
            |w| {
                w.deafen(READERS[0], &[1], None);
            },
            0,
            1,
        ),
        (
            "silent, and nothing is appended",
            |w| {
                w.deafen(READERS[0], &[1], None);
                w.appends = 0;
            },
            0,
            0,
        ),
        (
            "an error, and no leader",
            |w| {
                w.deafen(READERS[0], &[1], Some(false));
                w.world.log(CANARY, 1).leader = None;
                w.world.log(CANARY, 1).missing = Some(Missing::NoLeader);
            },
            0,
            0,
        ),
        (
            "a stopped broker",
            |w| {
                w.deafen(READERS[0], &[1], None).deafen(READERS[1], &[1], None);
                w.world.silent.insert(2, Missing::TimedOut(BrokerId(2)));
            },
            0,
            0,
        ),
        (
            "the topic is created anew",
            |w| {
                w.deafen(READERS[0], &[0, 1, 2], Some(false));
                w.world.topics = World::new().with_topic(CANARY, 8, &[0, 0, 0]).topics;
                w.appends = 0;
            },
            0,
            0,
        ),
    ];
    for (name, breaks, soon, late) in cases {
        let mut watched = Watched::new();
        watched.seconds(5);
        breaks(&mut watched);
        assert_eq!(watched.seconds(20).open().len(), soon, "{name}: soon: {:?}", watched.open());
        assert_eq!(watched.seconds(40).open().len(), late, "{name}: late: {:?}", watched.open());
    }
}

#[test]
fn an_election_gives_a_silent_reader_time() {
    let mut watched = Watched::new();
    watched.seconds(5);
    watched.deafen(Isolation::ReadUncommitted, &[1], None);
    for term in 1..4 {
        watched.world.log(CANARY, 1).epoch = Some(term);
        assert_eq!(watched.seconds(25).open(), Vec::<String>::new(), "term {term}");
    }
    watched.seconds(10);
    insta::assert_snapshot!(watched.open().join("\n"), @"The canary's own reader (read_uncommitted) gets nothing from 1 partition of canary (1), though something was appended.");
    // Another election does not say that it reads.
    watched.world.log(CANARY, 1).epoch = Some(5);
    assert_eq!(watched.seconds(5).open().len(), 1);
}

#[test]
fn a_new_process_closes_nothing_before_its_readers_have_something() {
    let mut watched = Watched::new();
    watched.seconds(5);
    watched.deafen(Isolation::ReadUncommitted, &[0, 1, 2], Some(true)).seconds(10);
    assert_eq!(watched.open().len(), 1);
    // Nothing is appended any more: what is there is not read all the same.
    watched.appends = 0;
    let kept: Vec<_> = watched.book.open().cloned().collect();
    let seconds = watched.world.seconds;
    for key in watched.sights.clone().keys() {
        watched.sights.insert(*key, ReaderSight::begun(Offset::new(150), moment(seconds)));
    }
    watched.readers = BlindReaders::default();
    watched.book = FindingBook::new("main".into(), BookOptions::default());
    watched.book.restore(kept);
    let sights = std::mem::take(&mut watched.sights);
    for _ in 0..3 {
        watched.read();
        watched.world.seconds += 1;
    }
    assert_eq!(watched.open().len(), 1, "the canary has not begun");
    watched.sights = sights;
    assert_eq!(watched.seconds(20).open().len(), 1, "it is forbidden still");
    watched.deaf.clear();
    assert_eq!(watched.seconds(3).open(), Vec::<String>::new());
}
