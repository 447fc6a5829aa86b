//! From findings to notices: pending, firing, resolved.

pub mod book;

use serde::{Deserialize, Serialize};

pub use book::{AlertBook, Options};

use crate::finding::{Finding, Severity};
use crate::model::Timestamp;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Its finding is open, for less than the hold.
    Pending,
    /// Told.
    Firing,
    /// Its finding is closed.
    Resolved,
}

/// One alert: the telling of one finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The id of its finding: one alert per finding.
    pub id: String,
    /// Where it stands.
    pub state: AlertState,
    /// The severity of its finding.
    pub severity: Severity,
    /// Since when it is pending.
    pub pending_since: Timestamp,
    /// When it fired.
    pub fired_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// The finding, as last seen.
    pub finding: Finding,
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeStatus {
    /// It is so now.
    Firing,
    /// It is over.
    Resolved,
}

/// One message to one receiver about one transition of one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Alert, status and receiver: the same after a crash, so that a receiver can drop a repetition.
    pub id: String,
    /// The receiver's name in the configuration.
    pub receiver: String,
    /// What it says.
    pub status: NoticeStatus,
    /// When the transition was judged.
    pub at: Timestamp,
    /// The alert as of then.
    pub alert: Alert,
}

/// What one step changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Alerts that are new or different, as they are now.
    pub changed: Vec<Alert>,
    /// What is to be told.
    pub notices: Vec<Notice>,
}
