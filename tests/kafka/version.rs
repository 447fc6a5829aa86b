//! The versions of Kafka that `tests/install` prepares.

/// A version of Apache Kafka that can be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// 2.8.2, the oldest that is supported. It runs with ZooKeeper: the KRaft of 2.8 was a preview without transactions,
    /// ACLs, dynamic configuration or upgrades, and no cluster that is looked after runs on it.
    V2_8,
    /// 3.9.2, the last that could do without KRaft; here it runs on KRaft.
    V3_9,
    /// 4.3.1.
    #[default]
    V4_3,
}

impl Version {
    /// Its name in Maven Central, and in the directory it is installed in.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V2_8 => "2.8.2",
            Self::V3_9 => "3.9.2",
            Self::V4_3 => "4.3.1",
        }
    }

    /// True when a ZooKeeper keeps its metadata, and elects the controller among the brokers.
    pub(crate) const fn has_zookeeper(self) -> bool {
        match self {
            Self::V2_8 => true,
            Self::V3_9 | Self::V4_3 => false,
        }
    }
}
