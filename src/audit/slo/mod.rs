//! Objectives, error budgets, and how fast they burn.

mod burn;
mod class;
mod minutes;

use std::fmt;

use serde::{Serialize, Serializer};

pub use burn::{Alarm, Burn, N_MIN, RULES, Rule, Urgency, Window, alarms};
pub use class::{ClassSlo, SloOptions, SloState, TimeCoverage, in_words};
pub use minutes::{MINUTES_SHOWN, MinuteState, Minutes};

use super::rates::{Share, Sum};
use super::record::CanaryClass;

/// What is to hold for a share of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slo {
    /// Acknowledged within `canary.acknowledge_within`, of those sent.
    Availability,
    /// Received within `canary.deliver_within`, of those acknowledged.
    Freshness,
    /// Not lost, of those acknowledged.
    Durability,
    /// Received once, of those received.
    Exactness,
    /// Received in order, of those received.
    Order,
}

impl Slo {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Availability, Self::Freshness, Self::Durability, Self::Exactness, Self::Order];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::Freshness => "freshness",
            Self::Durability => "durability",
            Self::Exactness => "exactness",
            Self::Order => "order",
        }
    }

    /// What a bad record is, after "of … records".
    #[must_use]
    pub fn of_bad(self) -> &'static str {
        match self {
            Self::Availability => "not acknowledged in time",
            Self::Freshness => "not received in time",
            Self::Durability => "lost",
            Self::Exactness => "there twice",
            Self::Order => "out of order",
        }
    }

    /// Good and bad records of a sum.
    #[must_use]
    pub fn share(self, sum: &Sum) -> Share {
        match self {
            Self::Availability => sum.availability(),
            Self::Freshness => sum.freshness(),
            Self::Durability => sum.durability(),
            Self::Exactness => sum.exactness(),
            Self::Order => sum.order(),
        }
    }

    /// False where budget arithmetic is wrong: what these classes lose is proven, and each proof is a finding at once.
    #[must_use]
    pub fn is_judged_by_budget(self, class: CanaryClass) -> bool {
        match class {
            CanaryClass::All | CanaryClass::Idempotent | CanaryClass::Transactional => self != Self::Durability,
            CanaryClass::Acks0 | CanaryClass::Acks1 => true,
        }
    }

    /// True where the class promises it; what is not promised alarms nobody.
    #[must_use]
    pub fn is_promised(self, class: CanaryClass) -> bool {
        match self {
            Self::Availability | Self::Freshness => true,
            Self::Durability => match class {
                CanaryClass::All | CanaryClass::Idempotent | CanaryClass::Transactional => true,
                CanaryClass::Acks0 | CanaryClass::Acks1 => false,
            },
            Self::Exactness | Self::Order => match class {
                CanaryClass::Idempotent | CanaryClass::Transactional => true,
                CanaryClass::Acks0 | CanaryClass::Acks1 | CanaryClass::All => false,
            },
        }
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Slo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The share of records that is to be good (`canary.slo.*`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objectives {
    /// Of those sent, acknowledged in time.
    pub availability: f64,
    /// Of those acknowledged, received in time.
    pub freshness: f64,
    /// Of those acknowledged, not lost.
    pub durability: f64,
    /// Of those received, received once.
    pub exactness: f64,
    /// Of those received, received in order.
    pub order: f64,
}

impl Default for Objectives {
    fn default() -> Self {
        Self { availability: 0.999, freshness: 0.999, durability: 0.999, exactness: 0.999, order: 0.999 }
    }
}

impl Objectives {
    /// The objective of one.
    #[must_use]
    pub fn of(&self, slo: Slo) -> f64 {
        match slo {
            Slo::Availability => self.availability,
            Slo::Freshness => self.freshness,
            Slo::Durability => self.durability,
            Slo::Exactness => self.exactness,
            Slo::Order => self.order,
        }
    }
}
