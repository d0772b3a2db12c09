-- What waits to be digested, version 2: one number for each vantage point instead of a mark
-- in every new row, which so had to be written twice.

-- The last observation from here that was digested. Those after it are new: observations are
-- never removed, so that their numbers only grow.
ALTER TABLE vantage ADD COLUMN digested INTEGER NOT NULL DEFAULT 0;

-- `observation.pending` is 1 where a digested row was seen again since, and else 0. It was 2
-- in new rows, which are those after the last that was digested.
UPDATE vantage SET digested = coalesce(
    (SELECT max(observation.id) FROM observation
     WHERE observation.vantage = vantage.id AND observation.pending < 2), 0);
UPDATE observation SET pending = 0 WHERE pending = 2;

-- Every sighting of a new asset paid for it, and no question is asked by it: the assets of a
-- site are a large part of all.
DROP INDEX asset_site;
