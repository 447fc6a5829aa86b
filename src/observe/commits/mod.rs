//! One commit over time.

mod epochs;
mod restored;

use std::time::Duration;

use epochs::{asked_of, truncation};

use super::history::{Options, Seeds};
use super::lag::lag;
use super::progress::{Trend, falls_behind};
use super::rewind::{CommitRead, Rewind, Rewound};
use super::time_lag::at_least;
use super::topics::PartitionTrack;
use super::view::{Lag, PartitionView, TimeLag};
use super::watch::Watch;
use crate::model::{
    BrokerId, ClusterSnapshot, CommittedOffset, GroupId, LeaderEpoch, Missing, Offset, Reading, Timestamp, TopicId,
    TopicPartition,
};

/// The leader epoch in which our own history shows a commit that names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HistoryEpoch {
    /// The log was not read since the commit was first seen.
    Open,
    /// The latest epoch its records can be of, if the history reaches that far.
    Settled(Option<LeaderEpoch>),
}

/// What is remembered of one commit of one life of a topic.
#[derive(Clone, Debug)]
pub(crate) struct CommitTrack {
    topic_id: Option<TopicId>,
    commit: CommittedOffset,
    watch: Watch,
    /// Watched time since when this commit has unread records before it.
    behind_since: Option<Duration>,
    /// Watched time when it last changed.
    changed: Option<Duration>,
    /// Watched time since when no member owns its topic.
    unowned_since: Option<Duration>,
    high_watermark_at_commit: Option<Offset>,
    epoch: HistoryEpoch,
    /// The leader epoch in whose reign the commit was found in the log.
    holds_in: Option<LeaderEpoch>,
    stranded: Option<Offset>,
    beyond_before: bool,
    off_log: bool,
    trend: Trend,
    rewind: Option<Rewind>,
    rewound: Option<(Offset, Timestamp)>,
    /// Turns in a row that said that there is no commit.
    pub(crate) absent: u8,
}

/// The turn, as far as one commit needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here<'a> {
    pub(crate) at: &'a TopicPartition,
    pub(crate) topic_id: Option<TopicId>,
    pub(crate) partition: &'a PartitionView,
    pub(crate) track: &'a PartitionTrack,
    pub(crate) snapshot: &'a ClusterSnapshot,
    pub(crate) options: &'a Options,
    pub(crate) read_at: Timestamp,
    pub(crate) coordinator: Option<BrokerId>,
    pub(crate) group_empty: bool,
    /// Whether a settled group has the topic without an owner; none while members join or are not known.
    pub(crate) unowned: Option<bool>,
}

/// How a partition of a group gets on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// A confirmed rewind, not recovered.
    pub(crate) rewound: bool,
    /// Behind for longer than the window without a commit.
    pub(crate) stuck: bool,
    pub(crate) falling_behind: bool,
    pub(crate) blocked: bool,
    /// The group is settled, or was when it last was, and no member owns the topic.
    pub(crate) unowned: bool,
    /// So for longer than the window.
    pub(crate) abandoned: bool,
}

/// What one turn says of one commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) lag: Lag,
    pub(crate) time_lag: TimeLag,
    pub(crate) progress: Progress,
    pub(crate) changed: bool,
    pub(crate) rewound: Option<Rewound>,
    /// An epoch to ask for in the next turn.
    pub(crate) question: Option<LeaderEpoch>,
}

impl CommitTrack {
    fn new(commit: CommittedOffset, topic_id: Option<TopicId>) -> Self {
        Self {
            topic_id,
            commit,
            watch: Watch::default(),
            behind_since: None,
            changed: None,
            unowned_since: None,
            high_watermark_at_commit: None,
            epoch: HistoryEpoch::Open,
            holds_in: None,
            stranded: None,
            beyond_before: false,
            off_log: false,
            trend: Trend::default(),
            rewind: None,
            rewound: None,
            absent: 0,
        }
    }

    /// A commit at first sight of this life of the topic; an earlier run of the daemon may have seen it.
    pub(crate) fn first(commit: CommittedOffset, group: &GroupId, here: &Here<'_>, seeds: &Seeds) -> Self {
        let partition = (here.topic_id, here.at.partition);
        let (Some(topic_id), of_group) = (partition.0, seeds.commits.get(group)) else {
            return Self::new(commit, here.topic_id);
        };
        match of_group.and_then(|points| points.get(&(topic_id, partition.1))).map(Vec::as_slice) {
            Some([first, rest @ ..]) => Self::restored(first, rest, here, seeds),
            Some([]) | None => Self::new(commit, here.topic_id),
        }
    }

    /// True, before its first turn, when an earlier run of the daemon knew it.
    pub(crate) fn is_restored(&self) -> bool {
        self.rewind.is_some()
    }

    /// True when the commit is of another life of the topic.
    pub(crate) fn is_of_another_life(&self, topic_id: Option<TopicId>) -> bool {
        self.topic_id.is_some() && topic_id.is_some() && self.topic_id != topic_id
    }

    /// The log was not read, or the commit was not.
    pub(crate) fn lose_sight(&mut self) {
        self.watch.lose_sight();
    }

