-- Who may look at the page and act on it. Released migrations are never edited, only followed by
-- another.

-- A person, or a program that signs in as one.
CREATE TABLE user (
    -- AUTOINCREMENT: a session of somebody who was removed never becomes another's.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
    password TEXT NOT NULL,              -- Argon2id, as a PHC string
    password_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    signed_in_at INTEGER
) STRICT;

-- Somebody who is signed in. The token is nowhere but in the browser.
CREATE TABLE session (
    hash TEXT NOT NULL PRIMARY KEY,      -- SHA-256 of the token, hexadecimal
    user INTEGER NOT NULL REFERENCES user (id),
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,            -- to the minute
    address TEXT NOT NULL,
    agent TEXT NOT NULL                  -- what the browser calls itself: hostile text
) STRICT, WITHOUT ROWID;

-- A key of the API.
CREATE TABLE api_token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    hash TEXT NOT NULL UNIQUE,           -- SHA-256 of the token, hexadecimal
    scopes TEXT NOT NULL,                -- their names, one blank between them
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    used_at INTEGER                      -- to the minute
) STRICT;

-- Failed attempts to sign in, by name (also of names that nobody has) and by address.
CREATE TABLE attempt (
    kind TEXT NOT NULL CHECK (kind IN ('name', 'address')),
    subject TEXT NOT NULL,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    until INTEGER NOT NULL,              -- refused before that, right or wrong
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

-- The process with the page, as the service began it last: one row.
CREATE TABLE page_process (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    started_at INTEGER NOT NULL,
    restarts INTEGER NOT NULL,           -- since the service began, because it had broken
    trouble TEXT NOT NULL                -- what it broke with last
) STRICT;

-- How far a scan is that runs, written at most once a second; removed when it ends.
CREATE TABLE progress (
    scan INTEGER PRIMARY KEY REFERENCES scan (id),
    at INTEGER NOT NULL,
    phase TEXT NOT NULL,
    permille INTEGER NOT NULL,
    alive INTEGER NOT NULL,
    open INTEGER NOT NULL,
    packets_per_second INTEGER NOT NULL,
    seconds_left INTEGER
) STRICT;

-- Jobs that somebody wants to be run now: the service takes them away as it begins them.
CREATE TABLE job_wish (
    job TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
