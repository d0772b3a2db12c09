-- The inventory, version 1. Released migrations are never edited, only followed by another.
--
-- Times are microseconds since 1970 in UTC. Network addresses are text, as Rust prints them.
-- Every table is STRICT, so that a wrong type is refused where it is written and not found
-- where it is read. Rows have numbers of their own: nothing that the network says, and that
-- may change or be forged, is the identity of a row. The one exception is `certificate`,
-- whose SHA-256 is its content.

-- A place from which we look. The same address at two sites is two addresses.
CREATE TABLE vantage (
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (site, name)
) STRICT;

-- One run of `sweep` or `watch`. `ended_at` is NULL while it runs and after it was killed.
CREATE TABLE scan (
    -- AUTOINCREMENT: a number that was printed in a report never means another scan.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    vantage INTEGER NOT NULL REFERENCES vantage (id),
    command TEXT NOT NULL,
    targets TEXT NOT NULL,               -- JSON array, as the user wrote them
    io TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    probes_sent INTEGER NOT NULL DEFAULT 0,
    replies INTEGER NOT NULL DEFAULT 0,
    drops INTEGER NOT NULL DEFAULT 0,
    complete INTEGER NOT NULL DEFAULT 0 CHECK (complete IN (0, 1))
) STRICT;

-- Where a scan failed to look.
CREATE TABLE gap (
    id INTEGER PRIMARY KEY,
    scan INTEGER NOT NULL REFERENCES scan (id),
    target TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX gap_scan ON gap (scan);

-- Where a scan did look, and how. Only this makes silence mean something.
CREATE TABLE coverage (
    id INTEGER PRIMARY KEY,
    scan INTEGER NOT NULL REFERENCES scan (id),
    first TEXT NOT NULL,                 -- the first address of the range
    last TEXT NOT NULL,                  -- the last, included
    methods TEXT NOT NULL,               -- JSON array of method names
    tcp TEXT NOT NULL,                   -- port set, as in `--ports`
    udp TEXT NOT NULL
) STRICT;
CREATE INDEX coverage_scan ON coverage (scan);

-- What was seen, once for each distinct (vantage, method, subject, fact).
CREATE TABLE observation (
    id INTEGER PRIMARY KEY,
    -- The first 16 bytes of the SHA-256 over vantage, method, subject and fact. A number of
    -- its own as row id, and not this key: new rows are then appended instead of scattered.
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 16),
    vantage INTEGER NOT NULL REFERENCES vantage (id),
    method TEXT NOT NULL,
    about TEXT NOT NULL,                 -- the subject's address, or its MAC where it has none
    subject TEXT NOT NULL,               -- JSON of model::Subject
    fact TEXT NOT NULL,                  -- JSON of model::Fact; certificates by their SHA-256
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    times INTEGER NOT NULL,
    evidence BLOB NOT NULL,              -- of the last time
    last_scan INTEGER NOT NULL REFERENCES scan (id),
    -- 2: new, not yet digested; 1: seen again since it was digested; 0: digested. What a
    -- killed scan left is still 1 or 2, so the next digest takes it up.
    pending INTEGER NOT NULL CHECK (pending IN (0, 1, 2))
) STRICT;
-- last_seen has no index on purpose: it changes with every sighting, and an index on it
-- more than halves the writing speed.
CREATE INDEX observation_about ON observation (about);
CREATE INDEX observation_pending ON observation (vantage) WHERE pending > 0;

