use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::{
    BrokerId, ClusterName, CommittedOffset, GroupId, GroupState, GroupType, LeaderEpoch, Missing, Offset, PartitionId,
    Reading, Timestamp, TopicName, TopicPartition, Watermarks,
};
use crate::observe::{
    BrokerState, BrokerView, GroupPartitionView, GroupVerdict, GroupView, Lag, Observation, PartitionFlags,
    PartitionView, TimeLag, TopicView,
};
use crate::publish::PublishedCluster;

const AT: Timestamp = Timestamp::from_millis(1_795_336_103_007);

fn build() -> BuildInfo {
    BuildInfo { version: "0.1.0".into(), commit: "abc".into(), librdkafka: "2.12.1".into() }
}

fn watermarks() -> Watermarks {
    let at = |number| Reading::Read(Offset::new(number).expect("not negative"));
    Watermarks { log_start: at(0), last_stable: at(100), high_watermark: at(100) }
}

fn group(name: &str, lags: &[(&str, Lag)]) -> GroupView {
    let records: Option<u64> = lags.iter().filter_map(|(_, lag)| lag.records()).reduce(|sum, lag| sum + lag);
    let unknown = lags.iter().filter(|(_, lag)| matches!(lag, Lag::Unknown(_))).count();
    let partitions = lags.iter().enumerate().map(|(index, (topic, lag))| GroupPartitionView {
        at: TopicPartition::new(*topic, i32::try_from(index).expect("few")),
        topic_id: None,
        committed: Reading::Read(Some(CommittedOffset { offset: Offset::ZERO, leader_epoch: None })),
        watermarks: watermarks(),
        lag: *lag,
        time_lag: TimeLag::Unknown,
        owner: None,
    });
    GroupView {
        group: GroupId::from(name),
        group_type: GroupType::Classic,
        state: Reading::Read(GroupState::PreparingRebalance),
        members: Reading::Read(Vec::new()),
        verdict: if unknown > 0 { GroupVerdict::Unknown } else { GroupVerdict::Ok },
        lag_records: records,
        lag_records_exact: unknown == 0,
        time_lag: if unknown > 0 { TimeLag::Unknown } else { TimeLag::Between { low: 4.5, high: 19.5 } },
        partitions_unknown: u64::try_from(unknown).expect("few"),
        partitions_without_commit: 0,
        last_commit_seen: None,
        as_of: AT,
        partitions: partitions.collect(),
    }
}

fn published(groups: Vec<GroupView>) -> Published {
    let broker = |id, state| {
        let address = format!("broker-{id}:9092");
        (BrokerId(id), BrokerView { id: BrokerId(id), address, rack: None, state, since: AT, leads: 1, replicas: 2 })
    };
    let partition = PartitionView {
        partition: PartitionId(0),
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch::new(4),
        replicas: vec![BrokerId(1), BrokerId(2)],
        in_sync: vec![BrokerId(1)],
        offline_replicas: vec![],
        flags: PartitionFlags { under_replicated: true, under_min_isr: true, ..PartitionFlags::default() },
        watermarks: watermarks(),
        last_high_watermark: None,
    };
    let topic = |name: &str, unknown| TopicView {
        name: name.into(),
        id: None,
        internal: false,
        config: Reading::Missing(Missing::NotAsked),
        partitions: BTreeMap::from([(PartitionId(0), partition.clone())]),
        unknown,
        as_of: AT,
    };
    let observation = Observation {
        cluster: ClusterName::from("main"),
        cluster_id: Reading::Read("x".into()),
        started: AT,
        finished: AT,
        reachable: true,
        complete: false,
        brokers: BTreeMap::from([
            broker(1, BrokerState::Answering),
            broker(2, BrokerState::NotAnswering(Missing::TimedOut(BrokerId(2)))),
        ]),
        topics: BTreeMap::from([
            (TopicName::from("orders"), topic("orders", None)),
            (TopicName::from("payments"), topic("payments", Some(Missing::TopicNotAuthorized))),
        ]),
        groups: groups.into_iter().map(|view| (view.group.clone(), view)).collect(),
        changes: vec![],
        took: Duration::from_millis(40),
        requests: BTreeMap::new(),
        missing: vec![],
        unknown_readings: BTreeMap::from([("timed_out", 2)]),
    };
    let mut cluster = PublishedCluster {
        observation: Some(Arc::new(observation)),
        last_success: Some(AT),
        ..PublishedCluster::default()
    };
    let totals = Arc::make_mut(&mut cluster.totals);
    totals.poll_requests.insert(("Metadata", "answered"), 7);
    totals.poll_duration.record(0.04);
    Published {
        as_of: Some(AT),
        clusters: BTreeMap::from([(ClusterName::from("main"), cluster)]),
        ..Published::default()
    }
}

