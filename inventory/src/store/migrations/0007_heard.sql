-- What assets tell unasked. Released migrations are never edited, only followed by another.

-- The part of an asset in the network, whom it uses, its software's habits, its neighbours.
CREATE TABLE heard (
    id INTEGER PRIMARY KEY,
    asset INTEGER NOT NULL REFERENCES asset (id),
    subject TEXT NOT NULL,               -- JSON: of which of its addresses
    fact TEXT NOT NULL,                  -- JSON, as in observation
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    UNIQUE (asset, subject, fact)
) STRICT;
