//! Transactions and their producers.

use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::describe_transactions_response as described;
use kafka_protocol::messages::list_transactions_response as listed;
use kafka_protocol::messages::{self as theirs, ProducerId, TransactionalId};

use super::topic;
use crate::dice::Dice;
use crate::text;
use crate::wire::api::ByTopic;
use crate::wire::api::describe_producers::{PartitionProducers, Producer};
use crate::wire::api::describe_transactions::DescribedTransaction;
use crate::wire::api::list_transactions::{ListedTransaction, Transactions};

pub(crate) fn describe_producers(dice: &mut Dice) -> (theirs::DescribeProducersResponse, ByTopic<PartitionProducers>) {
    let (their_topics, topics) = dice.lists(|dice| {
        let name = dice.text();
        let (their_partitions, partitions) = dice.lists(|dice| {
            let (their_producers, producers) = dice.lists(|dice| {
                let producer = Producer {
                    id: dice.i64(),
                    epoch: dice.i32(),
                    last_sequence: dice.i32(),
                    last_timestamp: dice.i64(),
                    transaction_start: dice.i64(),
                };
                let theirs = ProducerState::default()
                    .with_producer_id(ProducerId(producer.id))
                    .with_producer_epoch(producer.epoch)
                    .with_last_sequence(producer.last_sequence)
                    .with_last_timestamp(producer.last_timestamp)
                    .with_coordinator_epoch(dice.i32())
                    .with_current_txn_start_offset(producer.transaction_start)
                    .with_unknown_tagged_fields(dice.tags());
                (theirs, producer)
            });
            let partition = PartitionProducers { partition: dice.i32(), error_code: dice.i16(), producers };
            let theirs = PartitionResponse::default()
                .with_partition_index(partition.partition)
                .with_error_code(partition.error_code)
                .with_error_message(dice.other_or_null())
                .with_active_producers(their_producers)
                .with_unknown_tagged_fields(dice.tags());
            (theirs, partition)
        });
        let theirs = TopicResponse::default().with_name(topic(&name)).with_partitions(their_partitions);
        (theirs.with_unknown_tagged_fields(dice.tags()), (name, partitions))
    });
    let answer = theirs::DescribeProducersResponse::default().with_throttle_time_ms(dice.i32());
    (answer.with_topics(their_topics).with_unknown_tagged_fields(dice.tags()), topics)
}

pub(crate) fn list_transactions(dice: &mut Dice) -> (theirs::ListTransactionsResponse, Transactions) {
    let (states, transactions) = dice.lists(|dice| {
        let transaction = ListedTransaction { id: dice.text(), producer_id: dice.i64(), state: dice.text() };
        let theirs = listed::TransactionState::default()
            .with_transactional_id(TransactionalId(text(&transaction.id)))
            .with_producer_id(ProducerId(transaction.producer_id))
            .with_transaction_state(text(&transaction.state))
            .with_unknown_tagged_fields(dice.tags());
        (theirs, transaction)
    });
    let error_code = dice.i16();
    let answer = theirs::ListTransactionsResponse::default()
        .with_throttle_time_ms(dice.i32())
        .with_error_code(error_code)
        .with_unknown_state_filters(dice.list(Dice::other))
        .with_transaction_states(states)
        .with_unknown_tagged_fields(dice.tags());
    (answer, Transactions { error_code, transactions })
}

pub(crate) fn describe_transactions(
    dice: &mut Dice,
) -> (theirs::DescribeTransactionsResponse, Vec<DescribedTransaction>) {
    let (states, transactions) = dice.lists(|dice| {
        let (their_topics, topics) = dice.lists(|dice| {
            let (name, partitions) = (dice.text(), dice.i32s());
            let theirs = described::TopicData::default().with_topic(topic(&name)).with_partitions(partitions.clone());
            (theirs.with_unknown_tagged_fields(dice.tags()), (name, partitions))
        });
        let transaction = DescribedTransaction {
            error_code: dice.i16(),
            id: dice.text(),
            state: dice.text(),
            timeout_ms: dice.i32(),
            started: dice.i64(),
            producer_id: dice.i64(),
            producer_epoch: dice.i16(),
            topics,
        };
        let theirs = described::TransactionState::default()
            .with_error_code(transaction.error_code)
            .with_transactional_id(TransactionalId(text(&transaction.id)))
            .with_transaction_state(text(&transaction.state))
            .with_transaction_timeout_ms(transaction.timeout_ms)
            .with_transaction_start_time_ms(transaction.started)
            .with_producer_id(ProducerId(transaction.producer_id))
            .with_producer_epoch(transaction.producer_epoch)
            .with_topics(their_topics)
            .with_unknown_tagged_fields(dice.tags());
        (theirs, transaction)
    });
    let answer = theirs::DescribeTransactionsResponse::default().with_throttle_time_ms(dice.i32());
    (answer.with_transaction_states(states).with_unknown_tagged_fields(dice.tags()), transactions)
}