/// Metric, labels and value of each sample, read by the rules of the text format.
fn samples(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let mut rest = line.chars().peekable();
    let mut name = String::new();
    while let Some(next) = rest.next_if(|c| *c != '{' && *c != ' ') {
        name.push(next);
    }
    let mut labels = BTreeMap::new();
    if rest.next() == Some('{') {
        while rest.next_if_eq(&'}').is_none() {
            let label: String = std::iter::from_fn(|| rest.next_if(|c| *c != '=')).collect();
            assert_eq!((rest.next(), rest.next()), (Some('='), Some('"')), "{line}");
            let mut value = String::new();
            loop {
                match rest.next().expect("a label value ends") {
                    '"' => break,
                    '\\' => value.push(match rest.next().expect("an escape has two characters") {
                        'n' => '\n',
                        same => same,
                    }),
                    plain => value.push(plain),
                }
            }
            labels.insert(label.trim_start_matches(',').to_owned(), value);
        }
    }
    let value: String = rest.collect();
    (name, labels, value.trim().parse().expect("a number"))
}

fn promtool(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (tests/install)");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("promtool ran");
    writer.join().expect("the writer does not panic").expect("promtool reads all of its input");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn a_small_cluster_reads_as_it_is() {
    let unread = Lag::Unknown(Missing::TimedOut(BrokerId(2)));
    let groups = vec![
        group("billing", &[("orders", Lag::Behind(40)), ("orders", unread), ("payments", unread)]),
        group("cut", &[("orders", Lag::Behind(0)), ("orders", Lag::Ahead(5))]),
        group("idle", &[("orders", Lag::Behind(0)), ("orders", unread)]),
        group("shop", &[("orders", Lag::Behind(0)), ("payments", Lag::Expired { behind: 9, lost: 4 })]),
    ];
    let text = exposition(&published(groups), &build());
    let without = ["kustody_findings", "_bucket", "kustody_alerts{"];
    let shown: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("# HELP") && !without.iter().any(|prefix| line.contains(prefix)))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    # TYPE kustody_alerts gauge
    # TYPE kustody_brokers gauge
    kustody_brokers{cluster="main",state="answering"} 1
    kustody_brokers{cluster="main",state="left_metadata"} 0
    kustody_brokers{cluster="main",state="not_answering"} 1
    # TYPE kustody_build_info gauge
    kustody_build_info{version="0.1.0",commit="abc",librdkafka="2.12.1"} 1
    # TYPE kustody_cluster_up gauge
    kustody_cluster_up{cluster="main"} 1
    # TYPE kustody_exposition_truncated_series gauge
    kustody_exposition_truncated_series 0
    # TYPE kustody_group_info gauge
    kustody_group_info{cluster="main",group="billing",type="classic",state="preparing_rebalance"} 1
    kustody_group_info{cluster="main",group="cut",type="classic",state="preparing_rebalance"} 1
    kustody_group_info{cluster="main",group="idle",type="classic",state="preparing_rebalance"} 1
    kustody_group_info{cluster="main",group="shop",type="classic",state="preparing_rebalance"} 1
    # TYPE kustody_group_lag_records gauge
    kustody_group_lag_records{cluster="main",group="billing",topic="orders"} 40
    kustody_group_lag_records{cluster="main",group="shop",topic="orders"} 0
    kustody_group_lag_records{cluster="main",group="shop",topic="payments"} 9
    # TYPE kustody_group_lag_seconds gauge
    kustody_group_lag_seconds{cluster="main",group="cut"} 4.5
    kustody_group_lag_seconds{cluster="main",group="shop"} 4.5
    # TYPE kustody_group_partitions gauge
    kustody_group_partitions{cluster="main",group="billing",state="behind"} 1
    kustody_group_partitions{cluster="main",group="billing",state="unknown"} 2
    kustody_group_partitions{cluster="main",group="cut",state="ahead"} 1
    kustody_group_partitions{cluster="main",group="cut",state="caught_up"} 1
    kustody_group_partitions{cluster="main",group="idle",state="caught_up"} 1
    kustody_group_partitions{cluster="main",group="idle",state="unknown"} 1
    kustody_group_partitions{cluster="main",group="shop",state="caught_up"} 1
    kustody_group_partitions{cluster="main",group="shop",state="expired"} 1
    # TYPE kustody_group_verdict gauge
    kustody_group_verdict{cluster="main",group="billing",verdict="unknown"} 1
    kustody_group_verdict{cluster="main",group="cut",verdict="ok"} 1
    kustody_group_verdict{cluster="main",group="idle",verdict="unknown"} 1
    kustody_group_verdict{cluster="main",group="shop",verdict="ok"} 1
    # TYPE kustody_outbox_pending gauge
    kustody_outbox_pending 0
    # TYPE kustody_partitions gauge
    kustody_partitions{cluster="main",state="at_min_isr"} 0
    kustody_partitions{cluster="main",state="leader_not_preferred"} 0
    kustody_partitions{cluster="main",state="offline"} 0
    kustody_partitions{cluster="main",state="total"} 2
    kustody_partitions{cluster="main",state="under_min_isr"} 1
    kustody_partitions{cluster="main",state="under_replicated"} 1
    kustody_partitions{cluster="main",state="unknown"} 1
    # TYPE kustody_poll_duration_seconds histogram
    kustody_poll_duration_seconds_sum{cluster="main"} 0.04
    kustody_poll_duration_seconds_count{cluster="main"} 1
    # TYPE kustody_poll_last_success_timestamp_seconds gauge
    kustody_poll_last_success_timestamp_seconds{cluster="main"} 1795336103.007
    # TYPE kustody_poll_requests_total counter
    kustody_poll_requests_total{cluster="main",api="Metadata",outcome="answered"} 7
    # TYPE kustody_unknown_readings gauge
    kustody_unknown_readings{cluster="main",reason="timed_out"} 2
    "#);
}