-- Each distinct certificate, leaf or issuer, wherever it was served.
CREATE TABLE certificate (
    sha256 TEXT PRIMARY KEY NOT NULL CHECK (length(sha256) = 64),
    der BLOB NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    -- What was read from `der`, for listing; empty or NULL where it could not be read, and
    -- then `anomalies` says why.
    subject TEXT NOT NULL,
    issuer TEXT NOT NULL,
    serial TEXT NOT NULL,                -- hexadecimal
    not_before INTEGER,
    not_after INTEGER,
    names TEXT NOT NULL,                 -- JSON array
    key_algorithm TEXT NOT NULL,
    key_bits INTEGER,
    signature_algorithm TEXT NOT NULL,
    self_signed INTEGER NOT NULL CHECK (self_signed IN (0, 1)),
    anomalies TEXT NOT NULL              -- JSON array of sentences
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_not_after ON certificate (not_after);

-- An asset, as digested. Rows of the tables below belong to the asset that they were learned
-- for, whatever was merged later: a merge is an entry in `merge` and changes none of them.
CREATE TABLE asset (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    site TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    identity_uncertain INTEGER NOT NULL CHECK (identity_uncertain IN (0, 1)),
    alive_by TEXT NOT NULL               -- JSON array of method names
) STRICT;
CREATE INDEX asset_site ON asset (site);

CREATE TABLE identifier (
    id INTEGER PRIMARY KEY,
    asset INTEGER NOT NULL REFERENCES asset (id),
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    strength TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    current INTEGER NOT NULL CHECK (current IN (0, 1)),
    because TEXT NOT NULL,
    UNIQUE (asset, kind, value)
) STRICT;

CREATE TABLE name (
    id INTEGER PRIMARY KEY,
    asset INTEGER NOT NULL REFERENCES asset (id),
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    UNIQUE (asset, name, source)
) STRICT;

CREATE TABLE service (
    id INTEGER PRIMARY KEY,
    asset INTEGER NOT NULL REFERENCES asset (id),
    address TEXT NOT NULL,
    transport TEXT NOT NULL,
    port INTEGER NOT NULL,
    state TEXT NOT NULL,
    protocol TEXT,
    product TEXT,
    version TEXT,
    cpe TEXT,
    tls INTEGER NOT NULL CHECK (tls IN (0, 1)),
    attributes TEXT NOT NULL,            -- JSON object of text to text
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    UNIQUE (asset, address, transport, port)
) STRICT;

CREATE TABLE software (
    id INTEGER PRIMARY KEY,
    asset INTEGER NOT NULL REFERENCES asset (id),
    product TEXT NOT NULL,
    version TEXT,
    cpe TEXT,
    source TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    current INTEGER NOT NULL CHECK (current IN (0, 1))
) STRICT;
CREATE INDEX software_asset ON software (asset);

CREATE TABLE os (
    asset INTEGER PRIMARY KEY REFERENCES asset (id),
    name TEXT NOT NULL,
    version TEXT,
    cpe TEXT,
    last_seen INTEGER NOT NULL
) STRICT;

-- A certificate in a place, from one time to another. A replaced one stays, not current.
CREATE TABLE deployment (
    id INTEGER PRIMARY KEY,
    asset INTEGER NOT NULL REFERENCES asset (id),
    sha256 TEXT NOT NULL REFERENCES certificate (sha256),
    chain TEXT NOT NULL,                 -- JSON array of the SHA-256 of those sent after it
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    transport TEXT NOT NULL,
    server_name TEXT,
    protocol_version INTEGER NOT NULL,   -- as on the wire
    starttls TEXT,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    current INTEGER NOT NULL CHECK (current IN (0, 1))
) STRICT;
CREATE INDEX deployment_asset ON deployment (asset);
CREATE INDEX deployment_sha256 ON deployment (sha256);

-- What an asset sent that breaks a protocol.
CREATE TABLE anomaly (
    id INTEGER PRIMARY KEY,
    asset INTEGER NOT NULL REFERENCES asset (id),
    subject TEXT NOT NULL,
    protocol TEXT NOT NULL,
    problem TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    UNIQUE (asset, subject, protocol, problem)
) STRICT;

-- "These are one", laid over the tables above, so that ending it gives back what was.
CREATE TABLE merge (
    id INTEGER PRIMARY KEY,
    from_asset INTEGER NOT NULL REFERENCES asset (id),
    into_asset INTEGER NOT NULL REFERENCES asset (id) CHECK (into_asset <> from_asset),
    because TEXT NOT NULL,
    by TEXT NOT NULL CHECK (by IN ('person', 'identity')),
    at INTEGER NOT NULL,
    undone_at INTEGER,                   -- NULL while it holds
    undone_because TEXT
) STRICT;
-- An asset is part of one other at most.
CREATE UNIQUE INDEX merge_holds ON merge (from_asset) WHERE undone_at IS NULL;

-- What happened, written once.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    asset INTEGER REFERENCES asset (id),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    scan INTEGER REFERENCES scan (id)    -- the scan after which it was noticed, if any
) STRICT;
CREATE INDEX event_asset ON event (asset);
CREATE TRIGGER event_stays_as_written BEFORE UPDATE ON event
BEGIN SELECT RAISE (ABORT, 'an event is never changed'); END;
CREATE TRIGGER event_stays BEFORE DELETE ON event
BEGIN SELECT RAISE (ABORT, 'an event is never removed'); END;

-- The organisation's own lists, one of each kind, replaced as a whole by an import.
CREATE TABLE register (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL UNIQUE,
    imported_at INTEGER NOT NULL,
    source TEXT NOT NULL,                -- the file's name
    sha256 TEXT NOT NULL                 -- of the file
) STRICT;

CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    register INTEGER NOT NULL REFERENCES register (id),
    position INTEGER NOT NULL,           -- in the order of the file
    reference TEXT NOT NULL,             -- the list's own name for it
    content TEXT NOT NULL                -- JSON of the entry, with the columns we do not know
) STRICT;
CREATE INDEX entry_register ON entry (register);

-- What is wrong. Rule and subject are what makes it the same finding the next time.
CREATE TABLE finding (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity TEXT NOT NULL,
    asset INTEGER REFERENCES asset (id),
    title TEXT NOT NULL,
    detail TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'resolved')),
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    resolved_at INTEGER,
    accepted_at INTEGER,
    accepted_until INTEGER,
    accepted_because TEXT,
    UNIQUE (rule, subject)
) STRICT;
