//! The parts of an asset as rows: what names one, how two become one, and its SQL.
//!
//! Each kind of part implements [`Part`]; reading, uniting and writing are then the same
//! code for all of them. Rows travel as JSON arrays, because one statement for thousands of
//! rows is an order of magnitude faster than as many statements. `jsonb_each` gives each row
//! in SQLite's binary form; `json_each` would write it as text again for every column that is
//! taken from it, which is almost half of the time.

use std::net::IpAddr;

use model::{Identifier, NameSource, PortState, Strength, Timestamp, Transport};
use serde::Serialize;

use super::scan::json;
use crate::asset::{Anomaly, Assigned, Deployment, Name, OperatingSystem, ServiceState, Software};

/// A part of an asset that is stored in rows of its own.
pub(super) trait Part: Clone + PartialEq {
    /// What makes two rows of an asset the same part.
    type Key<'a>: Ord
    where
        Self: 'a;

    /// Takes a JSON array of [`Self::columns`] with the asset's number.
    const INSERT: &'static str;
    /// Takes a JSON array of [`Self::columns`] with the row's number.
    const UPDATE: &'static str;
    /// Takes a JSON array of the rows' numbers.
    const DELETE: &'static str;

    fn key(&self) -> Self::Key<'_>;
    fn last_seen(&self) -> Timestamp;
    fn is_current(&self) -> bool {
        true
    }
    /// Takes over what a row of another asset of the same merge knows of the same part.
    fn unite(&mut self, older: &Self);
    /// What the statements take: the number, then the values.
    fn columns(&self, number: i64) -> impl Serialize;
}

impl Part for Assigned {
    type Key<'a> = &'a Identifier;

    const INSERT: &'static str = "INSERT INTO identifier
            (asset, kind, value, strength, first_seen, last_seen, current, because)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
            value ->> 6, value ->> 7 FROM jsonb_each($1)";
    const UPDATE: &'static str = "UPDATE identifier SET
            kind = v.value ->> 1, value = v.value ->> 2, strength = v.value ->> 3,
            first_seen = v.value ->> 4, last_seen = v.value ->> 5, current = v.value ->> 6,
            because = v.value ->> 7
        FROM jsonb_each($1) AS v WHERE identifier.id = v.value ->> 0";
    const DELETE: &'static str =
        "DELETE FROM identifier WHERE id IN (SELECT value FROM json_each($1))";

    fn key(&self) -> &Identifier {
        &self.identifier
    }
    fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
    fn is_current(&self) -> bool {
        self.current
    }
    fn unite(&mut self, older: &Self) {
        self.first_seen = self.first_seen.min(older.first_seen);
        self.current |= older.current;
        self.strength = self.strength.max(older.strength);
    }
    fn columns(&self, number: i64) -> impl Serialize {
        (
            number,
            self.identifier.kind(),
            self.identifier.value(),
            self.strength.as_str(),
            self.first_seen,
            self.last_seen,
            self.current,
            &self.because,
        )
    }
}

impl Part for Name {
    type Key<'a> = (&'a str, NameSource);

    const INSERT: &'static str = "INSERT INTO name (asset, name, source, last_seen)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each($1)";
    const UPDATE: &'static str = "UPDATE name SET
            name = v.value ->> 1, source = v.value ->> 2, last_seen = v.value ->> 3
        FROM jsonb_each($1) AS v WHERE name.id = v.value ->> 0";
    const DELETE: &'static str = "DELETE FROM name WHERE id IN (SELECT value FROM json_each($1))";

    fn key(&self) -> (&str, NameSource) {
        (&self.name, self.source)
    }
    fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
    fn unite(&mut self, _older: &Self) {}
    fn columns(&self, number: i64) -> impl Serialize {
        (number, &self.name, self.source, self.last_seen)
    }
}

impl Part for ServiceState {
    type Key<'a> = (IpAddr, Transport, u16);

    const INSERT: &'static str = "INSERT INTO service
            (asset, address, transport, port, state, protocol, product, version, cpe, tls,
             attributes, first_seen, last_seen)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
            value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11,
            value ->> 12 FROM jsonb_each($1)";
    const UPDATE: &'static str = "UPDATE service SET
            address = v.value ->> 1, transport = v.value ->> 2, port = v.value ->> 3,
            state = v.value ->> 4, protocol = v.value ->> 5, product = v.value ->> 6,
            version = v.value ->> 7, cpe = v.value ->> 8, tls = v.value ->> 9,
            attributes = v.value ->> 10, first_seen = v.value ->> 11, last_seen = v.value ->> 12
        FROM jsonb_each($1) AS v WHERE service.id = v.value ->> 0";
    const DELETE: &'static str =
        "DELETE FROM service WHERE id IN (SELECT value FROM json_each($1))";

    fn key(&self) -> (IpAddr, Transport, u16) {
        (self.address, self.transport, self.port)
    }
    fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
    fn is_current(&self) -> bool {
        self.state == PortState::Open
    }
    fn unite(&mut self, older: &Self) {
        self.first_seen = self.first_seen.min(older.first_seen);
    }
    fn columns(&self, number: i64) -> impl Serialize {
        (
            number,
            self.address,
            self.transport,
            self.port,
            self.state,
            &self.protocol,
            &self.product,
            &self.version,
            &self.cpe,
            self.tls,
            json(&self.attributes),
            self.first_seen,
            self.last_seen,
        )
    }
}

