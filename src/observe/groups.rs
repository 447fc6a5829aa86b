//! Groups: each partition's lag, and the worst of it as the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::commits::{CommitTrack, Here, Progress};
use super::history::{History, Options, Seeds};
use super::owners::Owners;
use super::replication::no_watermarks;
use super::share::unread;
use super::time_lag::worst;
use super::topics::{PartitionTrack, TopicTrack};
use super::verdict::verdict;
use super::view::{Change, GroupPartitionView, GroupView, Lag, PartitionView, TimeLag, TopicView};
use super::watch::GroupTrack;
use crate::model::{
    ClusterSnapshot, CommittedOffset, ConsumerGroup, GroupId, GroupState, GroupType, LeaderEpoch, Missing, Part,
    PartitionId, Reading, TopicName, TopicPartition,
};

/// A group that no complete list names any more is remembered so long.
const REMEMBER_GONE: Duration = Duration::from_secs(3600);

/// What the group's judgement reads of the turn, and what it leaves for the next one.
pub(super) struct Turn<'a> {
    snapshot: &'a ClusterSnapshot,
    topics: &'a BTreeMap<TopicName, TopicView>,
    tracks: &'a BTreeMap<TopicName, TopicTrack>,
    seeds: &'a mut Seeds,
    pub(super) options: &'a Options,
    questions: Vec<(TopicPartition, LeaderEpoch)>,
    changes: &'a mut Vec<Change>,
}

/// The groups of this turn; those that could not be read are listed as last known, with every partition unknown.
pub(crate) fn groups(
    history: &mut History,
    snapshot: &ClusterSnapshot,
    topics: &BTreeMap<TopicName, TopicView>,
    changes: &mut Vec<Change>,
) -> BTreeMap<GroupId, GroupView> {
    let History { options, topics: tracks, groups, seeds, .. } = history;
    let mut turn = Turn { snapshot, topics, tracks, seeds, options, questions: Vec::new(), changes };
    let now = snapshot.span.started;
    groups.retain(|id, track| {
        if snapshot.groups.contains_key(id) || !snapshot.group_list_complete {
            track.gone_since = None;
            return true;
        }
        now.since(*track.gone_since.get_or_insert(now)) < REMEMBER_GONE
    });
    let mut views = BTreeMap::new();
    if !snapshot.group_list_complete {
        let why = why_not_listed(snapshot);
        for (id, track) in groups.iter_mut().filter(|(id, _)| !snapshot.groups.contains_key(*id)) {
            let group = ConsumerGroup {
                id: id.clone(),
                group_type: track.group_type,
                state: Reading::Missing(why),
                coordinator: None,
                members: Reading::Missing(why),
                commits: Reading::Missing(why),
                share_offsets: Reading::Missing(why),
                commits_as_of: track.last_read.unwrap_or(now),
            };
            views.insert(id.clone(), turn.group(track, &group));
        }
    }
    for (id, group) in &snapshot.groups {
        let new = || GroupTrack::new(group.group_type, points(turn.seeds, id), turn.options);
        let track = groups.entry(id.clone()).or_insert_with(new);
        views.insert(id.clone(), turn.group(track, group));
    }
    let mut questions = turn.questions;
    questions.sort_unstable();
    questions.dedup();
    history.questions = questions;
    views
}

/// The times of an earlier run at which any commit of the group was read, and whether one had changed.
fn points(seeds: &Seeds, group: &GroupId) -> impl Iterator<Item = (crate::model::Timestamp, bool)> {
    let mut times = BTreeMap::new();
    for points in seeds.commits.get(group).into_iter().flat_map(BTreeMap::values) {
        let mut before = None;
        for point in points {
            let changed = before.is_some_and(|before| before != point.offset);
            *times.entry(point.at).or_insert(false) |= changed;
            before = Some(point.offset);
        }
    }
    times.into_iter()
}

