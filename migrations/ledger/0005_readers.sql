-- One row: this reader has read this partition of the canary's topic so far.
create table canary_position (
    cluster text not null,
    isolation text not null,
    partition integer not null,
    body text not null,
    primary key (cluster, isolation, partition)
) strict, without rowid;

-- Until now there was one reader, of all records.
insert into canary_position (cluster, isolation, partition, body)
select cluster, 'read_uncommitted', partition, body from canary_partition;

drop table canary_partition;

-- One row: the canary's topic had this id once, and has another now.
create table canary_former_topic (
    cluster text not null,
    topic_id text not null,
    primary key (cluster, topic_id)
) strict, without rowid;