impl Part for Software {
    type Key<'a> = (&'a str, Option<&'a str>, &'a str);

    const INSERT: &'static str = "INSERT INTO software
            (asset, product, version, cpe, source, first_seen, last_seen, current)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
            value ->> 6, value ->> 7 FROM jsonb_each($1)";
    const UPDATE: &'static str = "UPDATE software SET
            product = v.value ->> 1, version = v.value ->> 2, cpe = v.value ->> 3,
            source = v.value ->> 4, first_seen = v.value ->> 5, last_seen = v.value ->> 6,
            current = v.value ->> 7
        FROM jsonb_each($1) AS v WHERE software.id = v.value ->> 0";
    const DELETE: &'static str =
        "DELETE FROM software WHERE id IN (SELECT value FROM json_each($1))";

    fn key(&self) -> Self::Key<'_> {
        (&self.product, self.version.as_deref(), &self.source)
    }
    fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
    fn is_current(&self) -> bool {
        self.current
    }
    fn unite(&mut self, older: &Self) {
        self.first_seen = self.first_seen.min(older.first_seen);
        self.current |= older.current;
    }
    fn columns(&self, number: i64) -> impl Serialize {
        (
            number,
            &self.product,
            &self.version,
            &self.cpe,
            &self.source,
            self.first_seen,
            self.last_seen,
            self.current,
        )
    }
}

impl Part for OperatingSystem {
    // An asset runs one.
    type Key<'a> = ();

    const INSERT: &'static str = "INSERT INTO os (asset, name, version, cpe, last_seen)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
        FROM jsonb_each($1)";
    const UPDATE: &'static str = "UPDATE os SET
            name = v.value ->> 1, version = v.value ->> 2, cpe = v.value ->> 3,
            last_seen = v.value ->> 4
        FROM jsonb_each($1) AS v WHERE os.asset = v.value ->> 0";
    const DELETE: &'static str = "DELETE FROM os WHERE asset IN (SELECT value FROM json_each($1))";

    fn key(&self) {}
    fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
    fn unite(&mut self, _older: &Self) {}
    fn columns(&self, number: i64) -> impl Serialize {
        (number, &self.name, &self.version, &self.cpe, self.last_seen)
    }
}

impl Part for Deployment {
    type Key<'a> = (
        IpAddr,
        Transport,
        u16,
        Option<&'a str>,
        Option<&'a str>,
        &'a str,
        model::TlsVersion,
        &'a [String],
    );

    const INSERT: &'static str = "INSERT INTO deployment
            (asset, sha256, chain, address, port, transport, server_name, protocol_version,
             starttls, first_seen, last_seen, current)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
            value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11
        FROM jsonb_each($1)";
    const UPDATE: &'static str = "UPDATE deployment SET
            sha256 = v.value ->> 1, chain = v.value ->> 2, address = v.value ->> 3,
            port = v.value ->> 4, transport = v.value ->> 5, server_name = v.value ->> 6,
            protocol_version = v.value ->> 7, starttls = v.value ->> 8,
            first_seen = v.value ->> 9, last_seen = v.value ->> 10, current = v.value ->> 11
        FROM jsonb_each($1) AS v WHERE deployment.id = v.value ->> 0";
    const DELETE: &'static str =
        "DELETE FROM deployment WHERE id IN (SELECT value FROM json_each($1))";

    fn key(&self) -> Self::Key<'_> {
        (
            self.address,
            self.transport,
            self.port,
            self.server_name.as_deref(),
            self.starttls.as_deref(),
            &self.sha256,
            self.protocol_version,
            &self.chain,
        )
    }
    fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
    fn is_current(&self) -> bool {
        self.current
    }
    fn unite(&mut self, older: &Self) {
        self.first_seen = self.first_seen.min(older.first_seen);
        self.current |= older.current;
    }
    fn columns(&self, number: i64) -> impl Serialize {
        (
            number,
            &self.sha256,
            json(&self.chain),
            self.address,
            self.port,
            self.transport,
            &self.server_name,
            self.protocol_version,
            &self.starttls,
            self.first_seen,
            self.last_seen,
            self.current,
        )
    }
}

impl Part for Anomaly {
    type Key<'a> = (&'a str, &'a str, &'a str);

    const INSERT: &'static str =
        "INSERT INTO anomaly (asset, subject, protocol, problem, last_seen)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
        FROM jsonb_each($1)";
    const UPDATE: &'static str = "UPDATE anomaly SET
            subject = v.value ->> 1, protocol = v.value ->> 2, problem = v.value ->> 3,
            last_seen = v.value ->> 4
        FROM jsonb_each($1) AS v WHERE anomaly.id = v.value ->> 0";
    const DELETE: &'static str =
        "DELETE FROM anomaly WHERE id IN (SELECT value FROM json_each($1))";

    fn key(&self) -> (&str, &str, &str) {
        (&self.subject, &self.protocol, &self.problem)
    }
    fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
    fn unite(&mut self, _older: &Self) {}
    fn columns(&self, number: i64) -> impl Serialize {
        (number, &self.subject, &self.protocol, &self.problem, self.last_seen)
    }
}

/// The strength of that name.
pub(super) fn strength(name: &str) -> Option<Strength> {
    [Strength::Weak, Strength::Moderate, Strength::Strong]
        .into_iter()
        .find(|strength| strength.as_str() == name)
}
