use bytes::{Buf, Bytes};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::Decodable;

use super::super::sasl_authenticate::{Authenticated, SaslAuthenticate};
use super::super::sasl_handshake::{Mechanisms, SaslHandshake};
use super::super::{Request, frame, response};
use super::{encoded, text};

/// What of a frame is behind its header, whose length the client id decides.
fn body<R: Request>(request: &R, version: i16) -> Bytes {
    let mut bytes = Bytes::from(frame(request, version, 1, "").expect("short"));
    // Length, key, version, correlation id, the empty client id, and the header's tags.
    bytes.advance(4 + 2 + 2 + 4 + 2 + usize::from(version >= R::FLEXIBLE_FROM));
    bytes
}

#[test]
fn requests_are_theirs() {
    let ours = body(&SaslHandshake { mechanism: "SCRAM-SHA-512" }, 1);
    let want = theirs::SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-512"));
    assert_eq!(ours, encoded(&want, 1));
    for version in SaslAuthenticate::VERSIONS {
        for message in [vec![], vec![0, 1, 255], vec![7; 300]] {
            let ours = body(&SaslAuthenticate { message: message.clone() }, version);
            let want = theirs::SaslAuthenticateRequest::default().with_auth_bytes(message.into());
            assert_eq!(ours, encoded(&want, version), "version {version}");
            let read = theirs::SaslAuthenticateRequest::decode(&mut ours.clone(), version).expect("our body");
            assert_eq!(read, want, "version {version}");
        }
    }
}

#[test]
fn responses_are_theirs() {
    let offered = theirs::SaslHandshakeResponse::default()
        .with_error_code(33)
        .with_mechanisms(vec![text("PLAIN"), text("SCRAM-SHA-256")]);
    let want = Mechanisms { error_code: 33, offered: vec!["PLAIN".to_owned(), "SCRAM-SHA-256".to_owned()] };
    assert_eq!(response::<SaslHandshake>(1, &encoded(&offered, 1)), Ok(want));
    for version in SaslAuthenticate::VERSIONS {
        let lifetime = if version >= 1 { 3_600_000 } else { 0 };
        let theirs = theirs::SaslAuthenticateResponse::default()
            .with_error_code(58)
            .with_error_message(Some(text("wrong")))
            .with_auth_bytes(vec![1, 2, 3].into())
            .with_session_lifetime_ms(lifetime);
        let header: &[u8] = if version >= SaslAuthenticate::FLEXIBLE_FROM { &[0] } else { &[] };
        let bytes = [header, &encoded(&theirs, version)].concat();
        let want = Authenticated {
            error_code: 58,
            error_message: Some("wrong".to_owned()),
            message: vec![1, 2, 3],
            session_lifetime_ms: lifetime,
        };
        assert_eq!(response::<SaslAuthenticate>(version, &bytes), Ok(want), "version {version}");
        for cut in 0..bytes.len() {
            assert!(response::<SaslAuthenticate>(version, &bytes[..cut]).is_err(), "version {version}, {cut} bytes");
        }
    }
}
