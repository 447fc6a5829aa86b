//! The fault proxy: what it does to a producer is read back from the log.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clusters::own;
use crate::kafka::proxy::{Fault, Link, PRODUCE, Proxy, Rule, Which};
use crate::kafka::{Client, Error, Log, Options, until, values};

/// Extra copies, by what is in the log.
fn duplicates(log: &Log) -> usize {
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for record in &log.records {
        *copies.entry(record.text()).or_default() += 1;
    }
    copies.values().map(|copies| copies - 1).sum()
}

/// How long a producer waits for an answer, and how long the broker for the followers.
struct Patience {
    socket: &'static str,
    request: &'static str,
}

/// No slow machine outlasts it: whatever is sent twice was told to be.
const PATIENT: Patience = Patience { socket: "60000", request: "30000" };
/// What is not answered is soon sent again, on a slow machine without our doing too.
const HASTY: Patience = Patience { socket: "1500", request: "1000" };

/// Eleven records, each in a request of its own, the next after the answer of the last.
async fn eleven(client: &Client, topic: &str, idempotent: &str, patience: &Patience) -> Result<Log, Error> {
    let settings = [
        ("enable.idempotence", idempotent),
        ("max.in.flight.requests.per.connection", "1"),
        ("batch.num.messages", "1"),
        ("socket.timeout.ms", patience.socket),
        ("request.timeout.ms", patience.request),
    ];
    let produced = client.produce(topic, 0, &values(topic, 11), "all", &settings).await?;
    assert_eq!((produced.acked.len(), produced.failed.len()), (11, 0), "{produced:?}");
    let log = client.read_all(topic, 0).await?;
    assert_eq!(produced.lost_from(&log), [""; 0]);
    Ok(log)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_dropped_answers_are_three_duplicates_without_idempotence_and_none_with() -> Result<(), Error> {
    let proxy = Proxy::bind(&[1, 2, 3]).await?;
    let cluster = own(Options { advertised_ports: proxy.ports(), ..Options::default() }).await;
    proxy.aim(&cluster);
    let client = cluster.client();
    let cases = [
        ("closed", Fault::Hangup, PATIENT),
        ("reset", Fault::Reset, PATIENT),
        ("swallowed", Fault::Swallow, HASTY),
        // librdkafka looks for requests that timed out once a second.
        ("late", Fault::Delay(Duration::from_secs(4)), HASTY),
    ];
    for (name, fault, patience) in cases {
        for idempotent in ["false", "true"] {
            let topic = format!("{name}-{idempotent}");
            client.create_topic(&topic, &[&[1, 2, 3]], &[("min.insync.replicas", "2")]).await?;
            let three = Rule {
                api: Some(PRODUCE),
                client: Some("rdkafka".to_owned()),
                condition: Some(|request| request.acks() == Some(-1)),
                which: Which::First(3),
                ..Rule::new(fault)
            };
            let dropped = proxy.rule(three);
            let log = eleven(&client, &topic, idempotent, &patience).await?;
            // All that was sent beyond the eleven was sent again: three times for what was dropped, and, by who is hasty,
            // once for every answer that the brokers themselves were too slow with.
            let again = usize::try_from(dropped.matched()).expect("a few requests") - 11;
            assert_eq!(dropped.hits(), 3, "{topic}");
            assert!(again == 3 || (again > 3 && patience.socket == HASTY.socket), "{topic}: {again} sent again");
            let want = if idempotent == "true" { 0 } else { again };
            assert_eq!((duplicates(&log), log.records.len()), (want, 11 + want), "{topic}");
            proxy.lift(&dropped);
        }
    }
    // The control: without a rule nothing is there twice.
    client.create_topic("passed", &[&[1, 2, 3]], &[]).await?;
    assert_eq!(duplicates(&eleven(&client, "passed", "false", &PATIENT).await?), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_change_places_and_a_held_link_passes_nothing() -> Result<(), Error> {
    const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    let proxy = Proxy::bind(&[1]).await?;
    let cluster = own(Options { brokers: 1, advertised_ports: proxy.ports(), ..Options::default() }).await;
    proxy.aim(&cluster);
    let client = cluster.client();
    client.create_topic("places", &[&[1]], &[]).await?;
    let refusing =
        Rule { api: Some(PRODUCE), which: Which::Nth(3), ..Rule::new(Fault::RefuseBehindNext(NOT_LEADER_OR_FOLLOWER)) };
    let refusing = proxy.rule(refusing);
    let settings = [("max.in.flight.requests.per.connection", "2"), ("batch.num.messages", "1")];
    let produced = client.produce("places", 0, &values("v", 6), "all", &settings).await?;
    assert_eq!((produced.acked.len(), refusing.hits()), (6, 1));
    let log = client.read_all("places", 0).await?;
    let order: Vec<String> = log.records.iter().map(|record| record.text()).collect();
    assert_eq!(order.len(), 6, "{order:?}");
    let place = |value: &str| order.iter().position(|one| one == value);
    assert!(place("v-2") > place("v-3"), "the third came after the fourth: {order:?}");
    proxy.lift(&refusing);

    let seen = proxy.requests();
    proxy.hold(Link { broker: 1, client: Some("rdkafka".to_owned()) });
    let held = client.produce("places", 0, &values("held", 1), "all", &[("message.timeout.ms", "1500")]).await?;
    assert_eq!((held.acked.len(), held.failed.len()), (0, 1), "{held:?}");
    assert!(proxy.requests() > seen, "it was asked");
    proxy.release();
    until("what waited has passed, or its connection is gone", Duration::from_secs(20), async || {
        let passed = client.produce("places", 0, &values("free", 1), "all", &[]).await?;
        if passed.failed.is_empty() { Ok(()) } else { Err(Error::NotYet(format!("{passed:?}"))) }
    })
    .await
}
