//! Which connection the records of a partition go through, as librdkafka's statistics show it.
//!
//! Nobody acknowledges a record of acks=0. It is proven lost by a later one of the same connection that was received: bytes
//! of one connection arrive in order, and a broker serves its requests in order. So two looks that tell the same number must
//! not have had two connections between them, nor another broker, nor a record that was put back and sent again.
//!
//! **Between two snapshots.** The number changes with the broker, with the moment since which its connection is up, and with
//! librdkafka's counts of connects, disconnects, failed sends, timed-out requests and retries. They only grow, so what came
//! and went between two snapshots shows in the second: a connection that drops after a snapshot was taken, and before it is
//! handed to us, changes the next one.
//!
//! **The moment of a look** is that of its snapshot, never that of its delivery: a record sent in between may have gone
//! through another connection, and must not lie before the look that still shows the former. librdkafka tells the snapshot's
//! age since the client was made, which we know to lie between two readings of our clock (both clocks are `CLOCK_MONOTONIC`).
//! The earlier one counts, so the look is dated up to that difference too early. As the first of two looks it would then
//! vouch for what was sent before the snapshot; hence no number while the connection is not older than the difference.
//!
//! **The broker between two snapshots.** A partition that is led elsewhere for less than an interval does not show in them;
//! but each report of a record names the broker it was written to, and another one changes the number too.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Statistics;

use crate::audit::{CanaryClass, Event};
use crate::model::{BrokerId, Moment, PartitionId, TopicName};

/// The connections of one class's producer.
#[derive(Debug)]
pub(super) struct Links {
    topic: TopicName,
    /// The monotonic times between which the client was made.
    born: (Duration, Duration),
    /// The last number given; never given again, by a later client neither.
    last: u64,
    partitions: BTreeMap<PartitionId, Link>,
}

#[derive(Debug, Default)]
struct Link {
    number: u64,
    connection: Option<Connection>,
    /// The broker of the last report since the connection was first seen.
    through: Option<BrokerId>,
    /// The monotonic time of the last report that named another broker than expected.
    elsewhere: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Connection {
    broker: BrokerId,
    /// librdkafka's monotonic microseconds.
    up_since: i64,
    connects: i64,
    disconnects: i64,
    /// Failed sends, timed-out requests, retries: after these, order is not certain.
    disturbances: [u64; 3],
}

impl Links {
    /// The links of a client to be made. `first` differs from start to start.
    pub(super) fn new(topic: TopicName, first: u64) -> Self {
        Self { topic, born: (Duration::ZERO, Duration::ZERO), last: first, partitions: BTreeMap::new() }
    }

    /// A new client was made between these monotonic times: nothing goes on.
    pub(super) fn renew(&mut self, before: Duration, after: Duration) {
        self.born = (before, after);
        self.partitions.clear();
    }

    /// A record of the partition was written to this broker, as its report says now.
    pub(super) fn reported(&mut self, partition: PartitionId, broker: BrokerId, now: Duration) {
        let link = self.partitions.entry(partition).or_default();
        let expected = link.through.or(link.connection.map(|connection| connection.broker));
        link.through = Some(broker);
        if expected != Some(broker) {
            self.last += 1;
            link.number = self.last;
            link.elsewhere = Some(now);
        }
    }

