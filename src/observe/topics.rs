//! Topics and partitions over time: identity is the topic id, order is the leader epoch.

use std::collections::BTreeMap;
use std::time::Duration;

use super::history::{Options, Seeds};
use super::replication::{flags, no_watermarks};
use super::time_lag::HighWatermarks;
use super::view::{Change, PartitionFlags, PartitionView, TopicView};
use crate::model::{
    BrokerId, ClusterSnapshot, LeaderEpoch, Missing, Offset, Partition, PartitionId, ReadSpan, Reading, Timestamp,
    Topic, TopicId, TopicName, TopicPartition, Watermarks,
};

/// Answers that contradict a newer one we had are taken for a stale broker's this often, and believed after it.
const STALE_TURNS: u8 = 3;
/// A topic that is gone is remembered so long, so that its re-creation is told.
const REMEMBER_GONE: Duration = Duration::from_secs(24 * 3600);

/// Who led, in which term, with which replicas in sync.
#[derive(Clone, Debug)]
struct Led {
    leader: BrokerId,
    epoch: LeaderEpoch,
    in_sync: Vec<BrokerId>,
}

/// What is remembered of a partition of one life of a topic.
#[derive(Clone, Debug)]
pub(crate) struct PartitionTrack {
    seen: Partition,
    led: Option<Led>,
    stale: u8,
    pub(crate) high_watermarks: HighWatermarks,
    epochs: Epochs,
    /// True once an open transaction was seen.
    pub(crate) transactions: bool,
}

/// The highest high watermark read in each leader epoch, oldest first; bounded.
#[derive(Clone, Debug, Default)]
struct Epochs(Vec<(LeaderEpoch, Offset)>);

impl Epochs {
    const KEPT: usize = 16;

    fn record(&mut self, epoch: LeaderEpoch, high_watermark: Offset) {
        match self.0.last_mut() {
            Some((last, reached)) if *last == epoch => *reached = (*reached).max(high_watermark),
            Some((last, _)) if *last > epoch => {}
            Some(_) | None => self.0.push((epoch, high_watermark)),
        }
        if self.0.len() > Self::KEPT {
            self.0.remove(0);
        }
    }
}

impl PartitionTrack {
    fn new(partition: &Partition) -> Self {
        Self {
            seen: partition.clone(),
            led: None,
            stale: 0,
            high_watermarks: HighWatermarks::default(),
            epochs: Epochs::default(),
            transactions: false,
        }
    }

    /// The latest leader epoch in which a group can have read up to `commit` by the turn that read `high_watermark` in
    /// `epoch`: that turn's own where its log reaches the commit, else the last one before whose log did.
    pub(crate) fn epoch_of(&self, commit: Offset, epoch: LeaderEpoch, high_watermark: Offset) -> Option<LeaderEpoch> {
        if high_watermark >= commit {
            return Some(epoch);
        }
        let before = self.epochs.0.iter().rev().filter(|(earlier, _)| *earlier < epoch);
        before.map(|(earlier, reached)| (*earlier, *reached)).find(|(_, reached)| *reached >= commit).map(|(e, _)| e)
    }

    fn see(&mut self, partition: &Partition) {
        self.seen.leader = partition.leader;
        self.seen.leader_epoch = partition.leader_epoch.or(self.seen.leader_epoch);
        self.seen.replicas.clone_from(&partition.replicas);
        self.seen.in_sync.clone_from(&partition.in_sync);
        self.seen.offline_replicas.clone_from(&partition.offline_replicas);
    }

    /// Takes the leader of this turn and returns the move, if it is one. A partition that has no leader for a while has
    /// moved once, when the next one is there.
    fn lead(&mut self, at: impl FnOnce() -> TopicPartition, id: Option<TopicId>, now: &Partition) -> Option<Change> {
        let (leader, epoch) = now.leader.zip(now.leader_epoch)?;
        let Some(led) = &mut self.led else {
            self.led = Some(Led { leader, epoch, in_sync: now.in_sync.clone() });
            return None;
        };
        let moved = led.leader != leader || led.epoch != epoch;
        let change = moved.then(|| Change::LeaderMoved {
            at: at(),
            topic_id: id,
            from: Some(led.leader),
            to: Some(leader),
            epoch_before: led.epoch,
            epoch_now: epoch,
            in_sync_before: led.in_sync.clone(),
            in_sync_now: now.in_sync.clone(),
        });
        led.leader = leader;
        led.epoch = epoch;
        led.in_sync.clone_from(&now.in_sync);
        change
    }

    fn measure(&mut self, log: &Watermarks, epoch: Option<LeaderEpoch>, span: ReadSpan, points: usize) {
        if let Reading::Read(high) = log.high_watermark {
            self.high_watermarks.record(high, span, points);
            if let Some(epoch) = epoch {
                self.epochs.record(epoch, high);
            }
            self.transactions |= matches!(log.last_stable, Reading::Read(stable) if stable < high);
        }
        if let Reading::Read(start) = log.log_start {
            self.high_watermarks.trim(start);
        }
    }

    fn view(&self, flags: PartitionFlags, watermarks: Watermarks) -> PartitionView {
        PartitionView {
            partition: self.seen.id,
            leader: self.seen.leader,
            leader_epoch: self.seen.leader_epoch,
            replicas: self.seen.replicas.clone(),
            in_sync: self.seen.in_sync.clone(),
            offline_replicas: self.seen.offline_replicas.clone(),
            flags,
            watermarks,
            last_high_watermark: self.high_watermarks.last(),
        }
    }
}

