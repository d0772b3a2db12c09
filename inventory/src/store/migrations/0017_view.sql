-- Lists as somebody wants to see them again. Released migrations are never edited, only followed by
-- another.

CREATE TABLE saved_view (
    -- AUTOINCREMENT: a link to one that is gone never leads to another.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER REFERENCES user (id),   -- NULL where its maker was removed
    shared INTEGER NOT NULL CHECK (shared IN (0, 1)),
    kind TEXT NOT NULL,                  -- of which list
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    sort TEXT NOT NULL,                  -- as in addresses of lists; empty for the usual order
    columns TEXT NOT NULL,               -- with commas; empty for the usual ones
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX saved_view_shared ON saved_view (kind, name COLLATE NOCASE) WHERE shared = 1;
CREATE UNIQUE INDEX saved_view_own ON saved_view (user, kind, name COLLATE NOCASE) WHERE shared = 0;

-- What nobody else sees goes with whoever saw it.
CREATE TRIGGER saved_view_ends BEFORE DELETE ON user
BEGIN
    DELETE FROM saved_view WHERE user = OLD.id AND shared = 0;
    UPDATE saved_view SET user = NULL WHERE user = OLD.id;
END;
