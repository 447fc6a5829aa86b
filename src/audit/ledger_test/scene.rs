//! A ledger on a stage: short words for what happens to it.

pub(super) use std::collections::BTreeMap;
pub(super) use std::time::Duration;

pub(super) use super::super::*;
pub(super) use crate::model::{
    BrokerId, EpochEnd, EpochSighting, LeaderEpoch, LedPartition, Missing, Moment, Offset, PartitionId, Reading,
    Timestamp, TopicId,
};

pub(super) const CLASS: CanaryClass = CanaryClass::Idempotent;
pub(super) const P: PartitionId = PartitionId(0);
pub(super) const LINEAGE: Lineage = Lineage([7; 16]);

pub(super) fn offset(number: i64) -> Offset {
    Offset::new(number).expect("an offset")
}

pub(super) fn epoch(number: i32) -> LeaderEpoch {
    LeaderEpoch::new(number).expect("an epoch")
}

/// A ledger, its clock, and short words for what happens to it.
pub(super) struct Scene {
    pub(super) ledger: Ledger,
    pub(super) now: Moment,
    pub(super) incarnation: Incarnation,
    pub(super) class: CanaryClass,
    pub(super) topic: TopicId,
    pub(super) saved: SavedLedger,
    /// What the last round of sightings said.
    views: Vec<(i32, i32, i32)>,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(LedgerOptions::default())
    }

    pub(super) fn with(options: LedgerOptions) -> Self {
        let now = Moment { wall: Timestamp::from_millis(1_000_000), mono: Duration::from_secs(1) };
        let incarnation = Incarnation(1);
        let ledger = Ledger::new(options, LINEAGE, incarnation, now);
        let mut scene = Self {
            ledger,
            now,
            incarnation,
            class: CLASS,
            topic: TopicId([1; 16]),
            saved: SavedLedger::default(),
            views: Vec::new(),
        };
        scene.topic();
        scene.quiet(0);
        scene
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.ledger.apply(event, self.now);
        self.ledger.summary(self.class, self.now).counts.check(self.class).expect("the sums hold");
        self.ledger.check_rates().expect("the sums by send time are those of the class");
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now.mono += Duration::from_secs(seconds);
        self.now.wall = self.now.wall + Duration::from_secs(seconds);
    }

    pub(super) fn key(&self, sequence: u64) -> RecordKey {
        RecordKey { incarnation: self.incarnation, class: self.class, partition: P, sequence }
    }

    pub(super) fn record(&self, sequence: u64) -> CanaryRecord {
        CanaryRecord { topic_id: self.topic, lineage: LINEAGE, key: self.key(sequence), sent_at: self.now.wall }
    }

    /// The topic is sighted, and those that said who leads say it again, by now with its id.
    pub(super) fn topic(&mut self) {
        self.tell(Event::TopicSighted { topic_id: self.topic, partitions: vec![P], begun: self.now });
        let views = self.views.clone();
        self.sight(&views);
    }

    /// All of brokers 1, 2 and 3 say that broker 1 leads in this epoch.
    pub(super) fn quiet(&mut self, number: i32) {
        self.sight(&[(1, 1, number), (2, 1, number), (3, 1, number)]);
    }

    /// (who says, who leads, epoch).
    pub(super) fn sight(&mut self, views: &[(i32, i32, i32)]) {
        self.views = views.to_vec();
        let sightings = views
            .iter()
            .map(|(broker, leader, number)| EpochSighting {
                topic_id: Some(self.topic),
                broker: BrokerId(*broker),
                begun: self.now,
                partitions: BTreeMap::from([(
                    P,
                    LedPartition { leader: Some(BrokerId(*leader)), leader_epoch: epoch(*number) },
                )]),
            })
            .collect();
        self.tell(Event::EpochsSighted(sightings));
    }

    pub(super) fn send(&mut self, sequence: u64) {
        let key = self.key(sequence);
        self.tell(Event::Sent(key));
    }

    /// Sent, and acknowledged at the offset.
    pub(super) fn ack(&mut self, sequence: u64, at: i64) {
        self.send(sequence);
        self.wait(1);
        let key = self.key(sequence);
        self.tell(Event::Acked { key, offset: Offset::new(at), broker: None });
    }

    /// One look at the producer's connection.
    pub(super) fn link(&mut self, number: u64) {
        self.tell(Event::LinkSighted { class: self.class, partition: P, link: Some(number) });
    }

    /// Sent, and acknowledged by a certain broker.
    pub(super) fn ack_by(&mut self, broker: i32, sequence: u64, at: i64) {
        self.send(sequence);
        self.wait(1);
        let key = self.key(sequence);
        self.tell(Event::Acked { key, offset: Offset::new(at), broker: Some(BrokerId(broker)) });
    }

    /// Sent within a transaction and appended at the offset.
    pub(super) fn append(&mut self, sequence: u64, at: i64) {
        self.class = CanaryClass::Transactional;
        self.ack(sequence, at);
    }

    /// The transaction of these records ended so.
    pub(super) fn end_transaction(&mut self, sequences: &[u64], end: TransactionEnd) {
        let records = sequences.iter().map(|sequence| self.key(*sequence)).collect();
        self.tell(Event::TransactionEnded { records, end });
    }

    pub(super) fn read(&mut self, sequence: u64, at: i64, number: i32) {
        let record = self.record(sequence);
        self.tell(Event::Received {
            isolation: Isolation::of(self.class),
            record,
            partition: P,
            offset: offset(at),
            leader_epoch: LeaderEpoch::new(number),
        });
    }

    /// The leader by the highest epoch of the last round.
    pub(super) fn leader(&self) -> i32 {
        self.views.iter().max_by_key(|(_, _, number)| *number).map_or(1, |(_, leader, _)| *leader)
    }

    /// The leader says where `asked` ends, and then its log start.
    pub(super) fn end(&mut self, asked: i32, current: i32, end: (i32, i64), log_start: i64) {
        self.end_by(self.leader(), (asked, current), end, log_start);
    }

    /// The same, of a certain broker.
    pub(super) fn end_by(&mut self, broker: i32, (asked, current): (i32, i32), end: (i32, i64), log_start: i64) {
        self.tell(Event::EpochEndTold {
            broker: BrokerId(broker),
            partition: P,
            asked: epoch(asked),
            current: epoch(current),
            begun: self.now,
            end: Reading::Read(
                LeaderEpoch::new(end.0).map(|leader_epoch| EpochEnd { leader_epoch, end_offset: offset(end.1) }),
            ),
            log_start: Reading::Read(offset(log_start)),
        });
    }

    pub(super) fn reread(&mut self, at: i64, outcome: Reread) {
        self.tell(Event::RereadTold {
            isolation: Isolation::of(self.class),
            partition: P,
            offset: offset(at),
            begun: self.now,
            outcome,
        });
    }

    pub(super) fn found(&self, sequence: u64, number: i32) -> Reread {
        Reread::Found { record: self.record(sequence), leader_epoch: LeaderEpoch::new(number) }
    }

    pub(super) fn flush(&mut self) {
        self.saved.write(self.ledger.take_changes());
    }

    /// The process is killed: what was not flushed is gone.
    pub(super) fn crash(&mut self) {
        self.incarnation = Incarnation(self.incarnation.0 + 1);
        self.now.mono = Duration::ZERO;
        self.now.wall = self.now.wall + Duration::from_secs(1);
        let options = self.ledger.options;
        self.ledger = Ledger::restore(self.saved.clone(), options, LINEAGE, self.incarnation, self.now);
        self.flush();
    }

    pub(super) fn ask(&mut self) -> Vec<String> {
        let questions = self.ledger.questions(self.now);
        let shown = questions.into_iter().map(|question| match question {
            Question::EpochEnds { partition: _, epochs, current } => {
                let epochs: Vec<String> = epochs.iter().map(ToString::to_string).collect();
                format!("ends of {} from {current}", epochs.join(" "))
            }
            Question::Reread { isolation, partition: _, offset } => {
                assert_eq!(isolation, Isolation::of(self.class), "each class has its reader");
                format!("reread {offset}")
            }
        });
        shown.collect()
    }

    /// The anomalies: kind, class, epoch, offsets, and beside what the last record of each is.
    pub(super) fn anomalies(&self) -> Vec<String> {
        let shown = self.ledger.anomalies().map(|anomaly| {
            let offsets: Vec<String> = anomaly.offsets.iter().map(ToString::to_string).collect();
            let beside = anomaly.records.last().and_then(|record| record.beside);
            let beside = beside.map(|it| format!(" beside {} {} at {}", it.key.class, it.key.sequence, it.offset));
            let key = anomaly.key;
            let number = key.leader_epoch.map_or_else(|| "?".to_owned(), |epoch| epoch.to_string());
            format!(
                "{:?} {} {} in {number} at {}{}",
                key.kind,
                anomaly.count,
                key.class,
                offsets.join(" "),
                beside.unwrap_or_default()
            )
        });
        shown.collect()
    }

    /// The sums that are not 0, without the trivial ones.
    pub(super) fn sums(&self) -> String {
        let counts = serde_json::to_value(self.ledger.summary(self.class, self.now).counts).expect("counts are JSON");
        let object = counts.as_object().expect("an object");
        let shown = object.iter().filter(|(word, count)| {
            !matches!(word.as_str(), "sent" | "acked" | "indeterminate" | "overdue") && count.as_u64() != Some(0)
        });
        shown.map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
    }
}

