//! Whether the canary can see the whole cluster: a topic that fits it, and a partition led by every broker.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::brokers::is_silence;
use super::draft::Draft;
use super::judge::counted;
use super::partitions::ids;
use super::shell::Tools;
use super::{Kind, Severity, Subject};
use crate::audit::fitness::{self, CanaryTopic, Misfit, Weight};
use crate::audit::placement;
use crate::model::{BrokerId, TopicName};
use crate::observe::{BrokerState, Observation, TopicView};

/// What tells the finding on coverage from that on settings: its [`Draft::occurrence`].
pub const COVERAGE: &str = "coverage";

/// What the canary needs of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryNeeds {
    /// Its topic.
    pub topic: TopicName,
    /// How long a record is judged.
    pub window: Duration,
}

/// The canary's place in the cluster, as far as one reading shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// What of its topic does not fit or is not known, the gravest first.
    pub misfits: Vec<Misfit>,
    /// The brokers that could lead and lead no canary partition; none while the leaders are not known.
    pub not_covered: Option<Vec<BrokerId>>,
}

/// The place of the canary; none where its topic was not seen.
#[must_use]
pub fn placement(observation: &Observation, needs: &CanaryNeeds) -> Option<Placement> {
    let topic = observation.topics.get(&needs.topic)?;
    let brokers = able_to_lead(observation);
    let in_metadata = observation.brokers.values().filter(|broker| broker.state != BrokerState::LeftMetadata);
    let misfits = fitness::misfits(
        &CanaryTopic {
            config: topic.config.as_ref(),
            replicas: topic.partitions.values().map(|partition| partition.replicas.len()).min(),
            brokers: in_metadata.count(),
        },
        needs.window,
    );
    let is_known = observation.reachable && topic.unknown.is_none() && !topic.partitions.is_empty();
    let not_covered = is_known.then(|| placement::uncovered(&leaders(topic), &brokers));
    Some(Placement { misfits, not_covered })
}

pub(crate) fn drafts(observation: &Observation, needs: &CanaryNeeds, tools: Tools<'_>, drafts: &mut Vec<Draft>) {
    let Some(topic) = observation.topics.get(&needs.topic) else { return };
    let Some(Placement { misfits, not_covered }) = placement(observation, needs) else { return };
    drafts.extend(unfit(topic, &misfits, tools));
    if let Some(not_covered) = not_covered.filter(|brokers| !brokers.is_empty()) {
        drafts.push(not_covering(observation, topic, &not_covered, tools));
    }
}

/// Brokers that are merely down cannot lead: that is told of them elsewhere.
fn able_to_lead(observation: &Observation) -> Vec<BrokerId> {
    let able = observation.brokers.values().filter(|broker| match broker.state {
        BrokerState::Answering => true,
        BrokerState::NotAnswering(why) => !is_silence(why),
        BrokerState::LeftMetadata => false,
    });
    able.map(|broker| broker.id).collect()
}

fn leaders(topic: &TopicView) -> Vec<Option<BrokerId>> {
    topic.partitions.values().map(|partition| partition.leader).collect()
}

/// A topic on which nothing is sent. The subject has the topic's id, for settings are those of one life of it.
fn unfit(topic: &TopicView, misfits: &[Misfit], tools: Tools<'_>) -> Option<Draft> {
    let refusal = fitness::refusal(misfits)?;
    let refused: Vec<&Misfit> = misfits.iter().filter(|misfit| misfit.weight == Weight::Refusal).collect();
    let settings: Vec<String> = refused
        .iter()
        .filter_map(|misfit| misfit.wanted.as_ref().map(|wanted| format!("{}={wanted}", misfit.key)))
        .collect();
    let alter = tools.plain(
        "kafka-configs.sh",
        &format!("--alter --entity-type topics --entity-name {} --add-config {}", topic.name, settings.join(",")),
    );
    let describe =
        tools.plain("kafka-configs.sh", &format!("--describe --all --entity-type topics --entity-name {}", topic.name));
    Some(Draft {
        occurrence: "settings".to_owned(),
        count: u64::try_from(refused.len()).ok(),
        advice: format!("The canary goes on by itself when this is set: {alter}"),
        evidence: json!({ "settings": misfits }),
        verify: vec![describe],
        ..Draft::new(
            Kind::CanaryNotCovering,
            Severity::Warning,
            Subject { topic: Some(topic.name.clone()), topic_id: topic.id, ..Subject::default() },
            format!("The canary does not send, because its topic {} does not fit: {refusal}.", topic.name),
        )
    })
}

