use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsResponse, ListGroupsResponse, ResponseHeader};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use tokio::io::DuplexStream;

use super::super::api::list_groups::ListGroups;
use super::*;

/// The broker's end of a connection.
struct Broker(DuplexStream);

impl Broker {
    /// The next request: API key, version, correlation id.
    async fn request(&mut self) -> (i16, i16, i32) {
        let length = self.0.read_u32().await.expect("a length");
        let mut frame = vec![0; usize::try_from(length).expect("32 bits fit")];
        self.0.read_exact(&mut frame).await.expect("a request");
        let mut header = &frame[..];
        (
            header.read_i16().await.expect("a key"),
            header.read_i16().await.expect("a version"),
            header.read_i32().await.expect("an id"),
        )
    }

    async fn answer<T: Encodable + HeaderVersion>(&mut self, correlation: i32, answer: &T, version: i16) {
        let mut bytes = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(correlation);
        header.encode(&mut bytes, T::header_version(version)).expect("a header");
        answer.encode(&mut bytes, version).expect("an answer");
        self.bytes(&u32::try_from(bytes.len()).expect("small").to_be_bytes()).await;
        self.bytes(&bytes).await;
    }

    async fn bytes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the other end is open");
    }

    async fn greet(&mut self) {
        let (key, version, correlation) = self.request().await;
        assert_eq!((key, version), (18, 3));
        let list_groups = ApiVersion::default().with_api_key(16).with_max_version(4);
        self.answer(correlation, &ApiVersionsResponse::default().with_api_keys(vec![list_groups]), 3).await;
    }

    async fn list(&mut self, error_code: i16) {
        let (key, version, correlation) = self.request().await;
        assert_eq!((key, version), (16, 4));
        self.answer(correlation, &ListGroupsResponse::default().with_error_code(error_code), 4).await;
    }
}

fn limits() -> Limits {
    Limits { client_id: "test".to_owned(), max_frame: 1 << 20, in_flight: 2 }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(3)
}

fn notes() -> Notes {
    let counts = Arc::new(RequestCounts::new(&["ApiVersions", "ListGroups"]));
    Notes { counts, throttle: Arc::default() }
}

async fn connected() -> (Connection, Broker) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut broker = Broker(theirs);
    let (connection, ()) = tokio::join!(
        Connection::open(Box::new(ours), (None, Clues::default()), limits(), notes(), soon()),
        broker.greet()
    );
    (connection.expect("it was greeted"), broker)
}

