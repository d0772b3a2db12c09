//! Services that people log in by: Kerberos, RADIUS and X display managers. No question names
//! a user or tries a password.

use model::{Fact, NameSource, Service};
use wire::{kerberos, radius, xdmcp};

use crate::probe::{
    Talk,
    said::{attribute, machine_name},
};

pub(crate) fn ask_kerberos(talk: &Talk<'_>) -> Vec<u8> {
    kerberos::request(talk.cookie)
}

/// The refusal repeats what was asked for, and some name the realm that they serve.
pub(crate) fn read_kerberos(talk: &Talk<'_>) -> Vec<Fact> {
    let Ok(refusal) = kerberos::Refusal::parse(talk.heard(1)) else {
        return Vec::new();
    };
    let realm = kerberos::realm(talk.cookie);
    // The service that was asked for, or, where the realm is another, that of the realm.
    let ours = refusal.server.contains(&realm) || refusal.realm == realm;
    if !ours {
        return Vec::new();
    }
    let mut service = Service::of("kerberos");
    if refusal.realm != realm {
        attribute(&mut service, "realm", &refusal.realm);
    }
    vec![Fact::Service(service)]
}

pub(crate) fn ask_radius(_: &Talk<'_>) -> Vec<u8> {
    radius::status_server()
}

pub(crate) fn read_radius(talk: &Talk<'_>) -> Vec<Fact> {
    let Ok(answer) = radius::Answer::parse(talk.heard(1)) else {
        return Vec::new();
    };
    let mut service = Service::of("radius");
    attribute(&mut service, "message", &answer.message.unwrap_or_default());
    // Only a server that does not check the signature answers ours.
    attribute(&mut service, "checks_secret", "no");
    vec![Fact::Service(service)]
}

pub(crate) fn ask_xdmcp(_: &Talk<'_>) -> Vec<u8> {
    xdmcp::query()
}

pub(crate) fn read_xdmcp(talk: &Talk<'_>) -> Vec<Fact> {
    let Ok(answer) = xdmcp::Answer::parse(talk.heard(1)) else {
        return Vec::new();
    };
    let mut service = Service::of("xdmcp");
    attribute(&mut service, "willing", if answer.willing { "yes" } else { "no" });
    let mut facts = vec![Fact::Service(service)];
    facts.extend(machine_name(&answer.host_name, NameSource::Banner));
    facts
}

#[cfg(test)]
mod tests {
    use wire::ber;

    use super::*;
    use crate::probe::udp::tests::{COOKIE, check_cuts, facts, service};

    fn refusal(realm: &str, asked: &str) -> Vec<u8> {
        let string = |text: &str| ber::write(0x1b, text.as_bytes());
        let names = ber::write_all(0x30, &[string("krbtgt"), string(asked)]);
        let name = [ber::write(0xa0, &ber::write_integer(2)), ber::write(0xa1, &names)];
        let fields = [
            ber::write(0xa0, &ber::write_integer(5)),
            ber::write(0xa1, &ber::write_integer(30)),
            ber::write(0xa6, &ber::write_integer(68)),
            ber::write(0xa9, &string(realm)),
            ber::write(0xaa, &ber::write_all(0x30, &name)),
        ];
        ber::write(0x7e, &ber::write_all(0x30, &fields))
    }

    #[test]
    fn a_key_distribution_centre_refuses_nobody_of_no_realm() {
        let ours = kerberos::realm(COOKIE);
        let named = refusal("LAB.EXAMPLE", &ours);
        assert_eq!(service(88, &named).attributes["realm"], "LAB.EXAMPLE");
        check_cuts(88, &named);
        let repeated = service(88, &refusal(&ours, &ours));
        assert!(repeated.attributes.is_empty(), "{repeated:?}");
        assert_eq!(facts(88, &refusal("A.EXAMPLE", "B.EXAMPLE")), []);
    }

    #[test]
    fn a_radius_server_that_answers_checks_nothing() {
        let mut answer = vec![2, 0x44, 0, 20];
        answer.extend([7; 16]);
        assert_eq!(service(1812, &answer).attributes["checks_secret"], "no");
        check_cuts(1812, &answer);
    }

    #[test]
    fn a_display_manager_says_whether_it_is_willing() {
        let answer = b"\0\x01\0\x05\0\x0e\0\0\0\x03PC7\0\x05ready";
        assert_eq!(service(177, answer).attributes["willing"], "yes");
        let name = Fact::HostName { name: "pc7".into(), source: NameSource::Banner };
        assert_eq!(facts(177, answer)[1..], [name]);
        check_cuts(177, answer);
    }
}
