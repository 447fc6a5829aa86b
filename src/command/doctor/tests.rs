//! What the doctor says of clusters in miniature.

use std::collections::BTreeMap;
use std::time::Duration;

use super::checks::{Seen, checks};
use super::report::Report;
use crate::audit::fitness::fit;
use crate::config::{self, ClusterConfig};
use crate::model::{BrokerId, Missing, Reading, TopicConfig, TopicName};
use crate::observe::Observation;
use crate::observe::world::World;
use crate::wire::{Greeted, Greeting};

const CANARY: &str = "__kustody.canary";

fn cluster(more: &str) -> ClusterConfig {
    let text =
        format!("[[cluster]]\nname = \"main\"\n{more}\n[cluster.kafka]\n\"bootstrap.servers\" = \"b1:9092,b2:9092\"");
    config::parse(&text, &BTreeMap::new()).expect("a good configuration").clusters.remove(0)
}

fn greeted(cluster_id: &str) -> Greeted {
    let apis = [("Metadata", 13), ("OffsetForLeaderEpoch", 4), ("ConsumerGroupDescribe", 1)];
    Greeted {
        took: Duration::from_millis(3),
        cluster_id: Some(cluster_id.to_owned()),
        apis: apis.into_iter().map(|(name, version)| (name, Some(version))).collect(),
    }
}

fn greeting(address: &str, broker: Option<i32>, answer: Result<Greeted, &str>) -> Greeting {
    Greeting { address: address.to_owned(), broker: broker.map(BrokerId), answer: answer.map_err(str::to_owned) }
}

/// Two addresses and three brokers that answer.
fn greetings() -> Vec<Greeting> {
    let bootstrap = ["b1:9092", "b2:9092"].map(|address| greeting(address, None, Ok(greeted("abc"))));
    let brokers = [1, 2, 3].map(|id| greeting(&format!("b{id}:9092"), Some(id), Ok(greeted("abc"))));
    bootstrap.into_iter().chain(brokers).collect()
}

/// One turn of a world, its canary topic with these settings.
fn observed(mut world: World, settings: TopicConfig) -> Observation {
    let mut observation = world.turn();
    if let Some(topic) = observation.topics.get_mut(&TopicName::from(CANARY)) {
        topic.config = Reading::Read(settings);
    }
    observation
}

fn said(config: &ClusterConfig, greetings: &[Greeting], observation: &Observation) -> (String, bool) {
    let report = Report::of(checks(Seen { config, greetings, observation }));
    (report.text(), report.is_well)
}

