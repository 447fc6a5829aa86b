//! The brokers' log directories.

use std::collections::BTreeMap;

use super::{Surveyor, unless};
use crate::model::{BrokerId, LogDirectory, Missing, PartitionId, Reading, StoredReplica, TopicName, TopicPartition};
use crate::wire::api::describe_log_dirs::{DescribeLogDirs, Dir, LogDirs};
use crate::wire::api::error;

impl Surveyor {
    /// The log directories of every broker, with the replicas in them; it needs DESCRIBE on the cluster.
    pub async fn log_directories(&self) -> BTreeMap<BrokerId, Reading<Vec<LogDirectory>>> {
        let survey = self.survey();
        let answers = survey.ask_all(&DescribeLogDirs).await;
        answers.into_iter().map(|(broker, answer)| (broker, log_directories(answer))).collect()
    }
}

fn log_directories(answer: Result<LogDirs, Missing>) -> Reading<Vec<LogDirectory>> {
    match answer {
        Err(why) => Reading::Missing(why),
        // Before version 3 a refusal is an empty list without an error. No broker runs without a directory.
        Ok(answer) if answer.error_code == error::NONE && answer.dirs.is_empty() => {
            Reading::Missing(Missing::ClusterNotAuthorized)
        }
        Ok(answer) => unless(answer.error_code, || answer.dirs.into_iter().map(log_directory).collect()),
    }
}

fn log_directory(dir: Dir) -> LogDirectory {
    let replicas = unless(dir.error_code, || {
        let mut replicas = Vec::new();
        for (topic, of_topic) in dir.topics {
            let topic = TopicName::from(topic);
            replicas.extend(of_topic.into_iter().map(|replica| StoredReplica {
                at: TopicPartition { topic: topic.clone(), partition: PartitionId(replica.partition) },
                bytes: u64::try_from(replica.size).ok(),
                offset_lag: replica.offset_lag,
                future: replica.future,
            }));
        }
        replicas
    });
    LogDirectory {
        path: dir.path,
        replicas,
        total_bytes: u64::try_from(dir.total_bytes).ok(),
        usable_bytes: u64::try_from(dir.usable_bytes).ok(),
        cordoned: dir.cordoned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::api::describe_log_dirs::DirReplica;

    #[test]
    fn a_refusal_is_never_a_broker_without_disks() {
        let offline =
            Dir { error_code: 56, path: "/b".to_owned(), total_bytes: -1, usable_bytes: -1, ..Dir::default() };
        let replica = DirReplica { partition: 3, size: 7, offset_lag: 1, future: true };
        let topics = vec![("t".to_owned(), vec![replica])];
        let sound = Dir { path: "/a".to_owned(), topics, total_bytes: 9, usable_bytes: 4, ..Dir::default() };
        let dirs = LogDirs { error_code: 0, dirs: vec![sound, offline] };
        let stored = StoredReplica { at: TopicPartition::new("t", 3), bytes: Some(7), offset_lag: 1, future: true };
        let read = vec![
            LogDirectory {
                path: "/a".to_owned(),
                replicas: Reading::Read(vec![stored]),
                total_bytes: Some(9),
                usable_bytes: Some(4),
                cordoned: false,
            },
            LogDirectory {
                path: "/b".to_owned(),
                replicas: Reading::Missing(Missing::KafkaError(56)),
                total_bytes: None,
                usable_bytes: None,
                cordoned: false,
            },
        ];
        let refused = Reading::Missing(Missing::ClusterNotAuthorized);
        let cases = [
            ("two directories, one offline", Ok(dirs), Reading::Read(read)),
            ("refused, version 3", Ok(LogDirs { error_code: 31, dirs: Vec::new() }), refused.clone()),
            ("refused, version 1", Ok(LogDirs::default()), refused),
            ("an older broker", Err(Missing::Unsupported), Reading::Missing(Missing::Unsupported)),
        ];
        for (name, answer, want) in cases {
            assert_eq!(log_directories(answer), want, "{name}");
        }
    }
}
