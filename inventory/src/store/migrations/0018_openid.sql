-- People whom a provider of OpenID Connect vouches for. Released migrations are never edited, only
-- followed by another.

-- Who may not sign in for now, whatever they bring.
ALTER TABLE user ADD COLUMN disabled_at INTEGER;

-- Who somebody is to a provider. A row stays when its user is removed, and a name is never given to
-- another, so that what the audit and decisions say of it is about one person for good.
CREATE TABLE user_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,               -- what the issuer calls the person, for good
    user INTEGER UNIQUE REFERENCES user (id),  -- NULL where it was removed
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,  -- what the user is called here
    called TEXT NOT NULL,                -- what the issuer says the person is called: hostile text
    first_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER user_identity_stays BEFORE DELETE ON user
BEGIN
    UPDATE user_identity SET user = NULL WHERE user = OLD.id;
END;
