//! Where the canary's partitions are to be, so that every broker leads one.

use std::collections::BTreeSet;

use crate::model::BrokerId;

/// Brokers that lead a canary partition / brokers in the metadata; nothing while there is no broker.
#[must_use]
pub fn coverage(leaders: &[Option<BrokerId>], brokers: &[BrokerId]) -> Option<f64> {
    let brokers: BTreeSet<BrokerId> = brokers.iter().copied().collect();
    let leading: BTreeSet<BrokerId> = leaders.iter().flatten().copied().filter(|id| brokers.contains(id)).collect();
    (!brokers.is_empty()).then(|| leading.len() as f64 / brokers.len() as f64)
}

/// The brokers that lead no canary partition, in order.
#[must_use]
pub fn uncovered(leaders: &[Option<BrokerId>], brokers: &[BrokerId]) -> Vec<BrokerId> {
    let leading: BTreeSet<BrokerId> = leaders.iter().flatten().copied().collect();
    let all: BTreeSet<BrokerId> = brokers.iter().copied().collect();
    all.difference(&leading).copied().collect()
}

/// The replicas of one more partition for each of `leaders`: itself first, then those that follow it among `brokers`,
/// `copies` in all.
#[must_use]
pub fn led_by(leaders: &[BrokerId], brokers: &[BrokerId], copies: usize) -> Vec<Vec<BrokerId>> {
    let brokers: BTreeSet<BrokerId> = brokers.iter().chain(leaders).copied().collect();
    let replicas = |leader: &BrokerId| {
        let place = brokers.iter().position(|broker| broker == leader).unwrap_or(0);
        brokers.iter().cycle().skip(place).take(copies.clamp(1, brokers.len())).copied().collect()
    };
    leaders.iter().map(replicas).collect()
}

/// How the canary topic is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementPlan {
    /// Per partition its replicas, the preferred leader first.
    pub replicas: Vec<Vec<BrokerId>>,
    /// Copies of each record: 3, or as many as there are brokers.
    pub replication_factor: usize,
    /// `min.insync.replicas`: one less than the copies, at least 1.
    pub min_insync_replicas: usize,
}

impl PlacementPlan {
    /// One partition per broker, each broker the preferred leader of one; nothing without a broker.
    #[must_use]
    pub fn for_brokers(brokers: &[BrokerId]) -> Option<Self> {
        let brokers: Vec<BrokerId> = brokers.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let replication_factor = brokers.len().min(3);
        if replication_factor == 0 {
            return None;
        }
        let replicas = led_by(&brokers, &brokers, replication_factor);
        Some(Self { replicas, replication_factor, min_insync_replicas: (replication_factor - 1).max(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[i32]) -> Vec<BrokerId> {
        numbers.iter().copied().map(BrokerId).collect()
    }

    #[test]
    fn each_broker_leads_one_partition() {
        let cases = [
            ("none", ids(&[]), None),
            ("one broker", ids(&[7]), Some((vec![ids(&[7])], 1, 1))),
            ("two brokers", ids(&[2, 1]), Some((vec![ids(&[1, 2]), ids(&[2, 1])], 2, 1))),
            (
                "four brokers, three copies",
                ids(&[1, 2, 3, 4]),
                Some((vec![ids(&[1, 2, 3]), ids(&[2, 3, 4]), ids(&[3, 4, 1]), ids(&[4, 1, 2])], 3, 2)),
            ),
        ];
        for (name, brokers, want) in cases {
            let plan = PlacementPlan::for_brokers(&brokers)
                .map(|plan| (plan.replicas, plan.replication_factor, plan.min_insync_replicas));
            assert_eq!(plan, want, "{name}");
        }
    }

    #[test]
    fn a_further_partition_is_led_by_its_broker() {
        let cases = [
            ("none", ids(&[]), ids(&[1, 2]), 2, vec![]),
            ("the last one goes round", ids(&[3]), ids(&[1, 2, 3]), 2, vec![ids(&[3, 1])]),
            ("two new ones", ids(&[4, 5]), ids(&[1, 2, 4, 5]), 3, vec![ids(&[4, 5, 1]), ids(&[5, 1, 2])]),
            ("more copies than brokers", ids(&[1]), ids(&[1, 2]), 3, vec![ids(&[1, 2])]),
            ("no copy asked for", ids(&[2]), ids(&[1, 2]), 0, vec![ids(&[2])]),
            ("not among the brokers", ids(&[9]), ids(&[1]), 1, vec![ids(&[9])]),
        ];
        for (name, leaders, brokers, copies, want) in cases {
            assert_eq!(led_by(&leaders, &brokers, copies), want, "{name}");
        }
    }

    #[test]
    fn coverage_counts_brokers_not_partitions() {
        let led = |numbers: &[Option<i32>]| numbers.iter().map(|id| id.map(BrokerId)).collect::<Vec<_>>();
        let cases = [
            ("no broker known", led(&[Some(1)]), ids(&[]), None, vec![]),
            ("all lead", led(&[Some(1), Some(2)]), ids(&[1, 2]), Some(1.0), vec![]),
            ("one leads two", led(&[Some(1), Some(1)]), ids(&[1, 2]), Some(0.5), ids(&[2])),
            ("offline partition", led(&[None, Some(2)]), ids(&[1, 2]), Some(0.5), ids(&[1])),
            ("leader left the metadata", led(&[Some(9)]), ids(&[1]), Some(0.0), ids(&[1])),
        ];
        for (name, leaders, brokers, want, missing) in cases {
            assert_eq!(coverage(&leaders, &brokers), want, "{name}");
            assert_eq!(uncovered(&leaders, &brokers), missing, "{name}");
        }
    }
}
