//! Where readers look: one immutable value, replaced as a whole.

use std::sync::Arc;

use tokio::sync::watch;

use crate::publish::Published;

/// The one place where turns of all clusters are put together.
#[derive(Clone, Debug)]
pub(super) struct Board(watch::Sender<Arc<Published>>);

impl Board {
    pub(super) fn new(first: Published) -> Self {
        Self(watch::Sender::new(Arc::new(first)))
    }

    pub(super) fn watch(&self) -> watch::Receiver<Arc<Published>> {
        self.0.subscribe()
    }

    /// Publishes a changed copy; readers see either all of the change or none.
    pub(super) fn change(&self, change: impl FnOnce(&mut Published)) {
        self.0.send_modify(|published| change(Arc::make_mut(published)));
    }
}
