//! Coordinators by FindCoordinator, where Metadata does not tell them.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;

use super::api::error;
use super::api::find_coordinator::{Coordinated, FindCoordinator, Found, MANY_KEYS_FROM};
use super::matched::matched;
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
        let answer = answer.map(|answers| named(chunk, answers));
        coordinators.extend(matched(broker, chunk, answer, coordinator));
    }
    Ok(coordinators)
}

/// Before version 4 the answer does not repeat the one key that was asked for.
fn named(keys: &[String], mut answers: Vec<Found>) -> Vec<Found> {
    if let ([key], [answer]) = (keys, answers.as_mut_slice())
        && answer.key.is_empty()
    {
        answer.key.clone_from(key);
    }
    answers
}

fn coordinator(answer: Found) -> Reading<BrokerId> {
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
        let read = |keys: &[String], answers| {
            let readings = matched(BrokerId(9), keys, Ok(named(keys, answers)), coordinator);
            readings.into_iter().map(|(_, reading)| reading).collect::<Vec<_>>()
        };
        assert_eq!(read(&keys, answer), want);
        let one = keys.get(..1).expect("there are four");
        assert_eq!(read(one, vec![found("", 3, 0)]), [Reading::Read(BrokerId(3))], "before version 4");
        let unnamed = read(&keys, vec![found("", 3, 0)]);
        assert_eq!(unnamed, [Reading::Missing(Missing::Garbled(BrokerId(9))); 4], "of four it is nobody's");
    }
}
