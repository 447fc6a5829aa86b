//! Coordinators by FindCoordinator, where Metadata does not tell them.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;

use super::api::error;
use super::api::find_coordinator::{Coordinated, FindCoordinator, Found, MANY_KEYS_FROM};
use super::turn::Turn;
use crate::model::{BrokerId, Missing, Reading};

const PER_REQUEST: usize = 500;
/// Requests of one key in flight at a broker, before KIP-699.
const SINGLE_IN_FLIGHT: usize = 32;

/// Who coordinates each of `keys`, as one broker knows it.
pub(crate) async fn coordinators(
    turn: &Turn<'_>,
    broker: BrokerId,
    of: Coordinated,
    keys: &[String],
) -> Result<BTreeMap<String, Reading<BrokerId>>, Missing> {
    let many = turn.version::<FindCoordinator>(broker).await? >= MANY_KEYS_FROM;
    let mut requests = Vec::new();
    for chunk in keys.chunks(if many { PER_REQUEST } else { 1 }) {
        requests.push(async move {
            let answer = turn.ask(broker, &FindCoordinator { of, keys: chunk.to_vec() }).await;
            (chunk, answer)
        });
    }
    let in_flight = if many { 1 } else { SINGLE_IN_FLIGHT };
    let answers: Vec<_> = stream::iter(requests).buffered(in_flight).collect().await;
    let mut coordinators = BTreeMap::new();
    for (chunk, answer) in answers {
        coordinators.extend(matched(broker, chunk, answer));
    }
    Ok(coordinators)
}

/// Each key with its own answer.
fn matched(broker: BrokerId, keys: &[String], answer: Result<Vec<Found>, Missing>) -> Vec<(String, Reading<BrokerId>)> {
    let mut answers = match answer {
        Ok(answers) => answers,
        Err(why) => return keys.iter().map(|key| (key.clone(), Reading::Missing(why))).collect(),
    };
    if let ([key], [answer]) = (keys, answers.as_mut_slice())
        && answer.key.is_empty()
    {
        // Before version 4 the answer does not repeat the key.
        answer.key.clone_from(key);
    }
    let answers: BTreeMap<_, _> = answers.into_iter().map(|answer| (answer.key.clone(), answer)).collect();
    let readings = keys.iter().map(|key| {
        let reading = answers.get(key).map_or(Reading::Missing(Missing::Garbled(broker)), coordinator);
        (key.clone(), reading)
    });
    readings.collect()
}

fn coordinator(answer: &Found) -> Reading<BrokerId> {
    match error::missing(answer.error_code) {
        Some(why) => Reading::Missing(why),
        None if answer.node < 0 => Reading::Missing(Missing::CoordinatorMoving),
        None => Reading::Read(BrokerId(answer.node)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_answer() {
        let found = |key: &str, node, error_code| Found { key: key.to_owned(), node, error_code };
        let keys: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let answer = vec![found("b", -1, 15), found("a", 2, 0), found("d", -1, 0)];
        let want = [
            Reading::Read(BrokerId(2)),
            Reading::Missing(Missing::CoordinatorMoving),
            Reading::Missing(Missing::Garbled(BrokerId(9))),
            Reading::Missing(Missing::CoordinatorMoving),
        ];
        let readings: Vec<_> =
            matched(BrokerId(9), &keys, Ok(answer)).into_iter().map(|(_, reading)| reading).collect();
        assert_eq!(readings, want);
        let alone = matched(BrokerId(9), keys.get(..1).expect("there are four"), Ok(vec![found("", 3, 0)]));
        assert_eq!(alone, [("a".to_owned(), Reading::Read(BrokerId(3)))], "before version 4");
    }
}
