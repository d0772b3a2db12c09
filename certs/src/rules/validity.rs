//! When a certificate is valid, for how long, and how it writes that.

use jiff::civil::Date;
use model::{Severity, Timestamp};

use super::{About, Applies, Context, DAY, RFC_2459, Rule, Verdict, children, day, fail_if};
use super::{note_all, span, start_of};
use crate::{Certificate, der, moment};

pub(super) const EXPIRED: Rule = Rule {
    id: "cert.expired",
    title: "Certificate has expired",
    citation: "RFC 5280, section 4.1.2.5",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Critical,
    check: |certificate, context| {
        let Some(last) = certificate.not_after else { return Verdict::NotApplicable };
        // The last moment is still valid: both ends are inclusive.
        fail_if(context.as_of > last, Severity::Critical, || {
            format!("it expired at {last}, {} ago", span(context.as_of.seconds_since(last)))
        })
    },
};

pub(super) const NOT_YET_VALID: Rule = Rule {
    id: "cert.not-yet-valid",
    title: "Certificate is not valid yet",
    citation: "RFC 5280, section 4.1.2.5",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Critical,
    check: |certificate, context| {
        let Some(first) = certificate.not_before else { return Verdict::NotApplicable };
        fail_if(context.as_of < first, Severity::Critical, || {
            format!("it is valid from {first}, in {}", span(first.seconds_since(context.as_of)))
        })
    },
};

pub(super) const EXPIRING: Rule = Rule {
    id: "cert.expiring",
    title: "Certificate should have been renewed by now",
    citation: "RFC 5280, section 4.1.2.5; how early is the organisation's own choice",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Critical,
    check: expiring,
};

fn expiring(certificate: &Certificate, context: &Context) -> Verdict {
    let (Some(last), Some(lifetime)) = (certificate.not_after, certificate.lifetime()) else {
        return Verdict::NotApplicable;
    };
    // Once it has expired, or before it begins, that is what there is to say.
    let left = last.seconds_since(context.as_of);
    if left < 0 || certificate.not_before.is_some_and(|first| context.as_of < first) {
        return Verdict::NotApplicable;
    }
    let thresholds = context.thresholds;
    let critical = left < thresholds.expiry_critical.of(lifetime);
    let severity = if critical { Severity::Critical } else { Severity::Warning };
    fail_if(critical || left < thresholds.expiry_warning.of(lifetime), severity, || {
        format!("it expires at {last}, in {} of {}", span(left), span(lifetime))
    })
}

pub(super) const REVERSED: Rule = Rule {
    id: "cert.validity-reversed",
    title: "Certificate's validity ends before it begins",
    citation: "RFC 5280, section 4.1.2.5",
    effective: None,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Warning,
    check: |certificate, _| {
        let (Some(first), Some(last)) = (certificate.not_before, certificate.not_after) else {
            return Verdict::NotApplicable;
        };
        fail_if(last < first, Severity::Warning, || {
            format!("it is valid from {first} to {last}, which is no time at all")
        })
    },
};

pub(super) const TIME_TYPE: Rule = Rule {
    id: "cert.time-type",
    title: "Certificate writes a date in the wrong type",
    citation: "RFC 5280, section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        let boundary = Date::constant(2050, 1, 1);
        let Some(boundary) = start_of(boundary) else { return Verdict::NotApplicable };
        check_moments(certificate, |element, moment, _| {
            let general = element.tag == der::GENERALIZED_TIME;
            (general != (moment >= boundary)).then(|| {
                let written = if general { "GeneralizedTime" } else { "UTCTime" };
                format!("{moment} is written as {written}")
            })
        })
    },
};

pub(super) const TIME_FORM: Rule = Rule {
    id: "cert.time-form",
    title: "Certificate writes a date in a form that DER does not allow",
    citation: "RFC 5280, sections 4.1.2.5.1 and 4.1.2.5.2: with seconds, without fractions, in UTC",
    effective: RFC_2459,
    applies: Applies::Always,
    about: About::Any,
    severity: Severity::Info,
    check: |certificate, _| {
        check_moments(certificate, |element, _, exact| {
            (!exact).then(|| {
                let written = String::from_utf8_lossy(element.body);
                format!("a date is written as {}", crate::name::visible(&written))
            })
        })
    },
};