impl SavedLedger {
    /// What the store does with the changes.
    pub(in crate::audit) fn write(&mut self, changes: LedgerChanges) {
        fn upsert<T: Clone, K: Ord>(rows: &mut Vec<T>, new: Vec<T>, key: impl Fn(&T) -> K) {
            let mut all: BTreeMap<K, T> = rows.drain(..).map(|row| (key(&row), row)).collect();
            all.extend(new.into_iter().map(|row| (key(&row), row)));
            rows.extend(all.into_values());
        }
        upsert(&mut self.records, changes.records, |row| row.key);
        self.records.retain(|row| !changes.removed_records.contains(&row.key));
        upsert(&mut self.classes, changes.classes, |row| row.class);
        upsert(&mut self.partitions, changes.partitions, |row| (row.isolation, row.partition));
        upsert(&mut self.reservations, changes.reservations, |row| (row.incarnation, row.class, row.partition));
        upsert(&mut self.incarnations, changes.incarnations, |row| row.incarnation);
        self.incarnations.retain(|row| !changes.removed_incarnations.contains(&row.incarnation));
        self.reservations.retain(|row| !changes.removed_incarnations.contains(&row.incarnation));
        upsert(&mut self.anomalies, changes.anomalies, |row| row.key);
        self.anomalies.retain(|row| !changes.removed_anomalies.contains(&row.key));
        self.topic_id = changes.topic_id.or(self.topic_id);
        upsert(&mut self.buckets, changes.buckets, |row| (row.class, row.span));
        self.buckets.retain(|row| !changes.removed_buckets.contains(&(row.class, row.span)));
        upsert(&mut self.corrections, changes.corrections, |row| row.number);
        self.former_topics.extend(changes.former_topics);
    }
}

