-- What may be removed, and how much there is. Released migrations are never edited, only followed by
-- another.

-- Events may be removed once a prune, which the audit tells of, has moved this past them. Nothing
-- moves it back.
CREATE TABLE horizon (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    events INTEGER NOT NULL
) STRICT;
CREATE TRIGGER horizon_only_advances BEFORE UPDATE ON horizon WHEN NEW.events < OLD.events
BEGIN SELECT RAISE (ABORT, 'the horizon of events never goes back'); END;
CREATE TRIGGER horizon_stays BEFORE DELETE ON horizon
BEGIN SELECT RAISE (ABORT, 'the horizon of events is never removed'); END;
DROP TRIGGER event_stays;
CREATE TRIGGER event_stays BEFORE DELETE ON event
WHEN OLD.at >= coalesce((SELECT events FROM horizon), -9223372036854775808)
BEGIN SELECT RAISE (ABORT, 'an event is never removed before its time'); END;

-- How many bytes of the database held something when the scan had stored what it saw.
ALTER TABLE scan ADD COLUMN bytes INTEGER;
