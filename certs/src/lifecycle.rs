//! When a certificate has to be replaced, and what shorter lifetimes will mean.
//!
//! The browsers and public authorities agreed (ballot SC-081v3) to shorten the lifetime of
//! public server certificates in three steps. An organisation that renews by hand wants to
//! know how many certificates that concerns, which first, and how often.

use jiff::civil::Date;
use model::Timestamp;

use crate::{
    Certificate,
    rules::{About, DAY, Thresholds, Trust, start_of, validity},
};

/// One step towards shorter lifetimes, and how ready the certificates are for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Milestone {
    /// Public server certificates issued from [`Milestone::from`] on are valid for that many
    /// days at most.
    pub days: i64,
    /// The day (UTC) from which that holds.
    pub from: Date,
    /// Whether that day has come.
    pub in_force: bool,
    /// Of the certificates, those that live no longer already.
    pub ready: usize,
    /// Those that live longer, with the moment at which each should be renewed, earliest
    /// first: SHA-256, in lower-case hexadecimal. Whoever renews these has to do it in a new
    /// way, or more often, from the day on.
    pub longer: Vec<(String, Timestamp)>,
    /// Of those, the ones whose renewal falls on the day or after it: their next certificate
    /// is the first that the limit cuts short.
    pub cut_short: usize,
    /// How many renewals there are in a year of 365 days as the certificates are now.
    pub renewals_now: f64,
    /// How many there will be if none lives longer than the limit.
    pub renewals_then: f64,
}

/// The steps of ballot SC-081v3.
fn steps() -> impl Iterator<Item = (i64, Date)> {
    [(200, validity::SINCE_2026), (100, validity::SINCE_2027), (47, validity::SINCE_2029)]
        .into_iter()
        .filter_map(|(days, from)| Some((days, from?)))
}

/// When a certificate should be renewed: where so much of its lifetime is over that
/// `cert.expiring` begins to warn. `None` where its validity cannot be read.
#[must_use]
pub fn renewal_due(certificate: &Certificate, thresholds: &Thresholds) -> Option<Timestamp> {
    let left = thresholds.expiry_warning.of(certificate.lifetime()?);
    Some(certificate.not_after?.plus_seconds(left.max(0).checked_neg()?))
}

/// How ready these certificates are for the lifetimes to come. Only those count that a public
/// authority issued to a server and that have not expired; the lifetimes of a private
/// authority are its own affair.
pub fn readiness<'a>(
    certificates: impl IntoIterator<Item = (&'a Certificate, Trust)>,
    thresholds: &Thresholds,
    as_of: Timestamp,
) -> Vec<Milestone> {
    let concerned: Vec<(&Certificate, i64, Timestamp)> = certificates
        .into_iter()
        .filter(|(certificate, trust)| {
            *trust == Trust::Public && About::Server.includes(certificate)
        })
        .filter(|(certificate, _)| certificate.not_after.is_some_and(|last| as_of <= last))
        .filter_map(|(certificate, _)| {
            let lifetime = certificate.lifetime().filter(|lifetime| *lifetime > 0)?;
            Some((certificate, lifetime, renewal_due(certificate, thresholds)?))
        })
        .collect();
    let milestone = |(days, from): (i64, Date)| {
        // Both ends of a validity are valid: a certificate of 200 days is a second shorter
        // than that from end to end, or as long if the authority was careless.
        let most = days.saturating_mul(DAY);
        let start = start_of(from);
        let mut longer: Vec<(String, Timestamp)> = concerned
            .iter()
            .filter(|(_, lifetime, _)| *lifetime > most)
            .map(|(certificate, _, due)| (certificate.sha256.clone(), *due))
            .collect();
        longer.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        let yearly = |limit: i64| {
            let of = |lifetime: i64| renewals_in_a_year(lifetime.min(limit), thresholds);
            // The sum of nothing would be -0.
            concerned.iter().fold(0.0, |sum, (_, lifetime, _)| sum + of(*lifetime))
        };
        Milestone {
            days,
            from,
            in_force: start.is_some_and(|start| as_of >= start),
            ready: concerned.len().saturating_sub(longer.len()),
            cut_short: longer
                .iter()
                .filter(|(_, due)| start.is_some_and(|start| *due >= start))
                .count(),
            longer,
            renewals_now: yearly(i64::MAX),
            renewals_then: yearly(most),
        }
    };
    steps().map(milestone).collect()
}