#[test]
fn a_cluster_that_is_well() {
    let observation = observed(World::new().with_topic(CANARY, 7, &[1, 1, 1]), fit());
    let (text, is_well) = said(&cluster("canary.enabled = true"), &greetings(), &observation);
    insta::assert_snapshot!(text, @"
    ok       main: bootstrap b1:9092: answers in 3 ms
    ok       main: bootstrap b2:9092: answers in 3 ms
    ok       main: broker 1 at b1:9092: answers in 3 ms; Metadata 13, OffsetForLeaderEpoch 4, ConsumerGroupDescribe 1
    ok       main: broker 2 at b2:9092: answers in 3 ms; Metadata 13, OffsetForLeaderEpoch 4, ConsumerGroupDescribe 1
    ok       main: broker 3 at b3:9092: answers in 3 ms; Metadata 13, OffsetForLeaderEpoch 4, ConsumerGroupDescribe 1
    ok       main: cluster id: abc
    ok       main: canary topic __kustody.canary: fits: 3 partitions, replication factor 3, cleanup.policy=delete, retention.ms=7200000
    ok       main: canary topic __kustody.canary: every broker that is up leads a partition of it
    ok       main: canary.rate for availability, freshness, exactness, order: 900 records in 5 minutes are enough for 99.9 %: 139 are needed so that one bad record alone cannot page
    0 problem, 0 unknown, 0 advice, 9 ok
    ");
    assert!(is_well);
}

#[test]
fn a_cluster_with_everything_wrong() {
    let mut world = World::new().with_topic(CANARY, 7, &[1, 1]);
    world.log(CANARY, 1).replicas = vec![2, 3, 4];
    let settings = TopicConfig {
        cleanup_policy: Some("compact".to_owned()),
        retention_bytes: None,
        max_message_bytes: Some(100),
        message_timestamp_type: Some("LogAppendTime".to_owned()),
        ..fit()
    };
    let mut greetings = greetings();
    greetings[1] = greeting("b2:9092", None, Ok(greeted("another")));
    greetings[2] = greeting("b1:9092", Some(1), Err("no connection: Connection refused"));
    if let Ok(greeted) = &mut greetings[3].answer {
        greeted.apis[1].1 = None;
    }
    if let Ok(greeted) = &mut greetings[4].answer {
        greeted.apis[2].1 = None;
    }
    let config = cluster("canary.enabled = true\ncanary.rate = 0.1");
    let (text, is_well) = said(&config, &greetings, &observed(world, settings));
    insta::assert_snapshot!(text, @"
    problem  main: broker 1 at b1:9092: does not answer (no connection: Connection refused); see whether it runs, and whether its advertised listener can be reached from here
    problem  main: broker 2 at b2:9092: answers in 3 ms, and offers no version we speak of OffsetForLeaderEpoch; what they tell cannot be read: take a newer Kafka
    problem  main: broker 4: is not in the metadata, though replicas are placed on it; start it, or reassign what it holds
    problem  main: cluster id: the addresses belong to several clusters: abc, another; let bootstrap.servers name one cluster
    problem  main: canary topic __kustody.canary: cleanup.policy=compact: compaction removes canaries, which have no key, before they are judged; set cleanup.policy=delete
    unknown  main: canary topic __kustody.canary: retention.bytes is not known: the broker did not tell it
    advice   main: broker 3 at b3:9092: answers in 3 ms; without ConsumerGroupDescribe groups of the new protocol are not described
    advice   main: canary topic __kustody.canary: max.message.bytes=100: smaller than a canary (176 bytes with its batch): each is rejected; set max.message.bytes=1048588
    advice   main: canary topic __kustody.canary: Broker 3 leads no partition of __kustody.canary: what is lost there the canary cannot see (2 of 3 brokers covered); kustody never moves partitions itself. Add a partition led by broker 3: kafka-topics.sh --bootstrap-server b1:9092,b2:9092 --alter --topic __kustody.canary --partitions 3 --replica-assignment 1:2:3,2:3:4,3:1:2
    advice   main: canary.rate for availability, freshness, exactness, order: insufficient resolution: 60 records in 5 minutes (0.1 a second on 2 partitions) are too few for 99.9 %: 139 are needed so that one bad record alone cannot page; set canary.rate to 0.24 or higher. Until then an alert waits for a second bad record
    ok       main: bootstrap b1:9092: answers in 3 ms
    ok       main: bootstrap b2:9092: answers in 3 ms
    ok       main: canary topic __kustody.canary: message.timestamp.type=LogAppendTime: timestamps are the broker's; latencies are measured by our own clock and do not depend on them
    ok       main: canary topic __kustody.canary: exists: 2 partitions, replication factor 3
    5 problem, 1 unknown, 4 advice, 4 ok
    ");
    assert!(!is_well);
}

#[test]
fn without_a_topic_it_depends_on_who_is_to_make_it() {
    let observation = observed(World::new(), fit());
    let cases = [
        (
            "nobody makes it",
            "canary.enabled = true",
            false,
            "does not exist; create it, or set canary.create_topic = true",
        ),
        (
            "the daemon does",
            "canary.enabled = true\ncanary.create_topic = true",
            true,
            "is created when the daemon starts",
        ),
        ("no canary", "", true, "is not enabled"),
    ];
    for (name, more, well, says) in cases {
        let (text, is_well) = said(&cluster(more), &greetings(), &observation);
        assert!(is_well == well && text.contains(says), "{name}: {text}");
    }
    let (text, _) = said(&cluster("canary.enabled = true\ncanary.create_topic = true"), &greetings(), &observation);
    assert!(text.contains("900 records in 5 minutes"), "a partition for each of three brokers: {text}");
}

#[test]
fn the_rate_is_held_against_each_objective() {
    const OTHERS: &str = "canary.rate for availability, freshness, exactness, order";
    let too_few = "insufficient resolution: 900 records in 5 minutes (1 a second on 3 partitions) are too few for 99.99 %: 1,389 are needed so that one bad record alone cannot page; set canary.rate to 1.6 or higher. Until then an alert waits for a second bad record";
    let enough = |objective: &str, needed: u32| {
        format!(
            "900 records in 5 minutes are enough for {objective}: {needed} are needed so that one bad record alone cannot page"
        )
    };
    // Word, about and text.
    type Said<'a> = (&'a str, &'a str, String);
    let cases: [(&str, &str, Vec<Said<'_>>); 5] = [
        ("none is set", "", vec![("ok", OTHERS, enough("99.9 %", 139))]),
        (
            "one is higher",
            "canary.slo.order = 0.9999",
            vec![
                ("advice", "canary.rate for order", too_few.to_owned()),
                ("ok", "canary.rate for availability, freshness, exactness", enough("99.9 %", 139)),
            ],
        ),
        (
            "each is another",
            "canary.slo.availability = 0.99\ncanary.slo.freshness = 0.9995\ncanary.slo.exactness = 0.9999",
            vec![
                ("advice", "canary.rate for exactness", too_few.to_owned()),
                ("ok", "canary.rate for availability", enough("99 %", 14)),
                ("ok", "canary.rate for freshness", enough("99.95 %", 278)),
                ("ok", "canary.rate for order", enough("99.9 %", 139)),
            ],
        ),
        ("what is proven needs no rate", "canary.slo.durability = 0.9999", vec![("ok", OTHERS, enough("99.9 %", 139))]),
        (
            "what is not proven does",
            "canary.classes = [\"acks1\", \"all\"]\ncanary.slo.durability = 0.9999",
            vec![("advice", "canary.rate for durability", too_few.to_owned()), ("ok", OTHERS, enough("99.9 %", 139))],
        ),
    ];
    let observation = observed(World::new().with_topic(CANARY, 7, &[1, 1, 1]), fit());
    for (name, more, want) in cases {
        let (text, _) = said(&cluster(&format!("canary.enabled = true\n{more}")), &greetings(), &observation);
        let got: Vec<&str> = text.lines().filter(|line| line.contains("canary.rate for")).collect();
        let want: Vec<String> =
            want.iter().map(|(word, about, text)| format!("{word:<8} main: {about}: {text}")).collect();
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn what_is_not_known_is_no_problem_and_not_well_either() {
    let mut world = World::new().with_topic(CANARY, 7, &[1, 1, 1]);
    world.topics.get_mut(CANARY).expect("it was made").missing = Some(Missing::TopicNotAuthorized);
    let (text, is_well) = said(&cluster("canary.enabled = true"), &greetings(), &observed(world, fit()));
    assert!(is_well && text.contains("unknown  main: canary topic"), "{text}");
}

#[test]
fn nothing_else_is_said_of_a_cluster_that_does_not_answer() {
    let mut world = World::new();
    world.dark = true;
    let greetings = [greeting("b1:9092", None, Err("no connection: Connection refused"))];
    let (text, is_well) = said(&cluster("canary.enabled = true"), &greetings, &observed(world, fit()));
    insta::assert_snapshot!(text, @"
    problem  main: bootstrap b1:9092: does not answer (no connection: Connection refused); see whether a broker listens there, or take it out of bootstrap.servers
    problem  main: cluster: no broker answers: nothing else can be checked; see whether the brokers run, and bootstrap.servers
    2 problem, 0 unknown, 0 advice, 0 ok
    ");
    assert!(!is_well);
}
