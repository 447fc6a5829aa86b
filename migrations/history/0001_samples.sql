-- One row: in the tables of samples, this number stands for this cluster, group or topic.
create table series (
    id integer primary key,
    cluster text not null,
    -- cluster, group or topic.
    kind text not null,
    name text not null,
    -- The topic's id as Kafka shows it: a topic that was created again is another series.
    detail text not null,
    -- The last turn known to use it; brought up to date by the retention.
    last_turn integer not null,
    unique (cluster, kind, name, detail)
) strict;

-- One row: in this turn this cluster was read, from `started` to `finished` (milliseconds since 1970, UTC).
create table turn (
    id integer primary key,
    cluster integer not null,
    started integer not null,
    finished integer not null,
    complete integer not null
) strict;

create index turn_by_time on turn (cluster, finished);

-- One row: from the turn `since` on, the samples of this group list these partitions in this order.
create table shape (
    id integer primary key,
    group_series integer not null,
    since integer not null,
    partitions blob not null
) strict;

create index shape_by_group on shape (group_series, id);

-- One row: in this turn this group was so far behind. What was not known is null, or absent in the blob. The key
-- begins with the turn so that writing appends and the retention deletes one range.
create table lag (
    turn integer not null,
    group_series integer not null,
    shape integer not null,
    lag_records integer,
    lag_is_exact integer not null,
    lag_low_ms integer,
    lag_high_ms integer,
    partitions blob not null,
    primary key (turn, group_series)
) strict, without rowid;

-- One row: in this turn these were the high watermarks of this topic's partitions, as far as they were read.
create table watermark (
    turn integer not null,
    topic_series integer not null,
    partitions blob not null,
    primary key (turn, topic_series)
) strict, without rowid;

-- One row: in this turn the canary class stood so; the body is the summary of the API.
create table canary (
    turn integer not null,
    class text not null,
    body text not null,
    primary key (turn, class)
) strict, without rowid;