    /// Takes the commit of this turn; the topic is the one of the turn before.
    pub(crate) fn step(&mut self, commit: CommittedOffset, here: &Here<'_>) -> Judged {
        let log = &here.partition.watermarks;
        self.absent = 0;
        self.topic_id = here.topic_id.or(self.topic_id);
        let rewound = self.rewind_step(commit, here);
        let changed = commit != self.commit;
        if changed {
            self.commit = commit;
            self.behind_since = None;
            self.high_watermark_at_commit = None;
            self.epoch = HistoryEpoch::Open;
            self.holds_in = None;
            self.stranded = None;
        }
        if let (Some(epoch), Reading::Read(high), HistoryEpoch::Open) =
            (here.partition.leader_epoch, log.high_watermark, self.epoch)
        {
            self.epoch = HistoryEpoch::Settled(here.track.epoch_of(commit.offset, epoch, high));
        }
        let (verdict, mut question) = self.epoch_verdict(here);
        let lag = lag(&Reading::Read(Some(commit)), log, verdict, self.beyond_before);
        match lag {
            Lag::Ahead(_) | Lag::Unknown(Missing::Unconfirmed) => {
                self.beyond_before = true;
                self.off_log = true;
            }
            Lag::Stranded { .. } => {
                self.beyond_before = false;
                self.off_log = true;
            }
            Lag::Behind(_) | Lag::Expired { .. } => {
                self.beyond_before = false;
                self.off_log = false;
            }
            Lag::Uncommitted | Lag::Unknown(_) => {}
        }
        if let Some(rewind) = &mut self.rewind {
            if rewind.baseline.at == here.read_at {
                rewind.baseline.off_log = self.off_log;
            }
            if rewind.is_open() {
                question =
                    question.or_else(|| asked_of(&rewind.baseline).filter(|e| Some(*e) < here.partition.leader_epoch));
            }
        }
        let time_lag = match lag {
            Lag::Behind(0) => TimeLag::CaughtUp,
            Lag::Behind(_) | Lag::Expired { .. } => {
                let unread = log.log_start.value().map_or(commit.offset, |start| start.max(commit.offset));
                // Expired with nothing left: what was unread is gone, and no age is left to tell.
                if lag.records() == Some(0) {
                    TimeLag::Unknown
                } else {
                    here.track.high_watermarks.age(unread, here.read_at)
                }
            }
            Lag::Ahead(_) | Lag::Stranded { .. } | Lag::Uncommitted | Lag::Unknown(_) => TimeLag::Unknown,
        };
        let progress = self.progress(lag, time_lag, changed, here);
        if let Some(rewound) = rewound {
            self.rewound = Some((rewound.from.commit.offset, here.read_at));
        }
        let is_rewound = self
            .rewound
            .is_some_and(|(from, at)| commit.offset < from && here.read_at.since(at) <= here.options.window);
        if !is_rewound {
            self.rewound = None;
        }
        Judged { lag, time_lag, progress: Progress { rewound: is_rewound, ..progress }, changed, rewound, question }
    }

    fn progress(&mut self, lag: Lag, time_lag: TimeLag, changed: bool, here: &Here<'_>) -> Progress {
        let options = here.options;
        let Some(records) = lag.records() else {
            self.watch.lose_sight();
            return self.ownership(changed, here);
        };
        self.watch.see(here.read_at, options.longest_gap);
        let watched = self.watch.watched;
        let log = &here.partition.watermarks;
        if changed {
            self.changed = Some(watched);
        }
        if self.high_watermark_at_commit.is_none() {
            self.high_watermark_at_commit = log.high_watermark.value();
        }
        let blocked = records > 0
            && matches!((log.last_stable, log.high_watermark), (Reading::Read(stable), Reading::Read(high))
                if stable < high && self.commit.offset >= stable);
        if records > 0 && !blocked {
            self.behind_since.get_or_insert(watched);
        } else {
            self.behind_since = None;
        }
        if matches!(lag, Lag::Behind(_)) && !blocked {
            self.trend.record(watched, records, options.window);
        } else {
            self.trend.clear();
        }
        let ownership = self.ownership(changed, here);
        if ownership.unowned {
            return ownership;
        }
        // Markers of transactions and aborted records at the end of a log are never committed by some readers.
        let high_then = self.high_watermark_at_commit;
        let only_markers = here.track.transactions
            && high_then.zip(log.high_watermark.value()).is_none_or(|(then, now)| now <= then.next());
        let stuck = records >= options.stopped_min_lag
            && !only_markers
            && self.behind_since.is_some_and(|since| !self.watch.within(since, options.window));
        let moving = self.changed.is_some_and(|changed| self.watch.within(changed, options.window));
        let falling_behind = moving && !stuck && falls_behind(&self.trend, records, at_least(time_lag), options);
        Progress { stuck, falling_behind, blocked, ..ownership }
    }

    /// Takes whether the topic has an owner; a commit that moves has one, whatever the description says.
    fn ownership(&mut self, changed: bool, here: &Here<'_>) -> Progress {
        match here.unowned {
            Some(true) if !changed => {
                self.unowned_since.get_or_insert(self.watch.watched);
            }
            Some(_) => self.unowned_since = None,
            None => {}
        }
        let abandoned = self.unowned_since.is_some_and(|since| !self.watch.within(since, here.options.window));
        Progress { unowned: self.unowned_since.is_some(), abandoned, ..Progress::default() }
    }

    fn rewind_step(&mut self, commit: CommittedOffset, here: &Here<'_>) -> Option<Rewound> {
        // Nobody is known to lead the group's commits in this turn: the read proves nothing.
        let coordinator = here.coordinator?;
        let read = CommitRead {
            commit,
            at: here.read_at,
            coordinator: Some(coordinator),
            epoch: here.partition.leader_epoch,
            off_log: false,
            group_empty: here.group_empty,
        };
        match &mut self.rewind {
            None => {
                self.rewind = Some(Rewind::new(read));
                None
            }
            Some(rewind) => rewind.step(read, |baseline| truncation(baseline, here)),
        }
    }
}
