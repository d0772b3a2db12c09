-- What somebody was told of problems, so that nobody is told twice.
CREATE TABLE told (
    -- The problem: its rule (the first of its stages) and what it is about.
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- The rule of the finding that was told, and how much it mattered.
    finding_rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    -- When it was told last, and when that it is over; microseconds since 1970.
    at INTEGER NOT NULL,
    over_at INTEGER,
    PRIMARY KEY (rule, subject)
) STRICT, WITHOUT ROWID;
