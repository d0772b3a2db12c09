//! What TLS servers accept, put together from all times that they were asked.

use model::{Fact, Observation, TlsServer};

use super::{At, endpoint_of, place};
use crate::asset::{Asset, KnownTls};

/// Notes what each endpoint accepts.
pub(super) fn tls_servers(asset: &mut Asset, seen: &[&Observation], at: At<'_>) {
    let mut told: Vec<_> = seen
        .iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Tls(server) => {
                Some((endpoint_of(&observation.subject)?, at(observation), server))
            }
            _ => None,
        })
        .collect();
    // Of two at one time the one that was asked more comes last: it replaces the other.
    told.sort_by_key(|(endpoint, when, server)| (*endpoint, *when, server.asked));
    for (endpoint, when, server) in told {
        let Ok(i) = asset.services.binary_search_by_key(&endpoint, place) else { continue };
        let Some(service) = asset.services.get_mut(i) else { continue };
        match &mut service.tls_server {
            Some(known) if known.last_seen > when => {}
            Some(known) => {
                known.last_seen = when;
                learn(&mut known.server, server);
            }
            None => {
                service.tls_server = Some(KnownTls { server: server.clone(), last_seen: when });
            }
        }
    }
}

/// Who was asked as much as before, or more, told everything again. Who was asked less, or not
/// to the end, told a part: what was not asked is not gone.
fn learn(known: &mut TlsServer, told: &TlsServer) {
    if told.asked >= known.asked && !told.cut {
        known.clone_from(told);
        return;
    }
    known.asked = known.asked.max(told.asked);
    known.cut |= told.cut;
    let TlsServer {
        asked: _,
        cut: _,
        starttls,
        accepted,
        refused,
        groups,
        dh_bits,
        protocols,
        client_authorities,
        compression,
        secure_renegotiation,
        extended_master_secret,
        hybrid,
    } = told;
    known.starttls.clone_from(starttls);
    known.accepted.retain(|version, _| !refused.contains(version));
    for (version, suites) in accepted {
        known.accepted.entry(*version).or_default().extend(suites);
    }
    known.refused.extend(refused);
    known.refused.retain(|version| !accepted.contains_key(version));
    known.groups.extend(groups);
    // It may have been asked for another suite, with a longer prime.
    known.dh_bits = known.dh_bits.into_iter().chain(*dh_bits).min();
    known.protocols.extend(protocols.iter().cloned());
    known.client_authorities.clone_from(client_authorities);
    known.compression = compression.or(known.compression);
    known.secure_renegotiation = secure_renegotiation.or(known.secure_renegotiation);
    known.extended_master_secret = extended_master_secret.or(known.extended_master_secret);
    known.hybrid = hybrid.or(known.hybrid);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use model::{TlsExtent, TlsVersion};

    use super::*;

    fn server(asked: TlsExtent, accepted: &[(u16, &[u16])], refused: &[u16]) -> TlsServer {
        let accepted = accepted.iter().map(|(version, suites)| {
            (TlsVersion(*version), suites.iter().copied().collect::<BTreeSet<u16>>())
        });
        TlsServer {
            asked,
            cut: false,
            starttls: None,
            accepted: accepted.collect::<BTreeMap<_, _>>(),
            refused: refused.iter().copied().map(TlsVersion).collect(),
            groups: BTreeSet::new(),
            dh_bits: None,
            protocols: BTreeSet::new(),
            client_authorities: None,
            compression: None,
            secure_renegotiation: None,
            extended_master_secret: None,
            hybrid: None,
        }
    }

    #[track_caller]
    fn check(known: &TlsServer, told: &TlsServer, expected: &TlsServer) {
        let mut learned = known.clone();
        learn(&mut learned, told);
        assert_eq!(learned, *expected);
        // The same again changes nothing.
        learn(&mut learned, told);
        assert_eq!(learned, *expected);
    }

    #[test]
    fn who_was_asked_less_told_a_part() {
        use TlsExtent::{Certificates, Gentle, Thorough};
        let known = server(Thorough, &[(0x0301, &[5]), (0x0303, &[1, 2])], &[0x0300]);
        // Not asked for again, so still there.
        let told = server(Certificates, &[(0x0303, &[3])], &[]);
        let expected = server(Thorough, &[(0x0301, &[5]), (0x0303, &[1, 2, 3])], &[0x0300]);
        check(&known, &told, &expected);
        // Asked for and refused, with its suites.
        let told = server(Gentle, &[(0x0304, &[4])], &[0x0301, 0x0303]);
        let expected = server(Thorough, &[(0x0304, &[4])], &[0x0300, 0x0301, 0x0303]);
        check(&known, &told, &expected);
        let told = server(Certificates, &[(0x0300, &[5])], &[]);
        let expected = server(Thorough, &[(0x0300, &[5]), (0x0301, &[5]), (0x0303, &[1, 2])], &[]);
        check(&known, &told, &expected);
    }

    #[test]
    fn who_was_asked_as_much_told_all_again() {
        let known = server(TlsExtent::Certificates, &[(0x0301, &[5])], &[]);
        for asked in [TlsExtent::Certificates, TlsExtent::Thorough] {
            let told = server(asked, &[(0x0303, &[1])], &[]);
            check(&known, &told, &told);
        }
    }

    #[test]
    fn a_longer_prime_for_less_resolves_nothing() {
        let prime = |asked, bits| TlsServer { dh_bits: Some(bits), ..server(asked, &[], &[]) };
        let known = prime(TlsExtent::Thorough, 1024);
        check(&known, &prime(TlsExtent::Gentle, 4096), &known);
        let all = prime(TlsExtent::Thorough, 4096);
        check(&known, &all, &all);
    }
}