/// What is remembered of a topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicTrack {
    pub(crate) id: Option<TopicId>,
    /// Ids of its earlier lives: an answer that shows one comes from a broker that is behind.
    former: Vec<TopicId>,
    pub(crate) partitions: BTreeMap<PartitionId, PartitionTrack>,
    internal: bool,
    as_of: Timestamp,
    gone_since: Option<Timestamp>,
}

impl TopicTrack {
    const LIVES: usize = 8;

    /// Takes the id of this turn; false when it is the id of an earlier life.
    fn identify(&mut self, name: &TopicName, now: Option<TopicId>, changes: &mut Vec<Change>) -> bool {
        let Some(id_now) = now else { return true };
        if self.former.contains(&id_now) {
            return false;
        }
        if let Some(id_before) = self.id.filter(|before| *before != id_now) {
            changes.push(Change::TopicRecreated { topic: name.clone(), id_before, id_now });
            self.former.push(id_before);
            if self.former.len() > Self::LIVES {
                self.former.remove(0);
            }
            self.partitions.clear();
        }
        self.id = Some(id_now);
        true
    }

    /// The topic as last known, with every partition unknown for `why`.
    fn unknown(&self, name: &TopicName, config: Reading<crate::model::TopicConfig>, why: Missing) -> TopicView {
        let flags = PartitionFlags { unknown: true, ..PartitionFlags::default() };
        let view = |(id, track): (&PartitionId, &PartitionTrack)| (*id, track.view(flags, no_watermarks(why)));
        TopicView {
            name: name.clone(),
            id: self.id,
            internal: self.internal,
            config,
            partitions: self.partitions.iter().map(view).collect(),
            unknown: Some(why),
            as_of: self.as_of,
        }
    }
}

/// The topics of this turn, and what is different from the turn before.
pub(crate) fn topics(
    tracks: &mut BTreeMap<TopicName, TopicTrack>,
    seeds: &mut Seeds,
    options: &Options,
    snapshot: &ClusterSnapshot,
    changes: &mut Vec<Change>,
) -> BTreeMap<TopicName, TopicView> {
    let read = match &snapshot.topics {
        Reading::Read(read) => read,
        Reading::Missing(why) => {
            let known = tracks.iter().filter(|(_, track)| track.gone_since.is_none());
            return known
                .map(|(name, track)| (name.clone(), track.unknown(name, Reading::Missing(*why), *why)))
                .collect();
        }
    };
    let now = snapshot.span.started;
    tracks.retain(|name, track| {
        if read.contains_key(name) {
            track.gone_since = None;
            return true;
        }
        now.since(*track.gone_since.get_or_insert(now)) < REMEMBER_GONE
    });
    let mut views = BTreeMap::new();
    for (name, topic) in read {
        let track = tracks.entry(name.clone()).or_default();
        views.insert(name.clone(), one_topic(track, seeds, options, snapshot, topic, changes));
    }
    views
}

fn one_topic(
    track: &mut TopicTrack,
    seeds: &mut Seeds,
    options: &Options,
    snapshot: &ClusterSnapshot,
    topic: &Topic,
    changes: &mut Vec<Change>,
) -> TopicView {
    if !track.identify(&topic.name, topic.id, changes) {
        return track.unknown(&topic.name, topic.config.clone(), Missing::Unconfirmed);
    }
    track.internal = topic.internal;
    let partitions = match &topic.partitions {
        Reading::Read(partitions) => partitions,
        Reading::Missing(why) => return track.unknown(&topic.name, topic.config.clone(), *why),
    };
    track.as_of = snapshot.span.started;
    track.partitions.retain(|id, _| partitions.contains_key(id));
    let min_isr = topic.config.as_ref().value().and_then(|config| config.min_insync_replicas);
    let mut at = TopicPartition { topic: topic.name.clone(), partition: PartitionId(0) };
    let mut views = BTreeMap::new();
    for (id, partition) in partitions {
        at.partition = *id;
        let known = track.partitions.entry(*id).or_insert_with(|| {
            let mut new = PartitionTrack::new(partition);
            if let Some(points) = track.id.and_then(|topic| seeds.high_watermarks.get(&(topic, *id))) {
                for point in points {
                    let span = ReadSpan { started: point.at, finished: point.at };
                    new.high_watermarks.record(point.high_watermark, span, options.high_watermark_points);
                    if let Some(epoch) = point.leader_epoch {
                        new.epochs.record(epoch, point.high_watermark);
                    }
                }
            }
            new
        });
        let log = snapshot.watermarks.get(&at).copied().unwrap_or_else(|| {
            no_watermarks(if partition.leader.is_none() { Missing::NoLeader } else { Missing::NotAsked })
        });
        // A broker cut off from the controller goes on telling the leader of an earlier term, as clients know (KIP-101).
        if partition.leader_epoch < known.seen.leader_epoch
            && partition.leader_epoch.is_some()
            && known.stale < STALE_TURNS
        {
            known.stale += 1;
            let unknown = PartitionFlags { unknown: true, ..PartitionFlags::default() };
            views.insert(*id, known.view(unknown, no_watermarks(Missing::LeaderMoving)));
            continue;
        }
        known.stale = 0;
        changes.extend(known.lead(|| at.clone(), track.id, partition));
        known.see(partition);
        known.measure(&log, partition.leader_epoch, snapshot.span, options.high_watermark_points);
        views.insert(*id, known.view(flags(partition, min_isr, &log), log));
    }
    TopicView {
        name: topic.name.clone(),
        id: track.id,
        internal: topic.internal,
        config: topic.config.clone(),
        partitions: views,
        unknown: None,
        as_of: snapshot.span.started,
    }
}
