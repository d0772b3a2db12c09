-- Certificates in files, version 3. Released migrations are never edited, only followed by
-- another.

-- A file that holds certificates or a private key, on the machine of a vantage point. It belongs
-- to no asset: that machine may never have been seen on the network. Of a key nothing is kept but
-- that it is there.
CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    vantage INTEGER NOT NULL REFERENCES vantage (id),
    path TEXT NOT NULL,
    format TEXT NOT NULL,
    private_key TEXT NOT NULL CHECK (private_key IN ('none', 'encrypted', 'plain')),
    mode INTEGER NOT NULL,               -- permission bits, as stat(2) gives them
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    -- 0 once it was looked for and was not there.
    present INTEGER NOT NULL CHECK (present IN (0, 1)),
    UNIQUE (vantage, path)
) STRICT;

-- A certificate in a file, from one time to another. One that is in it no more stays, not current.
CREATE TABLE file_certificate (
    id INTEGER PRIMARY KEY,
    file INTEGER NOT NULL REFERENCES file (id),
    sha256 TEXT NOT NULL REFERENCES certificate (sha256),
    entry TEXT,                          -- what the file calls it, such as an alias
    position INTEGER NOT NULL,           -- in the order of the file
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    current INTEGER NOT NULL CHECK (current IN (0, 1)),
    UNIQUE (file, sha256)
) STRICT;
CREATE INDEX file_certificate_sha256 ON file_certificate (sha256);
