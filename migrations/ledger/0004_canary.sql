-- The canary's ledger. In each table the body is the row of the audit; numbers of 64 bits without sign are stored as
-- the signed ones of the same bits.

-- One row: this canary record is still tracked and stands so.
create table canary_record (
    cluster text not null,
    incarnation integer not null,
    class text not null,
    partition integer not null,
    sequence integer not null,
    body text not null,
    primary key (cluster, incarnation, class, partition, sequence)
) strict, without rowid;

-- One row: all records of this class, the tracked ones included, sum up to this.
create table canary_class (
    cluster text not null,
    class text not null,
    body text not null,
    primary key (cluster, class)
) strict, without rowid;

-- One row: this partition of the canary's topic was read so far.
create table canary_partition (
    cluster text not null,
    partition integer not null,
    body text not null,
    primary key (cluster, partition)
) strict, without rowid;

-- One row: this start of the daemon may have sent these sequences, and no others.
create table canary_reservation (
    cluster text not null,
    incarnation integer not null,
    class text not null,
    partition integer not null,
    body text not null,
    primary key (cluster, incarnation, class, partition)
) strict, without rowid;

-- One row: the daemon was started and may have sent under this number.
create table canary_incarnation (
    cluster text not null,
    incarnation integer not null,
    body text not null,
    primary key (cluster, incarnation)
) strict, without rowid;

-- One row: this many canaries were lost, truncated or duplicated, with the evidence.
create table canary_anomaly (
    cluster text not null,
    -- The key of the audit as JSON.
    key text not null,
    body text not null,
    primary key (cluster, key)
) strict, without rowid;

-- One row: the canary's topic had this id when it was last sighted.
create table canary_topic (
    cluster text not null primary key,
    topic_id text not null
) strict, without rowid;
