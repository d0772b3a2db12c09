-- What was fetched of what certificates name, where the configuration allows it: revocation
-- lists, and what OCSP responders say. Nothing but another download is lost with a row.
CREATE TABLE download (
    -- From where, as the certificates have it.
    url TEXT NOT NULL,
    -- SHA-256 of the certificate that a response is about; '' for a list.
    certificate TEXT NOT NULL,
    -- What came last that could be relied on; NULL where nothing ever did.
    body BLOB,
    asked_at INTEGER NOT NULL,
    -- Not to be asked for before.
    next_at INTEGER NOT NULL,
    UNIQUE (url, certificate)
) STRICT;
