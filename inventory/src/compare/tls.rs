//! What TLS servers accept against what nobody should accept any more.
//!
//! A server is one subject by its endpoint: its certificate may be in order while it speaks
//! SSL 3.0. What was seen accepted counts until the server was asked for it again and refused,
//! or its port is closed: an ordinary sweep does not ask for everything.

use std::collections::BTreeSet;

use certs::hello::{SSL20, SSL30, TLS10, TLS11, suite_name};
use jiff::{
    civil::{Date, date},
    tz::Offset,
};
use model::{Endpoint, PortState, Severity, Timestamp, TlsServer, TlsVersion};

use super::{Detections, Input, Rule, name_of};
use crate::asset::{Asset, Detection, ServiceState};

/// How many cipher suites a detection names.
const NAMED_SUITES: usize = 5;

/// A rule about what a TLS server accepts.
pub(super) struct TlsRule {
    pub(super) rule: Rule,
    /// The day (UTC) from which its source forbids it.
    effective: Date,
    /// What breaks it, if anything does.
    check: fn(&TlsServer) -> Option<String>,
}

pub(super) const RULES: [TlsRule; 12] = [
    TlsRule {
        rule: Rule {
            id: "tls.ssl2",
            title: "Server speaks SSL 2.0",
            citation: "RFC 6176; CIS Controls v8, 3.10",
            severity: Severity::Critical,
        },
        effective: date(2011, 3, 1),
        check: |server| versions(server, &[SSL20]),
    },
    TlsRule {
        rule: Rule {
            id: "tls.ssl3",
            title: "Server speaks SSL 3.0",
            citation: "RFC 7568; CIS Controls v8, 3.10",
            severity: Severity::Critical,
        },
        effective: date(2015, 6, 1),
        check: |server| versions(server, &[SSL30]),
    },
    TlsRule {
        rule: Rule {
            id: "tls.old-version",
            title: "Server speaks TLS 1.0 or 1.1, or DTLS 1.0",
            citation: "RFC 8996; CIS Controls v8, 3.10",
            severity: Severity::Warning,
        },
        effective: date(2021, 3, 1),
        check: |server| versions(server, &[TLS10, TLS11, DTLS10]),
    },
    TlsRule {
        rule: Rule {
            id: "tls.null",
            title: "Server accepts cipher suites without encryption",
            citation: "RFC 9325, section 4.1; CIS Controls v8, 3.10",
            severity: Severity::Critical,
        },
        effective: date(2015, 5, 1),
        check: |server| suites(server, |suite| suite.contains("_WITH_NULL_")),
    },
    TlsRule {
        rule: Rule {
            id: "tls.anonymous",
            title: "Server accepts cipher suites without a certificate",
            citation: "RFC 5246, appendix A.5; CIS Controls v8, 3.10",
            severity: Severity::Critical,
        },
        effective: date(2008, 8, 1),
        check: |server| suites(server, |suite| suite.contains("_anon_")),
    },
    TlsRule {
        rule: Rule {
            id: "tls.export",
            title: "Server accepts cipher suites of export strength",
            citation: "RFC 9325, section 4.1; CVE-2015-0204; CIS Controls v8, 3.10",
            severity: Severity::Critical,
        },
        effective: date(2015, 5, 1),
        check: |server| suites(server, |suite| suite.contains("_EXPORT")),
    },
    TlsRule {
        rule: Rule {
            id: "tls.des",
            title: "Server accepts DES",
            citation: "RFC 9325, section 4.1; RFC 5469; CIS Controls v8, 3.10",
            severity: Severity::Critical,
        },
        effective: date(2009, 2, 1),
        check: |server| suites(server, |suite| suite.contains("_WITH_DES_")),
    },
    TlsRule {
        rule: Rule {
            id: "tls.rc4",
            title: "Server accepts RC4",
            citation: "RFC 7465; CIS Controls v8, 3.10",
            severity: Severity::Warning,
        },
        effective: date(2015, 2, 1),
        check: |server| suites(server, |suite| suite.contains("_WITH_RC4_")),
    },
    TlsRule {
        rule: Rule {
            id: "tls.3des",
            title: "Server accepts 3DES",
            citation: "NIST SP 800-131A Rev. 2, section 2; CVE-2016-2183; CIS Controls v8, 3.10",
            severity: Severity::Warning,
        },
        effective: date(2024, 1, 1),
        check: |server| suites(server, |suite| suite.contains("_3DES_")),
    },
    TlsRule {
        rule: Rule {
            id: "tls.short-dh",
            title: "Server exchanges keys over a prime of less than 2,048 bits",
            citation: "RFC 9325, section 4.5; CVE-2015-4000; CIS Controls v8, 3.10",
            severity: Severity::Warning,
        },
        effective: date(2015, 5, 1),
        check: |server| {
            let bits = server.dh_bits.filter(|bits| *bits < 2048)?;
            Some(format!("its prime for Diffie-Hellman has {bits} bits"))
        },
    },
    TlsRule {
        rule: Rule {
            id: "tls.compression",
            title: "Server compresses inside TLS",
            citation: "RFC 9325, section 3.3; CVE-2012-4929; CIS Controls v8, 3.10",
            severity: Severity::Warning,
        },
        effective: date(2015, 5, 1),
        check: |server| {
            let method = server.compression.filter(|method| *method != 0)?;
            Some(match method {
                1 => "it chose to compress by DEFLATE".to_owned(),
                other => format!("it chose to compress by method {other}"),
            })
        },
    },
    TlsRule {
        rule: Rule {
            id: "tls.insecure-renegotiation",
            title: "Server cannot renegotiate securely",
            citation: "RFC 5746; CVE-2009-3555; CIS Controls v8, 3.10",
            severity: Severity::Warning,
        },
        effective: date(2010, 2, 1),
        check: |server| {
            (server.secure_renegotiation == Some(false))
                .then(|| "it does not say that it renegotiates securely".to_owned())
        },
    },
];

