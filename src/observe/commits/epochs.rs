//! What the leader epochs say of a commit, and what is still to be asked.

use super::{CommitTrack, Here, HistoryEpoch};
use crate::model::{EpochEnd, LeaderEpoch, Missing, Reading};
use crate::observe::lag::{EpochVerdict, history_epoch, own_epoch};
use crate::observe::rewind::{CommitRead, Truncation};

impl CommitTrack {
    /// What the leader says of the epoch of the commit, and the question to ask it.
    pub(super) fn epoch_verdict(&mut self, here: &Here<'_>) -> (EpochVerdict, Option<LeaderEpoch>) {
        let Some(current) = here.partition.leader_epoch else { return (EpochVerdict::Undecided, None) };
        let (asked, own) = match (self.commit.leader_epoch, self.epoch) {
            (Some(own), _) => (own, true),
            (None, HistoryEpoch::Settled(Some(ours))) => (ours, false),
            (None, HistoryEpoch::Settled(None) | HistoryEpoch::Open) => return (EpochVerdict::Undecided, None),
        };
        if asked == current {
            return (EpochVerdict::Current, None);
        }
        if asked > current {
            // A commit of an earlier life of the topic, or one made in a term we did not see yet.
            return (EpochVerdict::Pending, None);
        }
        let question = (!own).then_some(asked);
        let answer = answer(here, asked);
        if let Some(Reading::Read(end)) = answer {
            let verdict = if own { own_epoch(self.commit, asked, end) } else { history_epoch(self.commit, end) };
            match verdict {
                EpochVerdict::Ends(end) => self.stranded = Some(end),
                EpochVerdict::Holds | EpochVerdict::Current | EpochVerdict::Pending | EpochVerdict::Undecided => {
                    self.stranded = None;
                    self.holds_in = Some(current);
                }
            }
        }
        // An end that was told stays told until the leader says otherwise.
        if let Some(end) = self.stranded {
            return (EpochVerdict::Ends(end), question);
        }
        if self.holds_in == Some(current) {
            return (EpochVerdict::Holds, None);
        }
        match answer {
            Some(Reading::Missing(Missing::Unsupported | Missing::KafkaError(_))) => (EpochVerdict::Undecided, None),
            Some(Reading::Missing(_) | Reading::Read(_)) | None => (EpochVerdict::Pending, question),
        }
    }
}

/// The latest epoch that the records before the baseline can be of.
pub(super) fn asked_of(baseline: &CommitRead) -> Option<LeaderEpoch> {
    baseline.commit.leader_epoch.or(baseline.epoch)
}

fn answer(here: &Here<'_>, asked: LeaderEpoch) -> Option<Reading<EpochEnd>> {
    if here.snapshot.epoch_ends.is_empty() {
        return None;
    }
    here.snapshot.epoch_ends.get(&(here.at.clone(), asked)).copied()
}

/// Whether the log lost what lies before the baseline, by the epochs or else by its end.
pub(super) fn truncation(baseline: &CommitRead, here: &Here<'_>) -> Truncation {
    let high = here.partition.watermarks.high_watermark;
    let (Some(asked), Some(current)) = (asked_of(baseline), here.partition.leader_epoch) else {
        // Brokers that tell no epochs leave the end of the log.
        return match high {
            Reading::Read(high) if high >= baseline.commit.offset => Truncation::Excluded,
            Reading::Read(_) => Truncation::Explains,
            Reading::Missing(_) => Truncation::Unknown,
        };
    };
    if asked == current {
        return Truncation::Excluded;
    }
    let Some(Reading::Read(end)) = answer(here, asked).filter(|_| asked < current) else { return Truncation::Unknown };
    let verdict = match baseline.commit.leader_epoch {
        Some(own) => own_epoch(baseline.commit, own, end),
        None => history_epoch(baseline.commit, end),
    };
    match verdict {
        EpochVerdict::Ends(_) => Truncation::Explains,
        EpochVerdict::Holds => Truncation::Excluded,
        EpochVerdict::Current | EpochVerdict::Pending | EpochVerdict::Undecided => Truncation::Unknown,
    }
}