    /// What the statistics say of each partition, with the moment they were taken at.
    pub(super) fn look(&mut self, seen: &Statistics, now: Moment) -> Vec<(Event, Moment)> {
        let age = Duration::from_micros(u64::try_from(seen.age).unwrap_or(0));
        let taken = (self.born.0 + age).min(now.mono);
        let at = Moment { wall: now.wall - (now.mono - taken), mono: taken };
        let uncertain = self.born.1.saturating_sub(self.born.0);
        let Some(topic) = seen.topics.get(self.topic.as_str()) else { return Vec::new() };
        let mut looks = Vec::new();
        // librdkafka keeps records without a partition in one numbered -1.
        for partition in topic.partitions.values().filter(|partition| partition.partition >= 0) {
            let id = PartitionId(partition.partition);
            let link = self.partitions.entry(id).or_default();
            let connection = connection(seen, BrokerId(partition.broker), uncertain);
            if connection.is_none() || link.connection != connection {
                self.last += 1;
                *link = Link { number: self.last, connection, through: None, elsewhere: link.elsewhere };
            }
            let is_sure = connection.is_some() && link.elsewhere.is_none_or(|elsewhere| elsewhere < taken);
            let number = is_sure.then_some(link.number);
            looks.push((Event::LinkSighted { class: CanaryClass::Acks0, partition: id, link: number }, at));
        }
        looks
    }
}

/// The connection to a broker that has been up for longer than is uncertain.
fn connection(seen: &Statistics, broker: BrokerId, uncertain: Duration) -> Option<Connection> {
    let mut named = seen.brokers.values().filter(|one| one.nodeid == broker.0 && broker.0 >= 0);
    let (Some(one), None) = (named.next(), named.next()) else { return None };
    let since = u64::try_from(one.stateage).ok()?;
    (one.state == "UP" && Duration::from_micros(since) > uncertain).then(|| Connection {
        broker,
        up_since: seen.ts - one.stateage,
        connects: one.connects.unwrap_or(0),
        disconnects: one.disconnects.unwrap_or(0),
        disturbances: [one.txerrs, one.req_timeouts, one.txretries],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rdkafka::statistics::{Broker, Partition, Topic};

    use super::*;
    use crate::model::Timestamp;

    const MS: i64 = 1_000;

    fn at(ms: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(1_000_000), mono: Duration::from_millis(ms) }
    }

    /// A snapshot `age` ms after the client was made: broker 1 up since `up` ms, leading partition 0.
    fn snapshot(age: i64, up: i64, change: impl Fn(&mut Broker)) -> Statistics {
        let mut one = Broker {
            nodeid: 1,
            state: "UP".to_owned(),
            stateage: (age - up) * MS,
            connects: Some(1),
            disconnects: Some(0),
            ..Broker::default()
        };
        change(&mut one);
        let two = Broker { nodeid: 2, state: "UP".to_owned(), stateage: age * MS, ..Broker::default() };
        let led = |broker| Partition { partition: 0, leader: broker, broker, ..Partition::default() };
        let topic = Topic {
            partitions: HashMap::from([(0, led(1)), (-1, Partition { partition: -1, ..led(1) })]),
            ..Topic::default()
        };
        Statistics {
            ts: (5_000 + age) * MS,
            age: age * MS,
            brokers: HashMap::from([("one".to_owned(), one), ("two".to_owned(), two)]),
            topics: HashMap::from([("canary".to_owned(), topic)]),
            ..Statistics::default()
        }
    }

    fn links() -> Links {
        let mut links = Links::new("canary".into(), 0);
        // Made within two milliseconds.
        links.renew(Duration::from_millis(100), Duration::from_millis(102));
        links
    }

    fn told(links: &mut Links, seen: &Statistics, now: u64) -> (Option<u64>, Duration) {
        let looks = links.look(seen, at(now));
        let [(Event::LinkSighted { class: CanaryClass::Acks0, partition: PartitionId(0), link }, at)] =
            looks.as_slice()
        else {
            panic!("one look at the one partition: {looks:?}");
        };
        (*link, at.mono)
    }

    #[test]
    fn a_look_is_dated_when_it_was_taken_and_not_when_it_comes() {
        let seen = snapshot(500, 10, |_| {});
        let (link, taken) = told(&mut links(), &seen, 9_000);
        assert!(link.is_some());
        assert_eq!(taken, Duration::from_millis(600));
        let looks = links().look(&seen, at(9_000));
        assert_eq!(looks.first().map(|(_, at)| at.wall), Some(Timestamp::from_millis(1_000_000 - 8_400)));
        assert_eq!(told(&mut links(), &seen, 550).1, Duration::from_millis(550), "never in the future");
    }

    #[test]
    fn the_number_changes_with_whatever_may_have_been_another_connection() {
        type Change = fn(&mut Broker);
        let cases: [(&str, i64, Change, bool); 8] = [
            ("nothing happened", 10, |_| {}, true),
            ("it came up again", 700, |_| {}, false),
            ("connected again", 10, |broker| broker.connects = Some(2), false),
            ("disconnected in between", 10, |broker| broker.disconnects = Some(1), false),
            ("a send failed", 10, |broker| broker.txerrs = 1, false),
            ("a request timed out", 10, |broker| broker.req_timeouts = 1, false),
            ("a request was sent again", 10, |broker| broker.txretries = 1, false),
            ("answers are received meanwhile", 10, |broker| broker.rx = 9, true),
        ];
        for (name, up, change, same) in cases {
            let mut links = links();
            let (first, _) = told(&mut links, &snapshot(500, 10, |_| {}), 601);
            let (second, _) = told(&mut links, &snapshot(1_000, up, change), 1_101);
            assert!(first.is_some() && second.is_some(), "{name}");
            assert_eq!(first == second, same, "{name}");
        }
    }

    #[test]
    fn there_is_no_number_without_a_connection_that_is_up_for_sure() {
        type Change = fn(&mut Broker);
        let cases: [(&str, i64, Change); 4] = [
            ("down", 10, |broker| broker.state = "DOWN".to_owned()),
            ("being authenticated anew", 10, |broker| broker.state = "REAUTH".to_owned()),
            ("up since the uncertain moment", 498, |_| {}),
            ("led by nobody", 10, |broker| broker.nodeid = 7),
        ];
        for (name, up, change) in cases {
            assert_eq!(told(&mut links(), &snapshot(500, up, change), 601).0, None, "{name}");
        }
        let mut links = links();
        let (before, _) = told(&mut links, &snapshot(500, 10, |_| {}), 601);
        told(&mut links, &snapshot(700, 10, |broker| broker.state = "DOWN".to_owned()), 801);
        let (after, _) = told(&mut links, &snapshot(900, 10, |_| {}), 1_001);
        assert!(before.is_some() && after.is_some() && before != after, "{before:?} {after:?}");
    }

    #[test]
    fn a_record_written_to_another_broker_changes_the_number() {
        let mut links = links();
        let report =
            |links: &mut Links, broker, ms| links.reported(PartitionId(0), BrokerId(broker), Duration::from_millis(ms));
        let (first, _) = told(&mut links, &snapshot(500, 10, |_| {}), 601);
        report(&mut links, 1, 650);
        report(&mut links, 1, 660);
        let (second, _) = told(&mut links, &snapshot(1_000, 10, |_| {}), 1_101);
        assert_eq!(first, second, "all went where the leader is");
        // To broker 2 and back, between two snapshots.
        report(&mut links, 2, 1_200);
        report(&mut links, 1, 1_300);
        let (third, _) = told(&mut links, &snapshot(1_500, 10, |_| {}), 1_601);
        assert!(third.is_some() && third != second);
        // Reported after the snapshot was taken, and before it came: which of the two was first is not known.
        report(&mut links, 2, 2_110);
        assert_eq!(told(&mut links, &snapshot(2_000, 10, |_| {}), 2_120).0, None);
        let (fourth, _) = told(&mut links, &snapshot(2_500, 10, |_| {}), 2_601);
        assert!(fourth.is_some() && fourth != third);
    }

    #[test]
    fn another_client_repeats_no_number() {
        let mut links = links();
        let (first, _) = told(&mut links, &snapshot(500, 10, |_| {}), 601);
        links.renew(Duration::from_millis(100), Duration::from_millis(102));
        let (second, _) = told(&mut links, &snapshot(500, 10, |_| {}), 601);
        assert!(second.is_some() && first != second);
    }
}