impl TlsRule {
    fn begins(&self) -> Option<Timestamp> {
        let start = Offset::UTC.to_timestamp(self.effective.at(0, 0, 0, 0)).ok()?;
        Some(Timestamp::from_seconds(start.as_second()))
    }
}

/// DTLS 1.0 (RFC 4347), which is TLS 1.1 over datagrams.
const DTLS10: TlsVersion = TlsVersion(0xfeff);

pub(super) fn compare(
    input: &Input<'_>,
    detections: &mut Detections,
    evaluated: &mut BTreeSet<&'static str>,
) {
    let in_force = RULES.iter().filter(|rule| rule.begins() <= Some(input.as_of));
    let in_force: Vec<&TlsRule> = in_force.collect();
    for asset in input.assets {
        for service in asset.services.iter().filter(|service| serves(asset, service)) {
            let Some(known) = &service.tls_server else { continue };
            let ServiceState { address, transport, port, .. } = *service;
            let endpoint = Endpoint { address, transport, port };
            for TlsRule { rule, check, .. } in &in_force {
                let Some(detail) = check(&known.server) else { continue };
                detections.add(Detection {
                    rule: rule.id,
                    severity: rule.severity,
                    subject: format!("endpoint:{}/{endpoint}", asset.site.0),
                    asset: Some(asset.id),
                    title: format!("{}: {endpoint}", rule.title),
                    detail: format!("{endpoint} ({}): {detail}", name_of(asset)),
                });
            }
        }
    }
    evaluated.extend(RULES.iter().map(|rule| rule.rule.id));
}

/// Whether what is known of a service is true now. A port that is closed serves nothing, one
/// that stays silent may, and at an address that went to another asset it is not this one.
fn serves(asset: &Asset, service: &ServiceState) -> bool {
    service.state != PortState::Closed && asset.addresses().any(|held| held == service.address)
}

fn versions(server: &TlsServer, old: &[TlsVersion]) -> Option<String> {
    let accepted = old.iter().filter(|version| server.accepted.contains_key(version));
    let accepted: Vec<String> = accepted.map(ToString::to_string).collect();
    (!accepted.is_empty()).then(|| format!("it accepts {}", accepted.join(" and ")))
}

fn suites(server: &TlsServer, is_weak: fn(&str) -> bool) -> Option<String> {
    let all: BTreeSet<u16> = server.accepted.values().flatten().copied().collect();
    let weak: Vec<&str> =
        all.into_iter().filter_map(suite_name).filter(|name| is_weak(name)).collect();
    let named: Vec<String> =
        weak.iter().take(NAMED_SUITES).map(|name| format!("TLS_{name}")).collect();
    match weak.len().saturating_sub(named.len()) {
        _ if weak.is_empty() => None,
        0 => Some(format!("it accepts {}", named.join(", "))),
        more => Some(format!("it accepts {} and {more} more", named.join(", "))),
    }
}