fn why_not_listed(snapshot: &ClusterSnapshot) -> Missing {
    let listing = snapshot.missing.iter().find(|missing| missing.part == Part::GroupList);
    match (listing, &snapshot.topics) {
        (Some(missing), _) => missing.why,
        (None, Reading::Missing(why)) => *why,
        (None, Reading::Read(_)) => Missing::CoordinatorMoving,
    }
}

/// Where a topic's readings are. Commits come topic by topic: it is looked up once for each.
#[derive(Clone, Copy)]
struct Place<'a, 'b> {
    name: &'b TopicName,
    topic: Result<(&'a TopicView, &'a TopicTrack), Missing>,
    unowned: Option<bool>,
}

impl<'a> Place<'a, '_> {
    fn partition(&self, id: PartitionId) -> Found<'a> {
        let (view, track) = self.topic?;
        let unknown = view.unknown.unwrap_or(Missing::TopicNotInMetadata);
        let partition = view.partitions.get(&id).ok_or(unknown)?;
        Ok((view, partition, track.partitions.get(&id).ok_or(unknown)?))
    }
}

/// Where a partition's readings are, or why there are none.
pub(super) type Found<'a> = Result<(&'a TopicView, &'a PartitionView, &'a PartitionTrack), Missing>;

/// The partitions of one group and what they add up to.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) partitions: Vec<GroupPartitionView>,
    pub(super) progress: Vec<Progress>,
    any_changed: bool,
    /// True when the group was read in an earlier turn: a commit that is new is a change then.
    known_before: bool,
    /// Commits of this turn that are remembered.
    tracked: usize,
}

