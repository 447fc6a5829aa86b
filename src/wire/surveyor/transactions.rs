//! Transactions: who has one open, since when, and where it holds the last stable offset back.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Survey, Surveyor, unless};
use crate::model::{
    ActiveProducer, BrokerId, Missing, Offset, OpenTransaction, PartitionId, Reading, Timestamp, TopicName,
    TopicPartition, Transaction,
};
use crate::wire::api::describe_producers::{DescribeProducers, Producer};
use crate::wire::api::describe_transactions::{DescribeTransactions, DescribedTransaction};
use crate::wire::api::error;
use crate::wire::api::find_coordinator::Coordinated;
use crate::wire::api::list_transactions::{ListTransactions, Transactions};
use crate::wire::coordination::coordinators;
use crate::wire::matched::matched;

/// The states in which a transaction may hold the last stable offset back.
const OPEN: &[&str] = &["Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"];

impl Surveyor {
    /// The transactions that are open or being ended, by the broker that coordinates them. Those that we may not
    /// describe are left out by Kafka without a word.
    pub async fn open_transactions(&self) -> BTreeMap<BrokerId, Reading<Vec<OpenTransaction>>> {
        let survey = self.survey();
        let answers = survey.ask_all(&ListTransactions { states: OPEN }).await;
        answers.into_iter().map(|(broker, answer)| (broker, open_transactions(answer))).collect()
    }

    /// State, age and partitions of transactions, each asked of its coordinator; it needs DESCRIBE on the ids.
    pub async fn transactions(&self, ids: &[String]) -> BTreeMap<String, Reading<Transaction>> {
        let survey = self.survey();
        let mut by_broker: BTreeMap<BrokerId, Vec<String>> = BTreeMap::new();
        let mut readings = BTreeMap::new();
        for (id, coordinator) in survey.coordinators(ids).await {
            match coordinator {
                Reading::Read(broker) => by_broker.entry(broker).or_default().push(id),
                Reading::Missing(why) => drop(readings.insert(id, Reading::Missing(why))),
            }
        }
        let mut asked = Vec::new();
        for (broker, ids) in by_broker {
            asked.push(survey.describe(broker, ids));
        }
        readings.extend(join_all(asked).await.into_iter().flatten());
        readings
    }

    /// The producers whose state the leader of a partition keeps. It needs READ on the topic, so it is asked only where
    /// an operator wants it.
    pub async fn producers(&self, at: &TopicPartition) -> Reading<Vec<ActiveProducer>> {
        let survey = self.survey();
        let leader = match survey.view.topology.leader(at) {
            Ok(leader) => leader.broker,
            Err(why) => return Reading::Missing(why),
        };
        let topics = vec![(at.topic.as_str().to_owned(), vec![at.partition.0])];
        let answer = match survey.turn.ask(leader, &DescribeProducers { topics }).await {
            Ok(answer) => answer,
            Err(why) => return Reading::Missing(why),
        };
        let of_topic = answer.into_iter().filter(|(topic, _)| topic == at.topic.as_str());
        let mut partitions = of_topic.flat_map(|(_, partitions)| partitions);
        match partitions.find(|partition| partition.partition == at.partition.0) {
            Some(partition) => {
                unless(partition.error_code, || partition.producers.into_iter().map(active_producer).collect())
            }
            None => Reading::Missing(Missing::Garbled(leader)),
        }
    }
}

impl Survey<'_> {
    async fn describe(&self, broker: BrokerId, ids: Vec<String>) -> Vec<(String, Reading<Transaction>)> {
        let answer = self.turn.ask(broker, &DescribeTransactions { ids: ids.clone() }).await;
        matched(broker, &ids, answer, transaction)
    }

    async fn coordinators(&self, ids: &[String]) -> BTreeMap<String, Reading<BrokerId>> {
        let mut last = Missing::ClusterUnreachable;
        for broker in self.brokers() {
            match coordinators(&self.turn, broker, Coordinated::Transaction, ids).await {
                Ok(found) => return found,
                Err(why) => last = why,
            }
        }
        ids.iter().map(|id| (id.clone(), Reading::Missing(last))).collect()
    }
}

fn open_transactions(answer: Result<Transactions, Missing>) -> Reading<Vec<OpenTransaction>> {
    match answer {
        Err(why) => Reading::Missing(why),
        Ok(answer) => unless(answer.error_code, || {
            let open = answer.transactions.into_iter().map(|listed| OpenTransaction {
                id: listed.id,
                producer_id: listed.producer_id,
                state: listed.state,
            });
            open.collect()
        }),
    }
}

fn transaction(answer: DescribedTransaction) -> Reading<Transaction> {
    if let Some(why) = error::missing(answer.error_code) {
        return Reading::Missing(why);
    }
    let mut partitions = Vec::new();
    for (topic, of_topic) in answer.topics {
        let topic = TopicName::from(topic);
        let at = |index| TopicPartition { topic: topic.clone(), partition: PartitionId(index) };
        partitions.extend(of_topic.into_iter().map(at));
    }
    Reading::Read(Transaction {
        id: answer.id,
        state: answer.state,
        timeout: Duration::from_millis(u64::try_from(answer.timeout_ms).unwrap_or(0)),
        started: (answer.started >= 0).then(|| Timestamp::from_millis(answer.started)),
        producer_id: answer.producer_id,
        producer_epoch: answer.producer_epoch,
        partitions,
    })
}

fn active_producer(producer: Producer) -> ActiveProducer {
    ActiveProducer {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        last_sequence: (producer.last_sequence >= 0).then_some(producer.last_sequence),
        last_write: (producer.last_timestamp >= 0).then(|| Timestamp::from_millis(producer.last_timestamp)),
        transaction_start: Offset::new(producer.transaction_start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_not_answered_for_is_not_known() {
        let ids = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let described = |id: &str, error_code| DescribedTransaction {
            error_code,
            id: id.to_owned(),
            state: "Ongoing".to_owned(),
            timeout_ms: 1_000,
            started: -1,
            topics: vec![("t".to_owned(), vec![2])],
            ..DescribedTransaction::default()
        };
        let answers = matched(BrokerId(1), &ids, Ok(vec![described("a", 0), described("b", 105)]), transaction);
        let read = |index: usize| answers.get(index).expect("each has its answer").1.clone();
        let a = read(0).value().expect("it was answered");
        assert_eq!((a.started, a.partitions), (None, vec![TopicPartition::new("t", 2)]));
        assert_eq!(read(1), Reading::Missing(Missing::KafkaError(105)), "TRANSACTIONAL_ID_NOT_FOUND");
        assert_eq!(read(2), Reading::Missing(Missing::Garbled(BrokerId(1))));
        let hung = Missing::TimedOut(BrokerId(1));
        let answers = matched(BrokerId(1), &ids, Err(hung), transaction);
        assert!(answers.iter().all(|(_, reading)| *reading == Reading::Missing(hung)));
    }
}
