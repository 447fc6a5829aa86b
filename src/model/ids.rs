//! Identities. Two ids never share a type, and no id has a value that means "absent".

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text. It may hold any character: escape it where it is shown.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

name_type! {
    /// The name our configuration gives a cluster, not Kafka's cluster id.
    ClusterName
}
name_type! {
    /// A topic's name. After a re-creation the name is the same and the [`TopicId`] is not.
    TopicName
}
name_type! {
    /// A group's id: any string at all.
    GroupId
}
name_type! {
    /// A group member's id, given by the coordinator or the client.
    MemberId
}

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_type! {
    /// A broker's node id.
    BrokerId
}
number_type! {
    /// A partition's index within its topic.
    PartitionId
}

/// A topic's id (KIP-516): it names one life of a topic. Shown as Kafka shows it, base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        for digit in 0..22_u32 {
            // 22 digits of six bits hold 132 bits; the last digit carries the four bits of padding.
            let six = if digit == 21 { (bits << 4) & 63 } else { (bits >> (122 - 6 * digit)) & 63 };
            let index = usize::try_from(six).expect("six bits");
            write!(f, "{}", char::from(BASE64_URL[index]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TopicId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || format!("{text:?} is not a topic id");
        if text.len() != 22 {
            return Err(refused());
        }
        let mut bits: u128 = 0;
        for (at, digit) in text.bytes().enumerate() {
            let six = BASE64_URL.iter().position(|d| *d == digit).ok_or_else(refused)?;
            let six = u128::try_from(six).map_err(|_| refused())?;
            bits = if at == 21 { (bits << 2) | (six >> 4) } else { (bits << 6) | six };
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

impl Serialize for TopicId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TopicId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One partition of one topic, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition's index in it.
    pub partition: PartitionId,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    #[must_use]
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
        Self { topic: topic.into(), partition: PartitionId(partition) }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_id_reads_as_kafka_writes_it() {
        // kafka-topics --describe printed this text for these bytes.
        let id =
            TopicId([0xb1, 0x5f, 0x6e, 0x1d, 0x36, 0x1c, 0x4d, 0x6e, 0xa5, 0x8a, 0x7c, 0x67, 0xbe, 0xdd, 0x8b, 0x0d]);
        let text = id.to_string();
        assert_eq!(text, "sV9uHTYcTW6linxnvt2LDQ");
        assert_eq!(text.parse::<TopicId>(), Ok(id));
    }

    #[test]
    fn what_is_no_topic_id_is_refused() {
        for text in ["", "short", "sV9uHTYcTW6linxnvt2LD!", "sV9uHTYcTW6linxnvt2LDQQ"] {
            assert!(text.parse::<TopicId>().is_err(), "{text}");
        }
    }
}
