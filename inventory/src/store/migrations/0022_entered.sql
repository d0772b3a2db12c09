-- What the device register says of an asset: which entry it is, who answers for it and where it
-- stands, as it is shown; empty where it is none. The next review writes them, for what stands in a row
-- is told by its digest, and that is another one now.

ALTER TABLE listed_asset ADD COLUMN entry TEXT NOT NULL DEFAULT '';
ALTER TABLE listed_asset ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE listed_asset ADD COLUMN department TEXT NOT NULL DEFAULT '';
ALTER TABLE listed_asset ADD COLUMN location TEXT NOT NULL DEFAULT '';
