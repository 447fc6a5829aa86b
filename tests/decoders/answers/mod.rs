//! Answers of every API: as `kafka-protocol` says them, and as we are to read them.

mod cluster;
mod groups;
mod logs;
mod sasl;
mod transactions;

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::{ApiVersion, SupportedFeatureKey};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{self as theirs, BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;

pub(crate) use cluster::*;
pub(crate) use groups::*;
pub(crate) use logs::*;
pub(crate) use sasl::*;
pub(crate) use transactions::*;

use super::dice::Dice;
use super::text;
use super::wire::api::api_versions::Offered;
use super::wire::api::describe_configs::TopicSettings;

impl Dice {
    /// A text that is told and not kept.
    fn other(&mut self) -> StrBytes {
        text(&self.text())
    }

    /// A text or null that is told and not kept.
    fn other_or_null(&mut self) -> Option<StrBytes> {
        self.maybe(Self::other)
    }

    /// Tagged fields that nobody knows yet.
    fn tags(&mut self) -> BTreeMap<i32, Bytes> {
        if !self.flexible || self.below(4) > 0 {
            return BTreeMap::new();
        }
        let tags = self.list(|dice| {
            let tag = i32::try_from(dice.below(1 << 20)).expect("20 bits fit") + 1_000;
            (tag, Bytes::from(vec![7; dice.below(300)]))
        });
        tags.into_iter().collect()
    }
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

pub(crate) fn api_versions(dice: &mut Dice) -> (theirs::ApiVersionsResponse, Offered) {
    // With error 35 the answer is in version 0, whatever was asked (KIP-511): see the test of its own.
    let error_code = Some(dice.i16()).filter(|code| *code != 35).unwrap_or(0);
    let (keys, ranges) = dice.lists(|dice| {
        let (key, first, last) = (dice.i16(), dice.i16(), dice.i16());
        let theirs = ApiVersion::default().with_api_key(key).with_min_version(first).with_max_version(last);
        (theirs.with_unknown_tagged_fields(dice.tags()), (key, first..=last))
    });
    let answer = theirs::ApiVersionsResponse::default()
        .with_error_code(error_code)
        .with_api_keys(keys)
        .with_throttle_time_ms(dice.since(1, Dice::i32))
        // Features are tagged fields.
        .with_supported_features(dice.since(3, |dice| {
            dice.list(|dice| {
                let last = dice.i16();
                SupportedFeatureKey::default().with_name(dice.other()).with_max_version(last)
            })
        }))
        .with_unknown_tagged_fields(dice.tags());
    (answer, Offered { error_code, ranges: ranges.into_iter().collect() })
}

pub(crate) fn describe_configs(dice: &mut Dice) -> (theirs::DescribeConfigsResponse, Vec<TopicSettings>) {
    let (results, topics) = dice.lists(|dice| {
        let (error_code, name) = (dice.i16(), dice.text());
        let (configs, settings) = dice.lists(|dice| {
            let (name, value) = (dice.text(), dice.maybe(Dice::text));
            let synonyms = dice.list(|dice| {
                DescribeConfigsSynonym::default()
                    .with_name(dice.other())
                    .with_value(dice.other_or_null())
                    .with_source(5)
                    .with_unknown_tagged_fields(dice.tags())
            });
            let config = DescribeConfigsResourceResult::default()
                .with_name(text(&name))
                .with_value(value.as_deref().map(text))
                .with_read_only(dice.bool())
                .with_config_source(5)
                .with_is_sensitive(dice.bool())
                .with_synonyms(synonyms)
                .with_config_type(dice.since(3, |_| 5))
                .with_documentation(dice.since(3, Dice::other_or_null))
                .with_unknown_tagged_fields(dice.tags());
            (config, (name, value))
        });
        let result = DescribeConfigsResult::default()
            .with_error_code(error_code)
            .with_error_message(dice.other_or_null())
            .with_resource_type(2)
            .with_resource_name(text(&name))
            .with_configs(configs)
            .with_unknown_tagged_fields(dice.tags());
        (result, TopicSettings { error_code, topic: name, settings })
    });
    let answer = theirs::DescribeConfigsResponse::default()
        .with_throttle_time_ms(dice.i32())
        .with_results(results)
        .with_unknown_tagged_fields(dice.tags());
    (answer, topics)
}
