-- Up to when each job is settled: what was due until then has been run or given up.
CREATE TABLE job (
    name TEXT NOT NULL PRIMARY KEY,
    -- The cron line and its time zone. With another one nothing is owed from before.
    schedule TEXT NOT NULL,
    settled INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Runs of jobs, also those that were left out.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    kind TEXT NOT NULL,
    site TEXT NOT NULL,
    -- When it was due; NULL where a person asked for it, or where it runs always.
    due INTEGER,
    -- The how manieth attempt at what was due then, and how many it makes up for.
    attempt INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    -- NULL while it runs, and after it was cut off until somebody notices.
    ended_at INTEGER,
    result TEXT,
    -- What came of it, or why it failed, in words.
    detail TEXT NOT NULL DEFAULT '',
    -- The scan that it made, if it made one.
    scan INTEGER REFERENCES scan (id),
    -- Of a sweep that was not done: how many of its addresses it is done with, and which
    -- addresses those were counted in.
    resume_at INTEGER,
    resume_of TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX run_job ON run (job, id);

-- What an import job has read already.
CREATE TABLE imported (
    job TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (job, path)
) STRICT, WITHOUT ROWID;