impl<'a> Turn<'a> {
    fn place<'b>(&self, name: &'b TopicName, owners: &Owners<'_>) -> Place<'a, 'b> {
        let gone = || self.snapshot.topics.missing().unwrap_or(Missing::TopicNotInMetadata);
        let topic = self.topics.get(name).zip(self.tracks.get(name)).ok_or_else(gone);
        Place { name, topic, unowned: owners.leaves(name) }
    }

    pub(super) fn find(&self, at: &TopicPartition, owners: &Owners<'_>) -> Found<'a> {
        self.place(&at.topic, owners).partition(at.partition)
    }

    fn group(&mut self, track: &mut GroupTrack, group: &ConsumerGroup) -> GroupView {
        let owners = Owners::of(group);
        let mut sum = Sum::default();
        match (group.group_type, &group.commits) {
            (GroupType::Share, _) => self.share_offsets(track, group, &owners, &mut sum),
            (_, Reading::Read(commits)) => self.read_commits(track, group, commits, &owners, &mut sum),
            (_, Reading::Missing(why)) => self.unread_commits(track, *why, &owners, &mut sum),
        }
        if group.group_type != GroupType::Unknown {
            track.group_type = group.group_type;
        }
        self.view(track, group, &owners, sum)
    }

    fn read_commits(
        &mut self,
        track: &mut GroupTrack,
        group: &ConsumerGroup,
        commits: &BTreeMap<TopicPartition, Reading<CommittedOffset>>,
        owners: &Owners<'_>,
        sum: &mut Sum,
    ) {
        sum.known_before = track.last_read.is_some();
        track.watch.see(group.commits_as_of, self.options.longest_gap);
        track.last_read = Some(group.commits_as_of);
        sum.partitions.reserve(commits.len());
        sum.progress.reserve(commits.len());
        let mut place: Option<Place<'_, '_>> = None;
        for (at, commit) in commits {
            let here = place.filter(|place| place.name == &at.topic).unwrap_or_else(|| self.place(&at.topic, owners));
            self.one_commit(track, group, at, *commit, here, owners, sum);
            place = Some(here);
        }
        // Commits on topics that we may not see are left out without a word.
        let is_hidden = |at: &TopicPartition| {
            self.topics.get(&at.topic).is_some_and(|topic| topic.unknown == Some(Missing::TopicNotAuthorized))
        };
        let left_out = |(at, known): (&TopicPartition, &mut CommitTrack)| {
            (!commits.contains_key(at) && is_hidden(at)).then(|| {
                known.lose_sight();
                at.clone()
            })
        };
        let left_out: BTreeSet<TopicPartition> = track.commits.iter_mut().filter_map(left_out).collect();
        for at in &left_out {
            let why = Missing::TopicNotAuthorized;
            sum.partitions.push(view(at, Reading::Missing(why), self.find(at, owners), Lag::Unknown(why), owners));
            sum.progress.push(Progress::default());
        }
        sum.tracked += left_out.len();
        if sum.partitions.iter().filter(|view| view.owner.is_some()).count() < owners.of.len() {
            let without = |at: &TopicPartition| !commits.contains_key(at) && !left_out.contains(at);
            for (at, _) in owners.of.iter().filter(|(at, _)| without(at)) {
                let found = self.find(at, owners);
                let (commit, lag) = if is_hidden(at) {
                    (Reading::Missing(Missing::TopicNotAuthorized), Lag::Unknown(Missing::TopicNotAuthorized))
                } else {
                    (Reading::Read(None), Lag::Uncommitted)
                };
                sum.partitions.push(view(at, commit, found, lag, owners));
                sum.progress.push(Progress::default());
            }
        }
        // A commit that is absent twice was deleted or has expired: the next one begins anew. Once may be a coordinator
        // that has just moved.
        if track.commits.len() > sum.tracked {
            track.commits.retain(|at, commit| {
                if commits.contains_key(at) || left_out.contains(at) {
                    return true;
                }
                commit.lose_sight();
                commit.absent += 1;
                commit.absent < 2
            });
        }
        // What an earlier run knew has been taken over by now. It must not come back when a commit is deleted and made anew.
        if !sum.partitions.iter().any(|view| matches!(view.lag, Lag::Unknown(_))) {
            self.seeds.commits.remove(&group.id);
        }
        if sum.any_changed {
            track.changed = Some(track.watch.watched);
            track.last_commit_seen = Some(group.commits_as_of);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one turn, one group, one commit")]
    fn one_commit(
        &mut self,
        track: &mut GroupTrack,
        group: &ConsumerGroup,
        at: &TopicPartition,
        commit: Reading<CommittedOffset>,
        place: Place<'a, '_>,
        owners: &Owners<'_>,
        sum: &mut Sum,
    ) {
        let found = place.partition(at.partition);
        let unknown = |why| (Lag::Unknown(why), TimeLag::Unknown, Progress::default());
        let (lag, time_lag, progress) = match (commit, found) {
            (Reading::Missing(why), _) | (Reading::Read(_), Err(why)) => unknown(why),
            // Which life of the topic this commit is of is not known in this turn.
            (Reading::Read(_), Ok((TopicView { unknown: Some(why), .. }, _, _))) => unknown(*why),
            (Reading::Read(commit), Ok((topic, partition, log))) => {
                let here = Here {
                    at,
                    topic_id: topic.id,
                    partition,
                    track: log,
                    snapshot: self.snapshot,
                    options: self.options,
                    read_at: group.commits_as_of,
                    coordinator: group.coordinator,
                    group_empty: group.state == Reading::Read(GroupState::Empty),
                    unowned: place.unowned,
                };
                let known = track.commits.get_mut(at).filter(|known| !known.is_of_another_life(topic.id));
                let (judged, first) = match known {
                    Some(known) => (known.step(commit, &here), false),
                    None => {
                        let mut new = CommitTrack::first(commit, &group.id, &here, self.seeds);
                        let unheard_of = !new.is_restored();
                        let judged = new.step(commit, &here);
                        track.commits.insert(at.clone(), new);
                        (judged, unheard_of)
                    }
                };
                sum.any_changed |= judged.changed || (first && sum.known_before);
                self.questions.extend(judged.question.map(|epoch| (at.clone(), epoch)));
                if let Some(rewound) = judged.rewound {
                    self.changes.push(Change::CommitRewound {
                        group: group.id.clone(),
                        at: at.clone(),
                        topic_id: topic.id,
                        from: rewound.from.commit,
                        to: rewound.to.commit,
                        from_read_at: rewound.from.at,
                        to_read_at: rewound.to.at,
                        coordinator: rewound.to.coordinator,
                        group_was_empty: rewound.to.group_empty,
                    });
                }
                (judged.lag, judged.time_lag, judged.progress)
            }
        };
        if !matches!(lag, Lag::Unknown(_)) {
            sum.tracked += 1;
        } else if let Some(known) = track.commits.get_mut(at) {
            sum.tracked += 1;
            known.lose_sight();
        }
        let mut view = view(at, commit.map(Some), found, lag, owners);
        view.time_lag = time_lag;
        sum.partitions.push(view);
        sum.progress.push(progress);
    }

    fn unread_commits(&mut self, track: &mut GroupTrack, why: Missing, owners: &Owners<'_>, sum: &mut Sum) {
        track.watch.lose_sight();
        for commit in track.commits.values_mut() {
            commit.lose_sight();
        }
        let assigned = owners.of.iter().map(|(at, _)| *at).filter(|at| !track.commits.contains_key(*at));
        for at in track.commits.keys().chain(assigned) {
            sum.partitions.push(view(at, Reading::Missing(why), self.find(at, owners), Lag::Unknown(why), owners));
            sum.progress.push(Progress::default());
        }
    }

    fn view(&self, track: &GroupTrack, group: &ConsumerGroup, owners: &Owners<'_>, mut sum: Sum) -> GroupView {
        let counted = || {
            sum.partitions.iter().zip(&sum.progress).filter(|(_, progress)| !progress.abandoned).map(|(view, _)| view)
        };
        let known = || counted().filter_map(|view| view.lag.records());
        let without_number = |view: &&GroupPartitionView| match view.lag {
            Lag::Unknown(_) | Lag::Ahead(_) | Lag::Stranded { .. } => true,
            Lag::Behind(_) | Lag::Expired { .. } | Lag::Uncommitted => false,
        };
        let partitions_unknown = count(counted().filter(without_number));
        let read = unread(group).is_none();
        let committed = counted().filter(|view| view.lag != Lag::Uncommitted).map(|view| view.time_lag);
        let alive = track.changed.is_some_and(|changed| track.watch.within(changed, self.options.window));
        let verdict = verdict(group, owners, sum.partitions.iter().zip(&sum.progress), alive);
        let mut done = GroupView {
            group: group.id.clone(),
            group_type: track.group_type,
            state: group.state,
            members: group.members.clone(),
            verdict,
            lag_records: (known().count() > 0).then(|| known().sum()),
            lag_records_exact: read && partitions_unknown == 0,
            time_lag: worst(committed, read && partitions_unknown == 0),
            partitions_unknown,
            partitions_without_commit: count(sum.partitions.iter().filter(|view| view.lag == Lag::Uncommitted)),
            last_commit_seen: track.last_commit_seen,
            as_of: if read { group.commits_as_of } else { track.last_read.unwrap_or(group.commits_as_of) },
            partitions: Vec::new(),
        };
        if !sum.partitions.is_sorted_by(|a, b| a.at <= b.at) {
            sum.partitions.sort_unstable_by(|a, b| a.at.cmp(&b.at));
        }
        done.partitions = sum.partitions;
        done
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

pub(super) fn view(
    at: &TopicPartition,
    committed: Reading<Option<CommittedOffset>>,
    found: Found<'_>,
    lag: Lag,
    owners: &Owners<'_>,
) -> GroupPartitionView {
    GroupPartitionView {
        at: at.clone(),
        topic_id: found.ok().and_then(|(topic, _, _)| topic.id),
        committed,
        watermarks: found.map_or_else(no_watermarks, |(_, partition, _)| partition.watermarks),
        lag,
        time_lag: TimeLag::Unknown,
        owner: owners.owner(at),
    }
}
