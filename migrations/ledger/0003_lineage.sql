-- One row: canary records that carry these 128 bits were sent to this cluster by this installation.
create table lineage (
    cluster text not null primary key,
    lineage blob not null
) strict;
