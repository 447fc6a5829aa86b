//! What `kafka-protocol` writes, we read: every API in every version, with any content.

use kafka_protocol::messages as theirs;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::protocol::{Encodable, HeaderVersion, Message};

use super::answers;
use super::decoders::decoder;
use super::dice::Dice;
use super::samples::{Sample, answer_bytes, apis, samples, versions};
use super::wire::api::api_versions::{ApiVersions, Offered};
use super::wire::api::{self, Request, response};

const CONTENTS: u64 = 200;

/// Every content in every version is read as it was meant.
fn agrees<R, T>(answer: impl Fn(&mut Dice) -> (T, R::Response))
where
    R: Request<Response: PartialEq + std::fmt::Debug>,
    T: Encodable + HeaderVersion + Message,
{
    let mut read = 0;
    for version in versions::<R, T>() {
        for seed in 0..CONTENTS {
            let mut dice = Dice::new(seed, version, version >= R::FLEXIBLE_FROM);
            let (theirs, want) = answer(&mut dice);
            let bytes = answer_bytes(&theirs, version);
            assert_eq!(response::<R>(version, &bytes), Ok(want), "{} {version}, seed {seed}", R::NAME);
            read += 1;
        }
    }
    assert!(read >= CONTENTS, "{}: no version of ours is theirs", R::NAME);
}

macro_rules! tested {
    ($($module:ident $request:ident $response:ident;)*) => {
        $(
            #[test]
            fn $module() {
                agrees::<api::$module::$request, theirs::$response>(answers::$module);
            }
        )*

        /// The answers of ours that `kafka-protocol` does not write.
        fn lacking() -> Vec<(&'static str, i16)> {
            let mut lacking = Vec::new();
            $({
                use api::$module::$request;
                let known: Vec<i16> = versions::<$request, theirs::$response>().collect();
                let unknown = $request::VERSIONS.filter(|version| !known.contains(version));
                lacking.extend(unknown.map(|version| ($request::NAME, version)));
            })*
            lacking
        }
    };
}
apis!(tested);

#[test]
fn what_no_other_implementation_writes_a_real_broker_wrote() {
    let mut recorded: Vec<_> =
        super::frames::recorded().iter().map(|frame| (frame.api.clone(), frame.version)).collect();
    for (api, version) in lacking().into_iter().chain([("StreamsGroupDescribe", 0), ("OffsetFetch", 10)]) {
        assert!(recorded.contains(&(api.to_owned(), version)), "{api} {version} has neither");
    }
    recorded.dedup();
    assert_eq!(recorded.len(), super::frames::recorded().len(), "each once");
}

#[test]
fn an_unsupported_version_is_answered_in_version_0() {
    let refused = answer_bytes(
        &theirs::ApiVersionsResponse::default()
            .with_error_code(35)
            .with_api_keys(vec![ApiVersion::default().with_api_key(18).with_max_version(2)]),
        0,
    );
    let want = Offered { error_code: 35, ranges: [(18, 0..=2)].into_iter().collect() };
    assert_eq!(response::<ApiVersions>(3, &refused), Ok(want));
}

#[test]
fn an_answer_cut_anywhere_or_followed_by_anything_is_refused() {
    for Sample { key, version, bytes } in samples(0..3) {
        let decoder = decoder(key).expect("it is one of ours");
        let name = decoder.name;
        for length in (0..bytes.len()).step_by(1 + bytes.len() / 200) {
            let cut = bytes.get(..length).expect("shorter than all");
            assert!(decoder.read(version, cut).is_err(), "{name} {version}: {length} of {} bytes", bytes.len());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(decoder.read(version, &longer).is_err(), "{name} {version}");
    }
}
