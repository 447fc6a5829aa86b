//! The harness itself: if a cluster under test does not do what it is told, no other test means anything.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::clusters;
use crate::kafka::{CleanTruncation, Error, Options, UncleanTruncation, until, values};

#[tokio::test]
async fn what_is_produced_is_read_back() -> Result<(), Error> {
    let client = clusters::shared().await.client();
    client.create_topic("read-back", &[&[1, 2], &[2, 3]], &[("min.insync.replicas", "2")]).await?;
    let produced = client.produce("read-back", 1, &values("v", 20), "all", &[]).await?;
    assert_eq!(produced.failed, []);
    assert_eq!(produced.acked.last(), Some(&("v-19".to_owned(), 19)));
    let log = client.read_all("read-back", 1).await?;
    assert_eq!((log.log_start_offset, log.high_watermark, log.records.len()), (0, 20, 20));
    assert_eq!(produced.lost_from(&log), [""; 0]);
    let partition = client.partition("read-back", 1).await?;
    assert_eq!((partition.leader, partition.replicas, partition.in_sync), (Some(2), vec![2, 3], vec![2, 3]));
    assert_eq!(client.delete_records("read-back", 1, 5).await?, 5);
    assert_eq!(client.read_all("read-back", 1).await?.records.first().map(|record| record.offset), Some(5));
    client.delete_topic("read-back").await?;
    client.metadata(1, "read-back").await.expect_err("the topic is gone");
    Ok(())
}

#[tokio::test]
async fn a_refused_record_is_failed_and_not_lost() -> Result<(), Error> {
    let client = clusters::shared().await.client();
    client.create_topic("refused", &[&[1]], &[]).await?;
    client.alter_topic("refused", &[("max.message.bytes", "200")]).await?;
    let large = ["x".repeat(500)];
    let produced = until("the limit holds", Duration::from_secs(30), async || {
        let produced = client.produce("refused", 0, &large, "all", &[]).await?;
        if produced.acked.is_empty() { Ok(produced) } else { Err(Error::NotYet(format!("{produced:?}"))) }
    })
    .await?;
    assert_eq!(produced.failed.len(), 1);
    assert!(produced.failed.iter().all(|(_, error)| error.contains("MessageSizeTooLarge")), "{produced:?}");
    assert_eq!(produced.lost_from(&client.read_all("refused", 0).await?), [""; 0]);
    client.delete_topic("refused").await
}

#[tokio::test]
async fn a_consumer_goes_on_where_a_commit_by_hand_points() -> Result<(), Error> {
    let client = clusters::shared().await.client();
    client.create_topic("groups", &[&[3, 1, 2]], &[]).await?;
    client.produce("groups", 0, &values("v", 10), "all", &[]).await?;
    client.commit("by-hand", "groups", 0, 2).await?;
    assert_eq!(client.committed("by-hand", "groups", 0).await?, Some((2, None)));
    client.commit_with("by-hand", "groups", 0, 6, Some(0), "note").await?;
    assert_eq!(client.committed("by-hand", "groups", 0).await?, Some((6, Some(0))));
    let consumer = client.consume("by-hand", "groups", &[])?;
    consumer.until_consumed(4).await?;
    let read: Vec<i64> = consumer.stop().await.into_iter().map(|(_, record)| record.offset).collect();
    assert_eq!(read, [6, 7, 8, 9]);
    assert_eq!(client.committed("by-hand", "groups", 0).await?.map(|(offset, _)| offset), Some(10));
    let consumer = client.consume("slow", "groups", &[("group.protocol", "consumer")])?;
    consumer.delay(Duration::from_secs(600));
    consumer.until_consumed(1).await?;
    assert_eq!(consumer.stop().await.len(), 1);
    client.delete_topic("groups").await
}

#[tokio::test]
async fn a_killed_broker_leaves_the_isr_and_heals() -> Result<(), Error> {
    let mut cluster = clusters::own(Options::default()).await;
    let client = cluster.client();
    client.create_topic("kill", &[&[2, 1, 3]], &[]).await?;
    client.create_topic("alone", &[&[2]], &[]).await?;
    let alone = client.produce("alone", 0, &values("v", 5), "all", &[]).await?;
    cluster.kill(2).await?;
    assert_eq!(cluster.alive(), [1, 3]);
    let shrunk = client.until_in_sync("kill", 0, &[1, 3]).await?;
    assert_eq!(shrunk.leader, Some(1));
    cluster.wipe_partition(2, "alone-0")?;
    cluster.start_again(2).await?;
    client.until_in_sync("kill", 0, &[1, 2, 3]).await?;
    client.until_leader("alone", 0, Some(2)).await?;
    let log = client.read_all("alone", 0).await?;
    assert_eq!((log.high_watermark, alone.acked.len(), alone.lost_from(&log).len()), (0, 5, 5));

    cluster.term(2).await?;
    client.until_in_sync("kill", 0, &[1, 3]).await?;
    cluster.wipe(2)?;
    cluster.start_again(2).await?;
    client.until_in_sync("kill", 0, &[1, 2, 3]).await?;

    cluster.stop(3)?;
    assert_eq!(cluster.alive(), [1, 2]);
    client.until_in_sync("kill", 0, &[1, 2]).await?;
    cluster.cont(3)?;
    client.until_in_sync("kill", 0, &[1, 2, 3]).await?;
    assert_eq!(cluster.alive(), [1, 2, 3]);
    Ok(())
}

