-- What was said of a chain of certificates, so that it is asked again only where something
-- changed. Nothing but time is lost with a row.
CREATE TABLE verdict (
    -- SHA-256 over the leaf, what came with it, and what it is used for.
    chain TEXT PRIMARY KEY NOT NULL,
    -- SHA-256 over everything else that the verdict depends on, but the time.
    basis TEXT NOT NULL,
    -- From when to when it holds: the second is the first moment at which it may be another.
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    -- JSON: trust, path, reasons.
    judgement TEXT NOT NULL
) STRICT, WITHOUT ROWID;