#[test]
fn what_is_not_known_has_no_sample() {
    let mut before = published(vec![]);
    for cluster in before.clusters.values_mut() {
        cluster.observation = None;
        cluster.last_success = None;
    }
    let names: Vec<String> = samples(&exposition(&before, &build())).into_iter().map(|(name, _, _)| name).collect();
    for absent in ["kustody_cluster_up", "kustody_brokers", "kustody_partitions", "kustody_findings"] {
        assert!(!names.iter().any(|name| name == absent), "{absent} before the first turn");
    }
}

#[test]
fn an_objective_without_records_to_judge_has_no_sample() {
    use crate::audit::rates::{Rates, Sum, Tally};
    use crate::audit::slo::{Burn, Minutes, TimeCoverage, Window};
    use crate::audit::{CanaryClass, ClassSlo, Slo, SloState, resolution};

    let judged = Sum {
        tally: Tally {
            sent: 1_000,
            acked: 998,
            acked_in_time: 998,
            delivered: 997,
            lost: 1,
            minutes: 5,
            ..Tally::default()
        },
        ..Sum::default()
    };
    let class = CanaryClass::Idempotent;
    let state = |slo: Slo| {
        let sum = |window| if window == Window::FiveMinutes { Sum::default() } else { judged };
        let burns = Window::ALL.map(|window| Burn::of(slo, 0.999, window, &sum(window)));
        SloState::of((slo, class), 0.999, slo.share(&judged), burns.into(), resolution(1.0, 1, 0.999))
    };
    let slo = ClassSlo {
        class,
        as_of: AT,
        slos: vec![state(Slo::Availability), state(Slo::Durability), state(Slo::Order)],
        rates: Rates::of(&judged),
        time_coverage: TimeCoverage { minutes_with_data: 5, minutes: 43_200, sent: 1_000, settled: 1_000 },
        minutes: Minutes { from: AT, states: vec![], clock_set: vec![] },
        corrections: vec![],
    };
    let canary = crate::publish::PublishedCanary {
        topic: "canary".to_owned(),
        as_of: AT,
        classes: vec![],
        partitions: vec![],
        paused: None,
        refused: Vec::new(),
        slos: Arc::new(vec![slo]),
    };
    let mut published = published(vec![]);
    for cluster in published.clusters.values_mut() {
        cluster.canary = Some(Arc::new(canary.clone()));
    }
    let text = exposition(&published, &build());
    let is_shown = |line: &&str| {
        line.starts_with("kustody_canary_slo") && ["5m", "1h", "30d"].iter().any(|window| line.contains(window))
    };
    let shown: Vec<&str> = text.lines().filter(is_shown).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    kustody_canary_slo_burn_rate{cluster="main",class="idempotent",slo="availability",window="1h"} 1.9999999999999982
    kustody_canary_slo_good_ratio{cluster="main",class="idempotent",slo="availability",window="1h"} 0.998
    kustody_canary_slo_good_ratio{cluster="main",class="idempotent",slo="availability",window="30d"} 0.998
    kustody_canary_slo_good_ratio{cluster="main",class="idempotent",slo="durability",window="1h"} 0.998997995991984
    kustody_canary_slo_good_ratio{cluster="main",class="idempotent",slo="durability",window="30d"} 0.998997995991984
    "#);
    assert_eq!(promtool(&["check", "metrics"], &text), (Some(0), String::new()));
}

