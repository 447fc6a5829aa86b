//! Offsets asked for on fresh connections.

use super::*;

/// What is told of these offsets of partition 0, asked for at once: by offset.
async fn rereads(canary: &Canary, offsets: &[i64], within: Duration) -> Vec<(i64, Moment, Reread)> {
    rereads_of(canary, 0, offsets, within).await
}

async fn rereads_of(canary: &Canary, partition: i32, offsets: &[i64], within: Duration) -> Vec<(i64, Moment, Reread)> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::unbounded_channel();
    for at in offsets {
        ask.send(RereadQuestion { offset: offset(*at), within }).expect("taken");
    }
    drop(ask);
    canary.answer_rereads(Isolation::ReadUncommitted, PartitionId(partition), asked, &tell).await;
    let mut answers = Vec::new();
    while let Ok((event, _)) = told.try_recv() {
        let Event::RereadTold { offset, begun, outcome, .. } = event else { panic!("unexpected: {event:?}") };
        answers.push((offset.get(), begun, outcome));
    }
    answers.sort_by_key(|(offset, _, _)| *offset);
    answers
}

#[tokio::test]
async fn a_stranger_is_told_and_a_reread_tells_what_lies_at_one_offset() {
    let mut bench = start(mock(1, 1), from_log_start(1));
    bench.acked(&record(0, 0)).await;
    let stranger: BaseProducer = client::config(&kafka(&bench.mock).into(), client::Role::Producer(CanaryClass::All))
        .create()
        .expect("a producer");
    stranger.send(BaseRecord::<(), str>::to(TOPIC).partition(0).payload("hello")).expect("taken");
    stranger.flush(LONG).expect("acknowledged");
    let unreadable =
        |event: &Event| if let Event::Unreadable { offset, what, .. } = event { Some((*offset, *what)) } else { None };
    assert_eq!(bench.until(unreadable).await, (offset(1), Unreadable::Foreign));
    let told = rereads(&bench.canary, &[9, 0, 2, 1, 0], LONG).await;
    assert!(matches!(told.first(), Some((0, _, Reread::Found { record: found, .. })) if *found == record(0, 0)));
    let others: Vec<(i64, Reread)> = told.into_iter().skip(1).map(|(at, _, outcome)| (at, outcome)).collect();
    let at_end = Reread::AtEnd { high_watermark: offset(2) };
    assert_eq!(others, [(1, Reread::Other(Unreadable::Foreign)), (2, at_end.clone()), (9, at_end)]);
}

#[tokio::test]
async fn a_reread_without_an_answer_says_so_in_time() {
    let bench = start(mock(1, 1), Vec::new());
    bench.mock.broker_down(1).expect("down");
    let asked = tokio::time::Instant::now();
    let told = rereads(&bench.canary, &[0, 1, 2, 3], Duration::from_millis(500)).await;
    assert_eq!(told.len(), 4);
    for (_, _, answer) in told {
        assert!(matches!(answer, Reread::Failed { .. }), "{answer:?}");
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn what_is_asked_while_a_client_reads_is_read_by_the_next() {
    let mut bench = start(mock(1, 1), Vec::new());
    for sequence in 0..2 {
        bench.acked(&record(0, sequence)).await;
    }
    bench.mock.broker_down(1).expect("down");
    let (tell, mut told) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::unbounded_channel();
    let question = |at| RereadQuestion { offset: offset(at), within: LONG };
    let answering = bench.canary.answer_rereads(Isolation::ReadUncommitted, PartitionId(0), asked, &tell);
    let mut answering = std::pin::pin!(answering);
    ask.send(question(0)).expect("taken");
    tokio::select! {
        biased;
        () = &mut answering => panic!("nobody is there to answer"),
        () = std::future::ready(()) => {}
    }
    let between = bench.canary.clock.now();
    ask.send(question(1)).expect("taken");
    bench.mock.broker_up(1).expect("up");
    drop(ask);
    timeout(LONG, answering).await.expect("in time");
    let mut begun = BTreeMap::new();
    while let Ok((event, _)) = told.try_recv() {
        let Event::RereadTold { offset, begun: at, outcome: Reread::Found { .. }, .. } = event else {
            panic!("not found: {event:?}")
        };
        begun.insert(offset.get(), at.mono >= between.mono);
    }
    assert_eq!(begun, BTreeMap::from([(0, false), (1, true)]), "no connection made before its question answers it");
}

#[tokio::test]
async fn what_is_not_read_any_more_has_no_answer() {
    let bench = start(mock(1, 1), Vec::new());
    let (tell, mut told) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::unbounded_channel();
    ask.send(RereadQuestion { offset: offset(4), within: LONG }).expect("taken");
    drop(ask);
    bench.canary.answer_rereads(Isolation::ReadCommitted, PartitionId(0), asked, &tell).await;
    let (event, _) = told.try_recv().expect("an answer");
    let Event::RereadTold { outcome: Reread::Failed { why }, .. } = event else { panic!("{event:?}") };
    assert_eq!(why, "nothing is read read_committed");
}

#[tokio::test]
async fn a_broker_that_hangs_holds_up_its_own_partitions_alone() {
    let mut bench = start(mock(2, 2), Vec::new());
    for partition in 0..2 {
        bench.mock.partition_leader(TOPIC, partition, Some(partition + 1)).expect("a leader");
        bench.acked(&record(partition, 0)).await;
    }
    bench.mock.broker_round_trip_time(1, LONG * 2).expect("slow");
    let (tell, mut told) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::unbounded_channel();
    let hung = bench.canary.answer_rereads(Isolation::ReadUncommitted, PartitionId(0), asked, &tell);
    let others = async {
        for at in 0..12 {
            ask.send(RereadQuestion { offset: offset(at), within: LONG }).expect("taken");
            let told = rereads_of(&bench.canary, 1, &[0], LONG / 3).await;
            assert!(matches!(told.first(), Some((0, _, Reread::Found { .. }))), "{told:?}");
        }
    };
    tokio::select! {
        () = hung => panic!("it goes on for ever"),
        () = others => {}
    }
    told.try_recv().expect_err("nobody answered");
}