/// A name, what happens, and the sums it leads to.
pub(super) type Case = (&'static str, fn(&mut Scene), &'static str);

pub(super) fn run(cases: &[Case]) {
    for (name, play, want) in cases {
        let mut scene = Scene::new();
        play(&mut scene);
        assert_eq!(scene.sums(), *want, "{name}");
    }
}

/// Broker 1 acknowledged `acked` records at offsets 100.. in epoch 0, all brokers were sighted, it died, and broker 2
/// leads in epoch 1.
pub(super) fn after_election(scene: &mut Scene, acked: u64) {
    for sequence in 0..acked {
        scene.ack(sequence, 100 + i64::try_from(sequence).expect("small"));
    }
    scene.wait(1);
    scene.sight(&[(2, 1, 0), (3, 1, 0)]);
    scene.wait(9);
    scene.sight(&[(2, 2, 1), (3, 2, 1)]);
}

pub(super) fn run_acks0(cases: &[Case]) {
    for (name, play, want) in cases {
        let mut scene = Scene::new();
        scene.class = CanaryClass::Acks0;
        play(&mut scene);
        assert_eq!(scene.sums(), *want, "{name}");
    }
}

/// Written to the connection.
pub(super) fn write(s: &mut Scene, sequence: u64) {
    s.ack(sequence, -1);
}

pub(super) fn beyond(next: i64, number: i32) -> Reread {
    Reread::Beyond { next: offset(next), leader_epoch: LeaderEpoch::new(number) }
}
