//! Why a class does not send, for whoever shows it.

use tokio::sync::watch;

/// Why a class does not send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// Its client is being made, or waits for the cluster; it goes on by itself.
    Waiting {
        /// librdkafka's reason.
        why: String,
    },
    /// A newer instance of this installation has taken over its transactional.id: it sends nothing until this process ends.
    Fenced {
        /// librdkafka's reason.
        why: String,
    },
}

/// Where a producer says why it stands still; nothing while it sends.
#[derive(Clone, Debug)]
pub(super) struct Standing(watch::Sender<Option<Standstill>>);

impl Standing {
    pub(super) fn new(first: Option<Standstill>) -> Self {
        Self(watch::Sender::new(first))
    }

    pub(super) fn waits(&self, why: &str) {
        self.0.send_replace(Some(Standstill::Waiting { why: why.to_owned() }));
    }

    pub(super) fn is_fenced(&self, why: &str) {
        self.0.send_replace(Some(Standstill::Fenced { why: why.to_owned() }));
    }

    /// Something was acknowledged, or can be sent: nothing stands still.
    pub(super) fn sends(&self) {
        self.0.send_if_modified(|now| now.take().is_some());
    }

    pub(super) fn now(&self) -> Option<Standstill> {
        self.0.borrow().clone()
    }
}