#[test]
fn a_name_of_any_characters_comes_back_unchanged() {
    let long = "ü".repeat(16_000);
    let names = [
        "",
        ".",
        "a\"b\\c\nd",
        "\\",
        "\\n",
        "<script>alert(1)</script>",
        "\u{0}\u{1}\u{7f}\r\t",
        "\u{202e}rtl",
        "}{=,# HELP x",
        long.as_str(),
    ];
    let groups = names.iter().map(|name| group(name, &[("orders", Lag::Behind(3))])).collect();
    let text = exposition(&published(groups), &build());
    let samples = samples(&text);
    for name in names {
        let of_it = |(metric, labels, _): &&(String, BTreeMap<String, String>, f64)| {
            metric == "kustody_group_lag_records" && labels.get("group").map(String::as_str) == Some(name)
        };
        assert_eq!(samples.iter().filter(of_it).count(), 1, "{name:?}");
    }
    assert_eq!(promtool(&["check", "metrics"], &text), (Some(0), String::new()));
}

/// The names of metrics in a text, without the suffixes of a histogram.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("kustody_"));
    let histograms: Vec<&str> =
        table::ALL.iter().filter(|metric| metric.kind == table::Type::Histogram).map(|metric| metric.name).collect();
    let base = |name: &str| {
        let suffixes = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
        suffixes.into_iter().find(|base| histograms.contains(base)).unwrap_or(name).to_owned()
    };
    names.map(base).collect()
}

#[test]
fn dashboards_name_only_what_is_exposed() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let known: BTreeSet<String> = table::ALL.iter().map(|metric| metric.name.to_owned()).collect();
    let mut named_in_all = BTreeSet::new();
    for entry in std::fs::read_dir(directory).expect("there are dashboards") {
        let path = entry.expect("a directory that can be read").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let strangers: Vec<String> = named(&text).difference(&known).cloned().collect();
        assert_eq!(strangers, Vec::<String>::new(), "{}", path.display());
        named_in_all.extend(named(&text));
    }
    assert!(named_in_all.len() > 10, "the alert rules are among them: {named_in_all:?}");
}

#[test]
fn alert_rules_are_valid_and_fire_when_they_should() {
    let file = |name: &str| format!("{}/dashboards/{name}", env!("CARGO_MANIFEST_DIR"));
    for arguments in
        [["check", "rules", &file("kustody-alerts.yml")], ["test", "rules", &file("kustody-alerts.test.yml")]]
    {
        let (code, said) = promtool(&arguments, "");
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn over_the_cap_the_largest_lags_stay_and_the_others_are_summed() {
    let groups = |count: u64| -> Vec<GroupView> {
        let mut groups: Vec<GroupView> =
            (0..count).map(|number| group(&format!("group-{number:04}"), &[("orders", Lag::Behind(number))])).collect();
        groups.push(group("_other", &[("orders", Lag::Behind(1_000_000))]));
        groups
    };
    let cap = 600;
    let text = capped(&published(groups(500)), &build(), cap);
    let seen = samples(&text);
    assert!(seen.len() <= cap, "{} series", seen.len());
    let lags: BTreeMap<&str, f64> = seen
        .iter()
        .filter(|(name, _, _)| name == "kustody_group_lag_records")
        .map(|(_, labels, value)| (labels["group"].as_str(), *value))
        .collect();
    assert!(lags.contains_key("group-0499") && !lags.contains_key("group-0001"), "the largest stay");
    let total: u64 = (0..500_u64).sum::<u64>() + 1_000_000;
    assert_eq!(lags.values().sum::<f64>(), number(total), "nothing is lost in the sum");
    let left_out = seen.iter().find(|(name, _, _)| name == "kustody_exposition_truncated_series");
    assert!(left_out.is_some_and(|(_, _, value)| *value > 1000.0), "{left_out:?}");

    let all = samples(&capped(&published(groups(500)), &build(), SERIES_CAP));
    let left_out = all.iter().find(|(name, _, _)| name == "kustody_exposition_truncated_series");
    assert!(left_out.is_some_and(|(_, _, value)| *value == 0.0), "{left_out:?}");
}
