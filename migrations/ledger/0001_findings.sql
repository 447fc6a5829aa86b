-- One row: this was found, and this is how it stands. The columns beside the body are there to search by.
create table finding (
    id text not null primary key,
    cluster text not null,
    kind text not null,
    grade text not null,
    state text not null,
    group_id text,
    topic text,
    opened_at integer not null,
    last_seen_at integer not null,
    closed_at integer,
    body text not null
) strict;

create index finding_by_time on finding (cluster, last_seen_at);
create index finding_open on finding (state, last_seen_at);
