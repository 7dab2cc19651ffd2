-- The tables of schema version 1, before versions were recorded. Never changed: databases like this exist.

CREATE TABLE checkpoints (
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (partition)
);

CREATE TABLE events (
    partition INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    "offset" BIGINT NOT NULL,
    idx INTEGER NOT NULL,
    version SMALLINT NOT NULL,
    at_ms BIGINT NOT NULL,
    type TEXT NOT NULL,
    actor TEXT NOT NULL,
    scope TEXT NOT NULL,
    subject TEXT NOT NULL,
    data BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (partition, seq),
    CONSTRAINT events_identity UNIQUE (partition, "offset", idx)
);

CREATE INDEX events_by_subject ON events (subject, partition, seq);

CREATE TRIGGER events_refuses_update BEFORE update ON events
BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;

CREATE TRIGGER events_refuses_delete BEFORE delete ON events
BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;

CREATE TABLE journal (
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (partition, "offset")
);

CREATE TRIGGER journal_refuses_update BEFORE update ON journal
BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END;

CREATE TRIGGER journal_refuses_delete BEFORE delete ON journal
BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END;

CREATE TABLE snapshots (
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    core_version INTEGER NOT NULL,
    next_seq BIGINT NOT NULL,
    head BLOB NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (partition, next_offset, core_version)
);