fn check_moments(
    certificate: &Certificate,
    problem: impl Fn(&der::Element<'_>, Timestamp, bool) -> Option<String>,
) -> Verdict {
    let moments = children(&certificate.encodings.validity);
    if moments.is_empty() {
        return Verdict::NotApplicable;
    }
    let problems: Vec<String> = moments
        .iter()
        .filter_map(|element| {
            let (moment, exact) = moment::read(element)?;
            problem(element, moment, exact)
        })
        .collect();
    note_all(&problems)
}

const fn lifetime(
    id: &'static str,
    citation: &'static str,
    effective: Option<Date>,
    check: fn(&Certificate, &Context) -> Verdict,
) -> Rule {
    Rule {
        id,
        title: "Public certificate is valid for longer than allowed",
        citation,
        effective,
        applies: Applies::PubliclyTrusted,
        about: About::Server,
        // Browsers refuse such a certificate, whatever else is right about it.
        severity: Severity::Warning,
        check,
    }
}

const SINCE_2018: Option<Date> = day(2018, 3, 1);
const SINCE_2020: Option<Date> = day(2020, 9, 1);
pub(crate) const SINCE_2026: Option<Date> = day(2026, 3, 15);
pub(crate) const SINCE_2027: Option<Date> = day(2027, 3, 15);
pub(crate) const SINCE_2029: Option<Date> = day(2029, 3, 15);

pub(super) const LIFETIME_825: Rule = lifetime(
    "cert.lifetime-825-days",
    "CA/Browser Forum Baseline Requirements, section 6.3.2 (ballot 193)",
    SINCE_2018,
    // Whether the last second counts was said only in 2020.
    |certificate, _| at_most(certificate, 825, 1, SINCE_2020),
);

pub(super) const LIFETIME_398: Rule = lifetime(
    "cert.lifetime-398-days",
    "CA/Browser Forum Baseline Requirements, section 6.3.2 (ballot SC-031)",
    SINCE_2020,
    |certificate, _| at_most(certificate, 398, 0, SINCE_2026),
);

pub(super) const LIFETIME_200: Rule = lifetime(
    "cert.lifetime-200-days",
    "CA/Browser Forum Baseline Requirements, section 6.3.2 (ballot SC-081v3)",
    SINCE_2026,
    |certificate, _| at_most(certificate, 200, 0, SINCE_2027),
);

pub(super) const LIFETIME_100: Rule = lifetime(
    "cert.lifetime-100-days",
    "CA/Browser Forum Baseline Requirements, section 6.3.2 (ballot SC-081v3)",
    SINCE_2027,
    |certificate, _| at_most(certificate, 100, 0, SINCE_2029),
);

pub(super) const LIFETIME_47: Rule = lifetime(
    "cert.lifetime-47-days",
    "CA/Browser Forum Baseline Requirements, section 6.3.2 (ballot SC-081v3)",
    SINCE_2029,
    |certificate, _| at_most(certificate, 47, 0, None),
);

/// The limit in days, for certificates issued before the next limit took its place: one
/// certificate breaks one of these rules and not all of them.
fn at_most(
    certificate: &Certificate,
    days: i64,
    more_seconds: i64,
    until: Option<Date>,
) -> Verdict {
    let (Some(first), Some(seconds)) = (certificate.not_before, certificate.lifetime()) else {
        return Verdict::NotApplicable;
    };
    if until.and_then(start_of).is_some_and(|until| first >= until) {
        return Verdict::NotApplicable;
    }
    // Both ends are valid, so the last second counts as well.
    let seconds = seconds.saturating_add(1);
    fail_if(
        seconds > days.saturating_mul(DAY).saturating_add(more_seconds),
        Severity::Warning,
        || format!("issued at {first}, it is valid for {}; {days} days are allowed", span(seconds)),
    )
}