#[tokio::test]
async fn elections_lose_exactly_what_only_the_dead_leader_had() -> Result<(), Error> {
    // The second drill is a race against both of these times, on a machine that may be busy.
    let options = Options {
        dedicated_controller: true,
        session_timeout_ms: 6000,
        properties: vec![("replica.lag.time.max.ms".to_owned(), "10000".to_owned())],
        ..Options::default()
    };
    let mut cluster = clusters::own(options).await;
    let client = cluster.client();

    let drill = UncleanTruncation::new("unclean", 1, 2);
    drill.create(&client).await?;
    let kept = client.produce("unclean", 0, &values("kept", 10), "all", &[]).await?;
    drill.isolate_leader(&mut cluster).await?;
    let lost = client.produce("unclean", 0, &values("lost", 25), "all", &[]).await?;
    assert_eq!((kept.acked.len(), lost.acked.len()), (10, 25));
    let cut = drill.elect_follower(&mut cluster).await?;
    assert_eq!((cut.before.leader, cut.after.leader), (Some(1), Some(2)));
    assert!(cut.after.leader_epoch > cut.before.leader_epoch, "{cut:?}");
    let log = client.read_all("unclean", 0).await?;
    assert_eq!((log.high_watermark, lost.lost_from(&log).len(), kept.lost_from(&log).len()), (10, 25, 0));
    drill.heal(&mut cluster).await?;
    assert_eq!(client.read_all("unclean", 0).await?, log, "the old leader brings nothing back");

    let drill = CleanTruncation::new("clean", 1, 2);
    drill.create(&client).await?;
    client.produce("clean", 0, &values("kept", 10), "all", &[]).await?;
    drill.hang_follower(&mut cluster).await?;
    let lost = client.only(1)?.produce("clean", 0, &values("lost", 25), "1", &[]).await?;
    assert_eq!(lost.acked.len(), 25);
    drill.elect_follower(&mut cluster).await?;
    let log = client.read_all("clean", 0).await?;
    assert_eq!((log.high_watermark, lost.lost_from(&log).len()), (10, 25));
    drill.heal(&mut cluster).await?;
    Ok(())
}

#[tokio::test]
async fn a_broker_that_cannot_start_says_why() {
    let options = Options {
        brokers: 1,
        properties: vec![("log.segment.bytes".to_owned(), "all of them".to_owned())],
        ..Options::default()
    };
    let error = clusters::try_own(options).await.expect_err("no broker runs with that");
    assert!(matches!(&error, Error::Ended { id: 1, log, .. } if log.contains("all of them")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_never_holds_is_named() {
    let never = async || Err::<(), _>(Error::NotYet("still dark".to_owned()));
    let error = until("the sun rises", Duration::from_secs(5), never).await.expect_err("it never holds");
    assert_eq!(error.to_string(), "the sun rises: not within 5s; last seen: still dark");
}

#[tokio::test]
async fn clients_go_through_the_advertised_port() -> Result<(), Error> {
    let proxy = TcpListener::bind("127.0.0.1:0").await.map_err(Error::system("bind"))?;
    let told = proxy.local_addr().map_err(Error::system("bind"))?.port();
    let options = Options { brokers: 1, advertised_ports: [(1, told)].into(), ..Options::default() };
    let cluster = clusters::own(options).await;
    let (client, port) = (cluster.client(), cluster.port(1));
    client.create_topic("proxied", &[&[1]], &[]).await?;
    let forwarded = async {
        loop {
            let (mut from, _) = proxy.accept().await.expect("a client connects");
            let mut to = TcpStream::connect(("127.0.0.1", port)).await.expect("the broker listens");
            // Ends with the test at the latest; how a connection ends is not its subject.
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await.ok() });
        }
    };
    let records = values("v", 3);
    tokio::select! {
        () = forwarded => unreachable!("it goes on for ever"),
        produced = client.produce("proxied", 0, &records, "all", &[]) => assert_eq!(produced?.acked.len(), 3),
    }
    let settings = [("message.timeout.ms", "1000")];
    let without_proxy = client.produce("proxied", 0, &records, "all", &settings).await?;
    assert_eq!(without_proxy.failed.len(), 3, "nobody forwards any more");
    Ok(())
}
