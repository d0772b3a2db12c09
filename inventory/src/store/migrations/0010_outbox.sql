-- What was told is remembered for each route by itself; the route '' is the end of a scan, which
-- tells whoever reads its output.
CREATE TABLE told_by_route (
    route TEXT NOT NULL,
    -- The problem: its rule (the first of its stages) and what it is about.
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- The rule of the finding that was told, and how much it mattered.
    finding_rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    -- When it was told last, and when that it is over; microseconds since 1970.
    at INTEGER NOT NULL,
    over_at INTEGER,
    PRIMARY KEY (route, rule, subject)
) STRICT, WITHOUT ROWID;
INSERT INTO told_by_route SELECT '', rule, subject, finding_rule, severity, at, over_at FROM told;
DROP TABLE told;
ALTER TABLE told_by_route RENAME TO told;

-- How far a route has come with the events: the number of the last one that it looked at.
CREATE TABLE route (
    name TEXT PRIMARY KEY,
    event INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The sites that a route has seen. Until one is settled, nothing of it is told.
CREATE TABLE baseline (
    route TEXT NOT NULL,
    -- '' for what belongs to no site.
    site TEXT NOT NULL,
    since INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    PRIMARY KEY (route, site)
) STRICT, WITHOUT ROWID;

-- Messages on their way. A row is written in the transaction that notes its problems as told.
CREATE TABLE outbox (
    -- Never given twice, also where rows were removed.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What the receiver knows the message by, whenever it is sent. Random, because a number can
    -- be given again after a power cut that took the last transactions.
    key TEXT NOT NULL UNIQUE,
    route TEXT NOT NULL,
    -- pending, sending, sent or failed.
    state TEXT NOT NULL,
    -- The most that anything in it matters: 0 info, 1 warning, 2 critical.
    severity INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- Not to be sent before.
    due_at INTEGER NOT NULL,
    -- What was left out because there was too much.
    more INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    first_attempt_at INTEGER,
    -- Who is sending it, and until when nobody else may.
    claimed_by TEXT,
    lease_until INTEGER,
    -- What the last attempt came to, in the words of the other side.
    outcome TEXT,
    ended_at INTEGER
) STRICT;
CREATE INDEX outbox_state ON outbox (state, route, due_at);

-- What a message tells, in order. Asset and finding are numbers of then, and no references.
CREATE TABLE outbox_item (
    message INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    -- new, worse, reminder, over or happened.
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    subject TEXT NOT NULL,
    title TEXT NOT NULL,
    detail TEXT NOT NULL,
    site TEXT,
    asset INTEGER,
    finding INTEGER,
    -- Who answers for it, as a JSON array.
    owners TEXT NOT NULL,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;
