//! A commit that an earlier run of the daemon knew.

use super::{CommitTrack, Here, HistoryEpoch};
use crate::model::CommittedOffset;
use crate::observe::history::{CommitPoint, Seeds};
use crate::observe::rewind::{CommitRead, Rewind};

impl CommitTrack {
    pub(super) fn restored(first: &CommitPoint, rest: &[CommitPoint], here: &Here<'_>, seeds: &Seeds) -> Self {
        let commit = |point: &CommitPoint| CommittedOffset { offset: point.offset, leader_epoch: point.leader_epoch };
        let mut track = Self::new(commit(first), here.topic_id);
        let (mut run, mut last) = (first.at, first.at);
        for point in std::iter::once(first).chain(rest) {
            track.watch.see(point.at, here.options.longest_gap);
            if commit(point) != track.commit {
                track.commit = commit(point);
                track.changed = Some(track.watch.watched);
                track.behind_since = None;
                run = point.at;
            }
            // Appended by then, not necessarily in the log then: a restored run may only look shorter than it was.
            let passed = here.track.high_watermarks.first_beyond(track.commit.offset);
            if passed.is_some_and(|passed| passed <= point.at) {
                track.behind_since.get_or_insert(track.watch.watched);
            }
            last = point.at;
        }
        let readings = seeds.high_watermarks.get(&(first.topic_id, first.partition));
        let reading =
            readings.into_iter().flatten().find(|reading| reading.at >= run && reading.leader_epoch.is_some());
        if let Some((reading, epoch)) = reading.and_then(|reading| reading.leader_epoch.map(|epoch| (reading, epoch))) {
            track.epoch =
                HistoryEpoch::Settled(here.track.epoch_of(track.commit.offset, epoch, reading.high_watermark));
            track.high_watermark_at_commit = Some(reading.high_watermark);
        }
        let epoch =
            readings.into_iter().flatten().rev().filter(|reading| reading.at <= last).find_map(|r| r.leader_epoch);
        track.rewind = Some(Rewind::new(CommitRead {
            commit: track.commit,
            at: last,
            coordinator: None,
            epoch,
            off_log: false,
            group_empty: false,
        }));
        track
    }
}