/// Brokers without a partition. It harms nothing, and needs someone who may alter topics: it is told, and pages nobody.
fn not_covering(observation: &Observation, topic: &TopicView, not_covered: &[BrokerId], tools: Tools<'_>) -> Draft {
    let able = able_to_lead(observation);
    let covered = able.len().saturating_sub(not_covered.len());
    let preferred =
        |broker: &BrokerId| topic.partitions.values().find(|partition| partition.replicas.first() == Some(broker));
    // A leader that is not the preferred one is put right by an election, without another partition.
    let (waiting, without): (Vec<BrokerId>, Vec<BrokerId>) =
        not_covered.iter().copied().partition(|broker| preferred(broker).is_some());
    let mut advice = String::from("kustody never moves partitions itself.");
    for broker in &waiting {
        if let Some(partition) = preferred(broker) {
            let arguments =
                format!("--election-type preferred --topic {} --partition {}", topic.name, partition.partition);
            advice.push_str(&format!(
                " Broker {broker} is the preferred leader of partition {}: {}",
                partition.partition,
                tools.plain("kafka-leader-election.sh", &arguments)
            ));
        }
    }
    if !without.is_empty() {
        let mut replicas: Vec<&Vec<BrokerId>> = Vec::new();
        replicas.extend(topic.partitions.values().map(|partition| &partition.replicas));
        let copies = replicas.iter().map(|replicas| replicas.len()).min().unwrap_or(1);
        let more = placement::led_by(&without, &able, copies);
        let assignment: Vec<String> = replicas
            .into_iter()
            .chain(&more)
            .map(|replicas| replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(":"))
            .collect();
        let arguments = format!(
            "--alter --topic {} --partitions {} --replica-assignment {}",
            topic.name,
            assignment.len(),
            assignment.join(",")
        );
        let by = match without.as_slice() {
            [broker] => format!("broker {broker}"),
            several => format!("each of the brokers {}", ids(several)),
        };
        advice.push_str(&format!(" Add a partition led by {by}: {}", tools.plain("kafka-topics.sh", &arguments)));
    }
    let down: BTreeSet<BrokerId> = observation.brokers.keys().copied().filter(|id| !able.contains(id)).collect();
    let partitions: Vec<_> = topic
        .partitions
        .values()
        .map(|one| json!({ "partition": one.partition, "leader": one.leader, "replicas": one.replicas }))
        .collect();
    let (noun, verb) = if not_covered.len() == 1 { ("Broker", "leads") } else { ("Brokers", "lead") };
    Draft {
        occurrence: COVERAGE.to_owned(),
        // One reading may fall into an election, or between the start of a broker and its first leadership.
        readings: 2,
        count: u64::try_from(not_covered.len()).ok(),
        advice,
        evidence: json!({
            "brokers_not_covered": not_covered,
            "brokers_down": down,
            "brokers_covered": covered,
            "partitions": partitions,
            "as_of": observation.started,
        }),
        verify: tools.topic(topic.name.as_str()),
        ..Draft::new(
            Kind::CanaryNotCovering,
            Severity::Info,
            Subject { topic: Some(topic.name.clone()), ..Subject::default() },
            format!(
                "{noun} {} {verb} no partition of {}: what is lost there the canary cannot see ({covered} of {} covered).",
                ids(not_covered),
                topic.name,
                counted(u64::try_from(able.len()).unwrap_or(u64::MAX), "broker"),
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fitness::fit;
    use crate::finding::{BookOptions, Finding, FindingBook, FindingState, JudgeOptions, Judged, judge};
    use crate::model::{Missing, Reading, TopicConfig};
    use crate::observe::world::World;

    const CANARY: &str = "__kustody.canary";

    fn options() -> JudgeOptions {
        let needs = CanaryNeeds { topic: CANARY.into(), window: Duration::from_secs(1_800) };
        JudgeOptions { bootstrap: "b:9092".to_owned(), canary: Some(needs) }
    }

    fn compacted() -> Reading<TopicConfig> {
        Reading::Read(TopicConfig { cleanup_policy: Some("compact".to_owned()), ..fit() })
    }

    /// A world, the settings of its canary topic, and its book.
    struct Watched {
        world: World,
        config: Reading<TopicConfig>,
        book: FindingBook,
    }

    impl Watched {
        /// So many partitions, led by 1, 2, 3, 1, ….
        fn new(partitions: usize) -> Self {
            let world = World::new().with_topic(CANARY, 7, &vec![10; partitions]);
            Self { world, config: Reading::Read(fit()), book: FindingBook::new("main".into(), BookOptions::default()) }
        }

        fn observe(&mut self) -> Observation {
            let mut observation = self.world.turn();
            if let Some(topic) = observation.topics.get_mut(&crate::model::TopicName::from(CANARY)) {
                topic.config = self.config.clone();
            }
            observation
        }

        /// What opened or closed in so many turns.
        fn turns(&mut self, number: usize) -> Vec<Finding> {
            let mut changed = Vec::new();
            for _ in 0..number {
                let observation = self.observe();
                changed.extend(self.book.step(observation.finished, &judge(&observation, &options())));
                // The ledger speaks in every turn too, and not of this.
                changed.extend(self.book.step(observation.finished, &Judged::of_canary(Vec::new())));
            }
            changed.retain(|finding| finding.kind == Kind::CanaryNotCovering);
            changed
        }

        fn open(&self) -> Vec<&Finding> {
            self.book.open().filter(|finding| finding.kind == Kind::CanaryNotCovering).collect()
        }
    }

    #[test]
    fn brokers_that_lead_nothing_are_named_until_they_do() {
        let mut watched = Watched::new(2);
        assert_eq!(watched.turns(1), [], "one reading may fall into an election");
        let opened = watched.turns(1);
        let opened = opened.first().expect("a second reading says the same");
        assert_eq!((opened.count, opened.severity), (Some(1), Severity::Info));
        insta::assert_snapshot!(opened.summary, @"Broker 3 leads no partition of __kustody.canary: what is lost there the canary cannot see (2 of 3 brokers covered).");
        insta::assert_snapshot!(opened.advice, @"kustody never moves partitions itself. Add a partition led by broker 3: kafka-topics.sh --bootstrap-server b:9092 --alter --topic __kustody.canary --partitions 3 --replica-assignment 1:2:3,2:3:1,3:1:2");
        assert_eq!(opened.evidence["brokers_not_covered"], json!([3]));
        assert_eq!(watched.turns(5), [], "it is told once");
        watched.world = std::mem::replace(&mut watched.world, World::new()).with_topic(CANARY, 7, &[10, 10, 0]);
        let closed = watched.turns(2);
        assert_eq!(closed.iter().map(|finding| finding.state).collect::<Vec<_>>(), [FindingState::Closed]);
    }

    #[test]
    fn a_leader_that_is_not_the_preferred_one_needs_an_election_only() {
        let mut watched = Watched::new(3);
        assert_eq!(watched.turns(3), []);
        watched.world.elect(CANARY, 2, 1, 10);
        watched.turns(2);
        let advice: Vec<&str> = watched.open().iter().map(|finding| finding.advice.as_str()).collect();
        insta::assert_snapshot!(advice.join("\n"), @"kustody never moves partitions itself. Broker 3 is the preferred leader of partition 2: kafka-leader-election.sh --bootstrap-server b:9092 --election-type preferred --topic __kustody.canary --partition 2");
    }

    #[test]
    fn where_coverage_is_not_known_or_not_wanted_nothing_is_said() {
        type Change = fn(&mut Watched);
        let cases: [(&str, Change); 5] = [
            ("every broker leads", |_| {}),
            ("the third one hangs", |w| {
                w.world = World::new().with_topic(CANARY, 7, &[10, 10]);
                w.world.silent.insert(3, Missing::TimedOut(BrokerId(3)));
            }),
            ("the third one left", |w| {
                w.world = World::new().with_topic(CANARY, 7, &[10, 10]);
                w.world.brokers.remove(&3);
            }),
            ("the topic is not there", |w| w.world = World::new()),
            ("nothing can be read", |w| w.world.dark = true),
        ];
        for (name, change) in cases {
            let mut watched = Watched::new(3);
            change(&mut watched);
            assert_eq!(watched.turns(5), [], "{name}");
        }
        let mut watched = Watched::new(2);
        let without = JudgeOptions { canary: None, ..options() };
        let observation = watched.observe();
        assert!(judge(&observation, &without).holds.iter().all(|draft| draft.kind != Kind::CanaryNotCovering));
    }

    #[test]
    fn what_is_unknown_neither_opens_nor_closes() {
        let mut watched = Watched::new(2);
        watched.config = compacted();
        watched.turns(2);
        assert_eq!(watched.open().len(), 2, "settings and leaders");
        watched.config = Reading::Missing(Missing::NotAsked);
        assert_eq!(watched.turns(5), [], "settings that are not known are not mended");
        watched.world.dark = true;
        assert_eq!(watched.turns(5), [], "nor is what cannot be read");
        watched.world.dark = false;
        watched.config = Reading::Read(fit());
        watched.turns(2);
        assert_eq!(watched.open().len(), 1, "only the settings were mended");
    }

    #[test]
    fn a_topic_that_does_not_fit_is_told_at_once_with_the_remedy() {
        let mut watched = Watched::new(3);
        watched.config = compacted();
        let opened = watched.turns(1);
        let opened = opened.first().expect("it is beyond doubt");
        assert_eq!(
            (opened.severity, opened.count, opened.grade),
            (Severity::Warning, Some(1), crate::finding::Grade::Risk)
        );
        insta::assert_snapshot!(opened.summary, @"The canary does not send, because its topic __kustody.canary does not fit: cleanup.policy=compact: compaction removes canaries, which have no key, before they are judged; set cleanup.policy=delete.");
        insta::assert_snapshot!(opened.advice, @"The canary goes on by itself when this is set: kafka-configs.sh --bootstrap-server b:9092 --alter --entity-type topics --entity-name __kustody.canary --add-config cleanup.policy=delete");
        watched.config = Reading::Read(TopicConfig { min_insync_replicas: Some(1), ..fit() });
        assert_eq!(watched.turns(3).len(), 1, "it closes, and advice is no finding");
        assert_eq!(watched.open(), Vec::<&Finding>::new());
    }
}