async fn opened_against(answer: &[u8]) -> CallError {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut broker = Broker(theirs);
    broker.bytes(answer).await;
    broker.0.shutdown().await.expect("the other end is open");
    Connection::open(Box::new(ours), (None, Clues::default()), limits(), notes(), soon())
        .await
        .expect_err("it was not greeted")
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_get_their_own_answers() {
    let (connection, mut broker) = connected().await;
    let ((), first, second) = tokio::join!(
        async {
            broker.list(1).await;
            broker.list(2).await;
        },
        connection.call(&ListGroups, soon()),
        connection.call(&ListGroups, soon()),
    );
    assert_eq!(first.expect("answered").error_code, 1);
    assert_eq!(second.expect("answered").error_code, 2);
    let counts = connection.link.notes.counts.take();
    assert_eq!(counts.get(&("ListGroups", "answered")), Some(&2));
    assert_eq!(counts.get(&("ApiVersions", "answered")), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_nobodys() {
    let (connection, mut broker) = connected().await;
    assert_eq!(connection.call(&ListGroups, soon()).await, Err(CallError::TimedOut));
    assert!(!connection.is_sound(), "an answer is overdue");
    let ((), second) = tokio::join!(
        async {
            broker.list(1).await;
            broker.list(2).await;
        },
        connection.call(&ListGroups, soon()),
    );
    assert_eq!(second.expect("answered").error_code, 2, "not the answer to the first");
    assert!(connection.is_sound(), "nothing is owed any more");
}

#[tokio::test(start_paused = true)]
async fn a_hung_broker_holds_no_more_than_the_requests_in_flight() {
    let (connection, _broker) = connected().await;
    let calls = (0..5).map(|_| connection.call(&ListGroups, soon()));
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result, Err(CallError::TimedOut));
    }
    assert_eq!(connection.link.state.owed.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_fails_everybody_at_once() {
    let cases: [(&str, &[u8], &str); 5] = [
        (
            "closed",
            &[],
            "connection lost: closed by the broker behind its first answer: does this port want SASL? (early eof)",
        ),
        ("cut frame", &[0, 0, 0, 9, 0, 0], "connection lost: closed by the broker after 2 of 9 bytes"),
        ("wrong correlation id", &[0, 0, 0, 4, 0, 0, 0, 99], "garbled: an answer to Some(99) in place of 1"),
        ("too short for an id", &[0, 0, 0, 3, 0, 0, 0], "garbled: length 3: an answer has 4 to 1048576 bytes"),
        ("longer than the cap", &[0, 0x10, 0, 1], "garbled: length 1048577: an answer has 4 to 1048576 bytes"),
    ];
    for (name, bytes, want) in cases {
        let (connection, mut broker) = connected().await;
        let ((), first, second) = tokio::join!(
            async {
                broker.request().await;
                broker.bytes(bytes).await;
                broker.0.shutdown().await.expect("the other end is open");
            },
            connection.call(&ListGroups, soon()),
            connection.call(&ListGroups, soon()),
        );
        assert_eq!(first.expect_err(name).to_string(), want, "{name}");
        assert_eq!(second.expect_err(name).to_string(), want, "{name}");
        assert!(!connection.is_sound(), "{name}");
        assert_eq!(connection.call(&ListGroups, soon()).await.expect_err(name).to_string(), want, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_no_question_breaks_the_connection() {
    let (connection, mut broker) = connected().await;
    broker.bytes(&[0, 0, 0, 4, 0, 0, 0, 1]).await;
    let want = "garbled: an answer to no question";
    while connection.is_sound() {
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.call(&ListGroups, soon()).await.expect_err("broken").to_string(), want);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_answer_costs_only_itself() {
    let (connection, mut broker) = connected().await;
    let ((), first, second) = tokio::join!(
        async {
            let (_, _, correlation) = broker.request().await;
            broker.bytes(&[0, 0, 0, 5]).await;
            broker.bytes(&correlation.to_be_bytes()).await;
            broker.bytes(&[0]).await;
            broker.list(2).await;
        },
        connection.call(&ListGroups, soon()),
        connection.call(&ListGroups, soon()),
    );
    assert!(matches!(first, Err(CallError::Unreadable(_))));
    assert_eq!(second.expect("answered").error_code, 2);
}

#[tokio::test(start_paused = true)]
async fn the_wrong_port_is_named() {
    let cases: [(&str, &[u8], &str); 4] = [
        (
            "a TLS alert",
            &[0x15, 3, 3, 0, 2, 2, 10],
            "garbled: length 352518912: this port speaks TLS, security.protocol must be SSL or SASL_SSL",
        ),
        ("a web server", b"HTTP/1.1 400", "garbled: length 1213486160: this port speaks HTTP, not Kafka"),
        (
            "closed at once",
            b"",
            "connection lost: closed by the broker before its first answer: does this port want TLS or SASL? (early eof)",
        ),
        ("an error", &[0, 0, 0, 10, 0, 0, 0, 0, 0, 58, 0, 0, 0, 0], "the answer cannot be read"),
    ];
    for (name, bytes, want) in cases {
        assert_eq!(opened_against(bytes).await.to_string(), want, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_broker_is_asked_in_its_own_version() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut broker = Broker(theirs);
    let old = async {
        let (_, version, correlation) = broker.request().await;
        assert_eq!(version, 3);
        broker.answer(correlation, &ApiVersionsResponse::default().with_error_code(35), 0).await;
        let (_, version, correlation) = broker.request().await;
        assert_eq!(version, 0);
        let list_groups = ApiVersion::default().with_api_key(16).with_max_version(1);
        broker.answer(correlation, &ApiVersionsResponse::default().with_api_keys(vec![list_groups]), 0).await;
    };
    let (connection, ()) =
        tokio::join!(Connection::open(Box::new(ours), (None, Clues::default()), limits(), notes(), soon()), old);
    assert_eq!(connection.expect("greeted").version::<ListGroups>(), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn the_connection_closes_with_its_last_user() {
    let (connection, mut broker) = connected().await;
    drop(connection);
    let mut rest = Vec::new();
    broker.0.read_to_end(&mut rest).await.expect("a clean end");
    assert_eq!(Bytes::from(rest), Bytes::new());
}
