//! Small steps from what a service said to facts, shared by several probes: names of
//! machines, self-reported numbers, products, and what broke the protocol.

use model::{Cpe, Fact, MachineIdKind, NameSource, Service};
use wire::{Malformed, Problem, lines};

/// A name that the machine uses for itself, as a fact. Unlike
/// [`super::product::host_name`] it may be a single label, as NetBIOS and SNMP names are.
pub(crate) fn machine_name(name: &str, source: NameSource) -> Option<Fact> {
    let name = name.trim().trim_end_matches('.').to_lowercase();
    let bad = |c: char| c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER;
    let nobody = name.is_empty() || name == "localhost" || name.starts_with("localhost.");
    let address = name.parse::<std::net::IpAddr>().is_ok();
    (!nobody && !address && name.len() <= 253 && !name.contains(bad))
        .then_some(Fact::HostName { name, source })
}

/// A number that the machine reports for itself.
pub(crate) fn machine_id(kind: MachineIdKind, value: String) -> Fact {
    Fact::MachineId { kind, value }
}

/// Adds an attribute, made printable, unless it is empty.
pub(crate) fn attribute(service: &mut Service, name: &str, value: &str) {
    let value = lines::squeeze(value);
    if !value.is_empty() {
        service.attributes.insert(name.to_owned(), value);
    }
}

/// Names the product of a service; `cpe` is the vendor and product of its CPE name.
pub(crate) fn name_product(
    service: &mut Service,
    name: &str,
    version: Option<&str>,
    cpe: Option<(&str, &str)>,
) {
    service.product = Some(name.to_owned());
    service.version = version.map(str::to_owned);
    service.cpe = cpe.map(|(vendor, product)| Cpe::application(vendor, product, version));
}

/// What broke the protocol, as a fact. An answer that merely ended too soon is none: our
/// own time limit may have cut it.
pub(super) fn anomaly(protocol: &str, why: &Malformed) -> Option<Fact> {
    match why.problem {
        Problem::Truncated => None,
        // The value is left out: it may be another one each time.
        Problem::Invalid(_) => Some(Fact::Anomaly {
            protocol: protocol.to_owned(),
            problem: format!("{} has a value that is not allowed", why.field),
        }),
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The host and port of a URL's authority: a name if the server has one, else the address.
pub(super) fn authority(talk: &super::Talk<'_>) -> String {
    match (talk.server_name, talk.address) {
        (Some(name), _) => format!("{name}:{}", talk.port),
        (None, address) => std::net::SocketAddr::new(address, talk.port).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_of_a_machine_is_one() {
        let check = |name: &str, expected: Option<&str>| {
            let got = machine_name(name, NameSource::Snmp).map(|fact| match fact {
                Fact::HostName { name, .. } => name,
                other => panic!("{other:?}"),
            });
            assert_eq!(got.as_deref(), expected);
        };
        check("PC-7", Some("pc-7"));
        check("Sw1.Example.com.", Some("sw1.example.com"));
        check("localhost", None);
        check("192.0.2.1", None);
        check("two words", None);
        check("", None);
    }

    #[test]
    fn a_cut_answer_is_no_anomaly() {
        let malformed = |problem| Malformed { field: "length", offset: 7, problem };
        assert_eq!(anomaly("x", &malformed(Problem::Truncated)), None);
        let problem = "length has a value that is not allowed".to_owned();
        let fact = Fact::Anomaly { protocol: "x".into(), problem };
        assert_eq!(anomaly("x", &malformed(Problem::Invalid(3))), Some(fact));
    }
}
