//! The parts of an asset as rows: what names one, how two become one, and its SQL.
//!
//! Each kind of part implements [`Part`]; reading, uniting and writing are then the same
//! code for all of them. New rows are inserted with their values bound. Changed ones travel as
//! JSON arrays, one statement for thousands of them. `jsonb_each` gives each in SQLite's binary
//! form; `json_each` would write it as text again for every column that is taken from it.

use std::net::IpAddr;

use model::{Identifier, NameSource, PortState, Strength, Subject, Timestamp, Transport};

use super::{insert::Value, scan::json};
use crate::{
    asset::{Anomaly, Assigned, Deployment, Name, OperatingSystem, ServiceState, Software},
    heard::{Heard, What},
};

/// A part of an asset that is stored in rows of its own.
pub(super) trait Part: Clone + PartialEq {
    /// What makes two rows of an asset the same part.
    type Key<'a>: Ord
    where
        Self: 'a;

    /// Its table, and the columns that [`Self::columns`] with the asset's number are.
    const INTO: &'static str;
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
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>>;
}

impl Part for Assigned {
    type Key<'a> = &'a Identifier;

    const INTO: &'static str =
        "identifier (asset, kind, value, strength, first_seen, last_seen, current, because)";
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
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>> {
        [
            number.into(),
            self.identifier.kind().into(),
            self.identifier.value().into(),
            self.strength.as_str().into(),
            self.first_seen.into(),
            self.last_seen.into(),
            self.current.into(),
            (&self.because).into(),
        ]
    }
}

impl Part for Name {
    type Key<'a> = (&'a str, NameSource);

    const INTO: &'static str = "name (asset, name, source, last_seen)";
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
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>> {
        [number.into(), (&self.name).into(), self.source.into(), self.last_seen.into()]
    }
}

impl Part for ServiceState {
    type Key<'a> = (IpAddr, Transport, u16);

    const INTO: &'static str = "service (asset, address, transport, port, state, protocol, product, version, cpe, tls, attributes, first_seen, last_seen, tls_server, tls_server_seen)";
    const UPDATE: &'static str = "UPDATE service SET
            address = v.value ->> 1, transport = v.value ->> 2, port = v.value ->> 3,
            state = v.value ->> 4, protocol = v.value ->> 5, product = v.value ->> 6,
            version = v.value ->> 7, cpe = v.value ->> 8, tls = v.value ->> 9,
            attributes = v.value ->> 10, first_seen = v.value ->> 11, last_seen = v.value ->> 12,
            tls_server = v.value ->> 13, tls_server_seen = v.value ->> 14
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
        if self.tls_server.is_none() {
            self.tls_server.clone_from(&older.tls_server);
        }
    }
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>> {
        let tls = self.tls_server.as_ref();
        [
            number.into(),
            self.address.into(),
            self.transport.into(),
            self.port.into(),
            self.state.into(),
            (&self.protocol).into(),
            (&self.product).into(),
            (&self.version).into(),
            (&self.cpe).into(),
            self.tls.into(),
            json(&self.attributes).into(),
            self.first_seen.into(),
            self.last_seen.into(),
            tls.map_or(Value::Null, |tls| json(&tls.server).into()),
            tls.map_or(Value::Null, |tls| tls.last_seen.into()),
        ]
    }
}

impl Part for Software {
    type Key<'a> = (&'a str, Option<&'a str>, &'a str);

    const INTO: &'static str =
        "software (asset, product, version, cpe, source, first_seen, last_seen, current)";
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
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>> {
        [
            number.into(),
            (&self.product).into(),
            (&self.version).into(),
            (&self.cpe).into(),
            (&self.source).into(),
            self.first_seen.into(),
            self.last_seen.into(),
            self.current.into(),
        ]
    }
}

impl Part for OperatingSystem {
    // An asset runs one.
    type Key<'a> = ();

    const INTO: &'static str = "os (asset, name, version, cpe, last_seen)";
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
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>> {
        [
            number.into(),
            (&self.name).into(),
            (&self.version).into(),
            (&self.cpe).into(),
            self.last_seen.into(),
        ]
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

    const INTO: &'static str = "deployment (asset, sha256, chain, address, port, transport, server_name, protocol_version, starttls, first_seen, last_seen, current)";
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
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>> {
        [
            number.into(),
            (&self.sha256).into(),
            json(&self.chain).into(),
            self.address.into(),
            self.port.into(),
            self.transport.into(),
            (&self.server_name).into(),
            self.protocol_version.into(),
            (&self.starttls).into(),
            self.first_seen.into(),
            self.last_seen.into(),
            self.current.into(),
        ]
    }
}

impl Part for Anomaly {
    type Key<'a> = (&'a str, &'a str, &'a str);

    const INTO: &'static str = "anomaly (asset, subject, protocol, problem, last_seen)";
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
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>> {
        [
            number.into(),
            (&self.subject).into(),
            (&self.protocol).into(),
            (&self.problem).into(),
            self.last_seen.into(),
        ]
    }
}

impl Part for Heard {
    type Key<'a> = (Subject, &'a What);

    const INTO: &'static str = "heard (asset, subject, fact, first_seen, last_seen)";
    const UPDATE: &'static str = "UPDATE heard SET
            subject = v.value ->> 1, fact = v.value ->> 2, first_seen = v.value ->> 3,
            last_seen = v.value ->> 4
        FROM jsonb_each($1) AS v WHERE heard.id = v.value ->> 0";
    const DELETE: &'static str = "DELETE FROM heard WHERE id IN (SELECT value FROM json_each($1))";

    fn key(&self) -> (Subject, &What) {
        (self.subject, &self.what)
    }
    fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
    fn unite(&mut self, older: &Self) {
        self.first_seen = self.first_seen.min(older.first_seen);
    }
    fn columns(&self, number: i64) -> impl IntoIterator<Item = Value<'_>> {
        [
            number.into(),
            json(&self.subject).into(),
            json(&self.what.fact()).into(),
            self.first_seen.into(),
            self.last_seen.into(),
        ]
    }
}

/// The strength of that name.
pub(super) fn strength(name: &str) -> Option<Strength> {
    [Strength::Weak, Strength::Moderate, Strength::Strong]
        .into_iter()
        .find(|strength| strength.as_str() == name)
}
