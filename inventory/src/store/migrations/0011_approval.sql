-- What people decide, and that they did. Released migrations are never edited, only followed by
-- another.

-- What somebody decided about an asset, a product or an issuer. A row is added for each decision;
-- later only who confirmed it and what ended it are written into it.
CREATE TABLE decision (
    -- AUTOINCREMENT: a number that somebody wrote down never means another decision.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('device', 'software', 'issuer')),
    verdict TEXT NOT NULL
        CHECK (verdict IN ('approved', 'investigating', 'rejected', 'retired')),
    asset INTEGER REFERENCES asset (id), -- of which it was decided; it rests on `matter`
    label TEXT NOT NULL,                 -- how people recognise what it is about
    matter TEXT NOT NULL,                -- JSON: site and identifiers, or an entry
    reason TEXT NOT NULL,
    until TEXT,                          -- the last day, as 2027-03-31
    idle_days INTEGER,
    exception INTEGER NOT NULL CHECK (exception IN (0, 1)),
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    -- Whether a second person has to agree, and who did.
    four_eyes INTEGER NOT NULL CHECK (four_eyes IN (0, 1)),
    confirmed_at INTEGER,
    confirmed_by TEXT,
    ended_at INTEGER,
    ended_by TEXT,
    ended_because TEXT CHECK (ended_because IN ('followed', 'withdrawn', 'idle'))
) STRICT;
CREATE TRIGGER decision_stays BEFORE DELETE ON decision
BEGIN SELECT RAISE (ABORT, 'a decision is never removed'); END;

-- What people did, each row with the hash of itself and of the hash before it (`inventory::audit`).
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,          -- 1, 2, 3, without gaps
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    reason TEXT NOT NULL,
    hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;
CREATE TRIGGER audit_stays_as_written BEFORE UPDATE ON audit
BEGIN SELECT RAISE (ABORT, 'an audit entry is never changed'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN SELECT RAISE (ABORT, 'an audit entry is never removed'); END;
