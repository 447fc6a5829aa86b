//! Why a field is null.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Missing, Reading};

/// Why a value is not known: a word for scripts, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    code: &'static str,
    message: String,
}

impl From<Missing> for Reason {
    fn from(why: Missing) -> Self {
        Self { code: why.reason(), message: why.to_string() }
    }
}

/// Reasons by the field that is null for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Reasons(BTreeMap<&'static str, Reason>);

impl Reasons {
    /// The value; where there is none, the reason is kept under the name of the field.
    pub(super) fn value<T>(&mut self, field: &'static str, reading: Reading<T>) -> Option<T> {
        match reading {
            Reading::Read(value) => Some(value),
            Reading::Missing(why) => {
                self.0.insert(field, why.into());
                None
            }
        }
    }

    /// The value; where there is none, that is why.
    pub(super) fn or<T>(&mut self, field: &'static str, value: Option<T>, code: &'static str, why: &str) -> Option<T> {
        if value.is_none() {
            self.0.insert(field, Reason { code, message: why.to_owned() });
        }
        value
    }
}
