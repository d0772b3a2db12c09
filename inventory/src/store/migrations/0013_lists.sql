-- What lists show, ask and sort by, written by each review in the transaction of its findings: only
-- what changed since the review before, by `digest`. Everything here can be made anew from the
-- other tables. Texts are folded (lower case, no control characters); several are one text, each
-- between line ends. Addresses are 4 or 6 and then their bytes, so that they sort as people do.
-- No index is on a column that changes with every sighting.

CREATE TABLE listed_asset (
    id INTEGER PRIMARY KEY,              -- the root of a merge
    shape TEXT NOT NULL,                 -- which rows below belong to it
    digest TEXT NOT NULL,                -- and what stands in all of them
    site TEXT NOT NULL,
    site_shown TEXT NOT NULL,
    address BLOB NOT NULL,               -- the first; empty where it has none
    names TEXT NOT NULL,
    macs TEXT NOT NULL,
    vendor TEXT NOT NULL,
    class TEXT NOT NULL,
    os TEXT NOT NULL,
    os_shown TEXT NOT NULL,
    registration TEXT NOT NULL,
    reason TEXT NOT NULL,                -- why it has that registration, as shown
    ports TEXT NOT NULL,
    protocols TEXT NOT NULL,
    products TEXT NOT NULL,
    versions TEXT NOT NULL,
    cpes TEXT NOT NULL,
    certificates TEXT NOT NULL,
    uncertain INTEGER NOT NULL,
    service_count INTEGER NOT NULL,
    software_count INTEGER NOT NULL,
    certificate_count INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    critical INTEGER NOT NULL,           -- open findings
    warning INTEGER NOT NULL,
    info INTEGER NOT NULL
) STRICT;

CREATE TABLE listed_address (
    asset INTEGER NOT NULL,
    address BLOB NOT NULL,
    text TEXT NOT NULL,
    current INTEGER NOT NULL,            -- 0 where only a service is remembered there
    PRIMARY KEY (asset, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX listed_address_address ON listed_address (address, current);

-- What endpoints are. Of a million there are a few thousand kinds, so that a question about ports
-- and products is asked of these.
CREATE TABLE service_kind (
    id INTEGER PRIMARY KEY,
    shown TEXT NOT NULL UNIQUE,          -- JSON array of all that makes it the kind, as shown
    transport TEXT NOT NULL,
    port INTEGER NOT NULL,
    state TEXT NOT NULL,
    protocol TEXT NOT NULL,
    product TEXT NOT NULL,
    version TEXT NOT NULL,
    cpe TEXT NOT NULL,
    tls INTEGER NOT NULL
) STRICT;
CREATE INDEX service_kind_port ON service_kind (port);
CREATE INDEX service_kind_state ON service_kind (state);
CREATE INDEX service_kind_protocol ON service_kind (protocol);
CREATE INDEX service_kind_product ON service_kind (product);
CREATE INDEX service_kind_version ON service_kind (version);

CREATE TABLE listed_service (
    asset INTEGER NOT NULL,
    address BLOB NOT NULL,
    kind INTEGER NOT NULL REFERENCES service_kind (id),
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (asset, address, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX listed_service_kind ON listed_service (kind, asset, address);
CREATE INDEX listed_service_address ON listed_service (address, asset, kind);

CREATE TABLE product (
    id INTEGER PRIMARY KEY,
    shown TEXT NOT NULL UNIQUE,          -- JSON array of product, version and CPE, as shown
    product TEXT NOT NULL,
    version TEXT NOT NULL,
    cpe TEXT NOT NULL
) STRICT;
CREATE INDEX product_product ON product (product);
CREATE INDEX product_version ON product (version);

CREATE TABLE listed_software (
    asset INTEGER NOT NULL,
    kind INTEGER NOT NULL REFERENCES product (id),
    source_shown TEXT NOT NULL,
    source TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (asset, kind, source_shown)
) STRICT, WITHOUT ROWID;
CREATE INDEX listed_software_kind ON listed_software (kind, asset, source_shown);

CREATE TABLE listed_certificate (
    sha256 TEXT PRIMARY KEY NOT NULL,
    digest TEXT NOT NULL,
    subject TEXT NOT NULL,
    issuer TEXT NOT NULL,
    names TEXT NOT NULL,
    key TEXT NOT NULL,
    trust TEXT NOT NULL,
    problems TEXT NOT NULL,              -- why clients refuse it, as shown
    not_after INTEGER NOT NULL,          -- the greatest number where not known
    renew_by INTEGER NOT NULL,
    assets TEXT NOT NULL,
    sites TEXT NOT NULL,
    addresses TEXT NOT NULL,
    owners TEXT NOT NULL,
    owners_shown TEXT NOT NULL,
    places INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE listed_finding (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    rank INTEGER NOT NULL,               -- 0 info, 1 warning, 2 critical
    state TEXT NOT NULL,
    subject TEXT NOT NULL,
    title TEXT NOT NULL,
    owners TEXT NOT NULL,
    owners_shown TEXT NOT NULL,
    asset INTEGER NOT NULL,              -- 0 where it is about none
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT;

-- What there was, day by day: of today what the last review found.
CREATE TABLE daily (
    day TEXT NOT NULL,                   -- 2027-03-31, of the organisation's time
    site TEXT NOT NULL,
    assets INTEGER NOT NULL,
    registered INTEGER NOT NULL,
    unregistered INTEGER NOT NULL,       -- what is not registered, for whatever reason
    services INTEGER NOT NULL,
    software INTEGER NOT NULL,
    certificates INTEGER NOT NULL,
    critical INTEGER NOT NULL,
    warning INTEGER NOT NULL,
    info INTEGER NOT NULL,
    PRIMARY KEY (day, site)
) STRICT, WITHOUT ROWID;
