-- One row: what became of the records of this class that were sent in this stretch of time: a minute, what is kept of a
-- day, or all that is older. The body is the row of the audit.
create table canary_bucket (
    cluster text not null,
    class text not null,
    span text not null,
    -- Minutes or days since 1970; 0 for all that is older.
    number integer not null,
    body text not null,
    primary key (cluster, class, span, number)
) strict, without rowid;

-- One row: so many records moved on although nothing of their minute was open any more. Rows are only added.
create table canary_correction (
    cluster text not null,
    number integer not null,
    body text not null,
    primary key (cluster, number)
) strict, without rowid;