/// A certificate is replaced when it is due, not when it ends.
#[expect(clippy::cast_precision_loss, reason = "lifetimes are far below 2^52 seconds")]
fn renewals_in_a_year(lifetime: i64, thresholds: &Thresholds) -> f64 {
    let used = lifetime.saturating_sub(thresholds.expiry_warning.of(lifetime)).max(1);
    (365 * DAY) as f64 / used as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Remaining, Verdict, rules};

    fn certificate(first: &str, days: i64) -> Certificate {
        let first: Timestamp = first.parse().unwrap();
        Certificate {
            sha256: format!("{first} {days}"),
            subject: "CN=a".into(),
            issuer: "CN=b".into(),
            spki_sha256: Some(String::new()),
            not_before: Some(first),
            not_after: Some(first.plus_seconds(days * DAY - 1)),
            ..Certificate::of(&[])
        }
    }

    fn now() -> Timestamp {
        "2026-06-01".parse().unwrap()
    }

    #[test]
    fn a_certificate_is_due_when_the_rule_begins_to_warn() {
        let thresholds = Thresholds::default();
        let rule = rules::rule("cert.expiring").unwrap();
        for days in [6, 47, 100, 200, 398, 3650] {
            let certificate = certificate("2026-01-01", days);
            let due = renewal_due(&certificate, &thresholds).unwrap();
            let fails = |as_of| {
                let context = Context { as_of, thresholds, trust: Trust::Unknown };
                matches!(rule.judge(&certificate, &context), Verdict::Fail { .. })
            };
            assert!(!fails(due) && fails(due.plus_seconds(1)), "{days} days");
        }
        // Two thirds of a short life; never more than the cap before the end of a long one.
        let due = |days| {
            let due = renewal_due(&certificate("2026-01-01", days), &thresholds).unwrap();
            due.seconds_since("2026-01-01".parse().unwrap()) / DAY
        };
        assert_eq!((due(6), due(45), due(90), due(398)), (4, 30, 60, 367));
        assert_eq!(renewal_due(&Certificate::of(b"noise"), &thresholds), None);
    }

    #[test]
    fn the_share_is_the_organisations_and_the_cap_stays() {
        let due = |parts, of| {
            let expiry_warning = Remaining { parts, of, cap: 30 * DAY };
            let thresholds = Thresholds { expiry_warning, ..Thresholds::default() };
            let due = renewal_due(&certificate("2026-01-01", 100), &thresholds).unwrap();
            due.seconds_since("2026-01-01".parse().unwrap()) / DAY
        };
        assert_eq!((due(1, 10), due(1, 4), due(1, 2)), (90, 75, 69));
        assert_eq!(Remaining { parts: 2, of: 0, cap: 9 }.of(3), 6);
    }

    #[test]
    fn readiness_counts_who_lives_longer_and_who_is_cut_short_first() {
        let all = [
            certificate("2026-05-01", 45),
            certificate("2026-05-01", 90),
            certificate("2026-05-01", 200),
            certificate("2026-02-01", 398),
            // No concern of the ballot: expired, private, an authority.
            certificate("2026-01-01", 90),
            certificate("2026-02-01", 800),
            Certificate { is_ca: true, ..certificate("2026-02-01", 800) },
        ];
        let trust = |n| if n == 5 { Trust::Private } else { Trust::Public };
        let certificates = all.iter().enumerate().map(|(n, c)| (c, trust(n)));
        let report = readiness(certificates, &Thresholds::default(), now());
        let shown: Vec<_> = report
            .iter()
            .map(|m| (m.days, m.from.to_string(), m.in_force, m.ready, m.longer.len(), m.cut_short))
            .collect();
        assert_eq!(
            shown,
            [
                (200, "2026-03-15".to_owned(), true, 3, 1, 1),
                (100, "2027-03-15".to_owned(), false, 2, 2, 0),
                (47, "2029-03-15".to_owned(), false, 1, 3, 0),
            ]
        );
        // The one of 90 days is due after 60, the one of 200 after 170, and so on.
        let order: Vec<_> = report[2].longer.iter().map(|(hash, _)| hash.as_str()).collect();
        assert_eq!(order, [&all[1].sha256, &all[2].sha256, &all[3].sha256]);
        let yearly = |days: f64| 365.0 / days;
        let expected = yearly(30.0) + yearly(60.0) + yearly(170.0) + yearly(368.0);
        assert!((report[0].renewals_now - expected).abs() < 0.01);
        let expected = yearly(30.0) + 3.0 * yearly(47.0 * 2.0 / 3.0);
        assert!((report[2].renewals_then - expected).abs() < 0.01);
    }

    #[test]
    fn without_certificates_everybody_is_ready() {
        for milestone in readiness([], &Thresholds::default(), now()) {
            assert_eq!((milestone.ready, milestone.longer.len()), (0, 0));
            assert_eq!(milestone.renewals_then.to_string(), "0");
        }
    }
}
