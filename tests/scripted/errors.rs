//! What is done about each error code: who is asked again, and how often.

use kustody::model::{GroupId, GroupState, Missing, Properties, Reading, TopicPartition};
use kustody::wire::{Options, Scope, Security};

use super::broker::Scripted;
use super::{TWO, cluster, offset, patient, script};

const METADATA: i16 = 3;
const LIST_OFFSETS: i16 = 2;
const OFFSET_FETCH: i16 = 9;

/// Requests of an API to broker 2, and of Metadata to anybody, in one turn in which broker 2 answers that API with an error.
async fn asked(api: i16, code: i16) -> (usize, usize, Reading<usize>) {
    let scripted = Scripted::start(&[1, 2], script()).await;
    scripted.change(|script| {
        script.errors.insert((2, api), code);
    });
    let read = cluster(patient(&scripted)).snapshot(&Scope::default()).await;
    assert_eq!(read.answering.get(&TWO), Some(&Reading::Read(())), "{code}: it answered");
    assert!(!read.is_complete(), "{code}");
    let reading = match api {
        OFFSET_FETCH => {
            let commits = &read.groups.get(&GroupId::from("gb")).expect("it was listed").commits;
            commits.as_ref().map(std::collections::BTreeMap::len)
        }
        _ => read.watermarks.get(&TopicPartition::new("t", 1)).expect("it is there").high_watermark.map(|_| 1),
    };
    (scripted.requests(2, api), scripted.asked(METADATA), reading)
}

#[tokio::test]
async fn an_error_of_a_leader_is_retried_as_its_code_says() {
    let moving = Missing::LeaderMoving;
    // Three ends in each attempt, and two more attempts at most.
    let cases = [
        (3, 9, 3, Missing::KafkaError(3)),
        (5, 9, 3, moving),
        (6, 9, 3, moving),
        (9, 9, 3, moving),
        (74, 9, 3, moving),
        (75, 9, 3, moving),
        (78, 9, 3, Missing::OffsetNotAvailable),
        (100, 9, 3, Missing::KafkaError(100)),
        (7, 9, 1, Missing::KafkaError(7)),
        (13, 9, 1, Missing::KafkaError(13)),
        (29, 3, 1, Missing::TopicNotAuthorized),
        (31, 3, 1, Missing::ClusterNotAuthorized),
        (35, 3, 1, Missing::Unsupported),
        (56, 3, 1, Missing::KafkaError(56)),
    ];
    for (code, offsets, metadata, why) in cases {
        assert_eq!(asked(LIST_OFFSETS, code).await, (offsets, metadata, Reading::Missing(why)), "{code}");
    }
}

#[tokio::test]
async fn an_error_of_a_coordinator_is_retried_as_its_code_says() {
    let cases = [
        (15, 3, 3, Missing::CoordinatorMoving),
        (16, 3, 3, Missing::CoordinatorMoving),
        (14, 3, 3, Missing::CoordinatorMoving),
        (7, 3, 1, Missing::KafkaError(7)),
        (13, 3, 1, Missing::KafkaError(13)),
        (88, 3, 1, Missing::KafkaError(88)),
        (89, 3, 1, Missing::KafkaError(89)),
        (30, 1, 1, Missing::GroupNotAuthorized),
        (42, 1, 1, Missing::KafkaError(42)),
        (-1, 1, 1, Missing::KafkaError(-1)),
    ];
    for (code, fetches, metadata, why) in cases {
        assert_eq!(asked(OFFSET_FETCH, code).await, (fetches, metadata, Reading::Missing(why)), "{code}");
    }
}

