-- What TLS servers accept. Released migrations are never edited, only followed by another.

ALTER TABLE service ADD COLUMN tls_server TEXT;         -- JSON of what it accepts
ALTER TABLE service ADD COLUMN tls_server_seen INTEGER; -- when it last told any of it

-- The responses that servers staple to their certificates: few among many observations.
CREATE INDEX observation_ocsp ON observation (vantage)
    WHERE substr(fact, 1, 17) = '{"ocsp_response":';
