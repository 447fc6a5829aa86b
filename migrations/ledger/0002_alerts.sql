-- One row: the telling of the finding of the same id stands so.
create table alert (
    id text not null primary key,
    state text not null,
    pending_since integer not null,
    resolved_at integer,
    body text not null
) strict;

create index alert_by_state on alert (state, pending_since);

-- One row: this notice is to be delivered, or was, or never will be. The number keeps the order of telling.
create table outbox (
    number integer primary key,
    id text not null unique,
    alert text not null,
    receiver text not null,
    status text not null,
    queued_at integer not null,
    -- pending, delivered, refused or expired.
    state text not null,
    attempts integer not null,
    -- Milliseconds during which somebody tried, by the monotonic clock: what the expiry counts.
    age_ms integer not null,
    last_error text,
    done_at integer,
    body text not null
) strict;

create index outbox_pending on outbox (state, number);