#[tokio::test]
async fn an_error_that_passes_within_the_turn_costs_nothing() {
    for (api, code, first) in [(LIST_OFFSETS, 6, 3), (LIST_OFFSETS, 7, 3), (OFFSET_FETCH, 16, 1), (OFFSET_FETCH, 14, 1)]
    {
        let scripted = Scripted::start(&[1, 2], script()).await;
        scripted.change(|script| {
            script.errors.insert((2, api), code);
        });
        let (mut cluster, scope) = (cluster(patient(&scripted)), Scope::default());
        let passes = async {
            scripted.until_asked(2, api, first).await;
            scripted.change(|script| script.errors.clear());
        };
        let (read, ()) = tokio::join!(cluster.snapshot(&scope), passes);
        assert!(read.is_complete(), "{api}, {code}: {:?}", read.missing);
    }
}

#[tokio::test]
async fn a_group_that_is_described_as_not_found_is_dead_while_it_is_listed_and_missing_else() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    scripted.change(|script| {
        script.newest.insert(15, 6);
        script.errors.insert((2, 15), 69);
    });
    let mut cluster = cluster(patient(&scripted));
    let state = |read: &kustody::model::ClusterSnapshot| read.groups.get(&GroupId::from("gb")).expect("known").state;
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(state(&read), Reading::Read(GroupState::Dead));
    scripted.change(|script| {
        script.listed.remove("gb");
    });
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(state(&read), Reading::Missing(Missing::CoordinatorMoving), "not gone");
}

#[tokio::test]
async fn a_transactional_id_that_we_may_not_describe_names_the_grant() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    scripted.change(|script| {
        script.newest.extend([(10, 4), (65, 0)]);
        script.errors.extend([((1, 65), 53), ((2, 65), 53)]);
    });
    let mut cluster = cluster(patient(&scripted));
    cluster.snapshot(&Scope::default()).await;
    let surveyor = cluster.surveyor();
    let read = surveyor.transactions(&["tx".to_owned()]).await;
    let why = read.get("tx").and_then(Reading::missing).expect("it is refused");
    assert_eq!(why, Missing::TransactionNotAuthorized);
    assert!(why.is_authorization());
    assert_eq!(why.to_string(), "not authorized: grant DESCRIBE on the transactional id");
    scripted.change(|script| script.errors = [((1, 65), 105), ((2, 65), 105)].into_iter().collect());
    let read = surveyor.transactions(&["tx".to_owned()]).await;
    let why = read.get("tx").and_then(Reading::missing).expect("there is none");
    assert_eq!(why.to_string(), "Kafka answered TRANSACTIONAL_ID_NOT_FOUND (105)");
}

#[tokio::test]
async fn a_refused_password_is_not_tried_again_at_once() {
    let scripted = Scripted::start(&[1], script()).await;
    scripted.change(|script| {
        script.newest.extend([(17, 1), (36, 2)]);
        script.errors.insert((1, 36), 58);
    });
    let properties = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "me"),
        ("sasl.password", "wrong"),
    ];
    let mut set = Properties::default();
    for (name, value) in properties {
        set.insert(name.to_owned(), value.to_owned());
    }
    let security = Security::of(&set);
    let bootstrap = vec![scripted.address(1)];
    let mut cluster = cluster(Options { bootstrap, security, ..Options::default() });
    for turn in 0..3 {
        let read = cluster.snapshot(&Scope::default()).await;
        assert_eq!(read.brokers, Reading::Missing(Missing::ClusterUnreachable), "turn {turn}");
        assert_eq!(scripted.requests(1, 36), 1, "turn {turn}: many accounts are locked after some wrong passwords");
    }
    assert_eq!(scripted.asked(METADATA), 0);
}

#[tokio::test]
async fn what_never_fails_is_asked_once() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let read = cluster(patient(&scripted)).snapshot(&Scope::default()).await;
    assert!(read.is_complete(), "{:?}", read.missing);
    assert_eq!([LIST_OFFSETS, OFFSET_FETCH].map(|api| scripted.requests(2, api)), [3, 1]);
    assert_eq!(scripted.asked(METADATA), 1);
    let ends = read.watermarks.get(&TopicPartition::new("t", 1)).expect("it is there");
    assert_eq!(ends.high_watermark, Reading::Read(offset(100)));
}
