//! LDAP: one search for the root DSE, without a bind, and an unbind.
//!
//! Which server it is stands in attributes that each maker fills in its own way; a domain
//! controller is known by the capabilities that [MS-ADTS] lists.

use std::collections::BTreeMap;

use model::{Cpe, Fact, NameSource, Service, Transport};
use wire::{
    Malformed, Problem,
    ldap::{self, Attribute, Message},
    lines,
};

use super::{
    Probe, Reading, Step, Talk, product,
    product::Product,
    said::{anomaly, attribute, machine_name},
};

/// The probe.
pub struct Ldap;

const SEARCH: i32 = 1;
const UNBIND: i32 = 2;

/// What we ask for. `+` would be shorter and bring times and counters.
const WANTED: [&str; 18] = [
    "objectClass",
    "structuralObjectClass",
    "vendorName",
    "vendorVersion",
    "namingContexts",
    "supportedLDAPVersion",
    "supportedCapabilities",
    "dnsHostName",
    "serverName",
    "defaultNamingContext",
    "rootDomainNamingContext",
    "domainControllerFunctionality",
    "domainFunctionality",
    "isGlobalCatalogReady",
    "orclDirectoryVersion",
    "dominoMajMinVersion",
    "subschemaSubentry",
    "vmwPlatformServicesControllerVersion",
];

/// LDAP_CAP_ACTIVE_DIRECTORY_OID and LDAP_CAP_ACTIVE_DIRECTORY_ADAM_OID ([MS-ADTS],
/// section 3.1.1.3.4.3).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
const LIGHTWEIGHT_DIRECTORY: &str = "1.2.840.113556.1.4.1851";

/// Attribute values by lower-case description, made printable.
type Attributes = BTreeMap<String, Vec<String>>;

impl Probe for Ldap {
    fn protocol(&self) -> &'static str {
        "ldap"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[389, 636, 3268, 3269, 1389, 10389]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 if talk.heard(0).is_empty() => Step::Say(question()),
            1 => {
                let (messages, problem) = Message::read_all(talk.heard(1), SEARCH.into());
                let done = messages.iter().any(|message| matches!(message, Message::Done { .. }));
                if done {
                    Step::Say(ldap::unbind(UNBIND))
                } else if talk.ended || problem.is_some_and(|why| !is_cut(&why)) {
                    Step::Finish
                } else {
                    Step::Listen
                }
            }
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        read(talk.heard(1))
    }
}

/// The question: the same over TCP and, to a domain controller, over UDP.
pub(super) fn question() -> Vec<u8> {
    ldap::search_root(SEARCH, &WANTED)
}

/// What an answer to [`question`] shows.
pub(super) fn read(answer: &[u8]) -> Reading {
    let (messages, problem) = Message::read_all(answer, SEARCH.into());
    let mut service = Service::of("ldap");
    let mut facts = Vec::new();
    let mut known = false;
    for message in &messages {
        match message {
            Message::Entry(attributes) => {
                known = true;
                facts = describe(&mut service, &printable(attributes));
            }
            Message::Done { code, .. } => {
                known = true;
                // Some servers answer nobody before a bind: 1 operations error, 8 stronger
                // authentication required, 50 insufficient access rights, 53 unwilling.
                if *code != 0 {
                    attribute(&mut service, "anonymous_search", &format!("refused: code {code}"));
                }
            }
            Message::Extended { .. } | Message::Other(_) => {}
        }
    }
    if !known {
        return Reading::default();
    }
    facts.insert(0, Fact::Service(service));
    facts.extend(problem.and_then(|why| anomaly("ldap", &why)));
    Reading { facts, evidence: answer.to_vec() }
}

/// What a root DSE that somebody else was shown says.
pub(crate) fn read_root(attributes: &[Attribute]) -> Vec<Fact> {
    let mut service = Service::of("ldap");
    let facts = describe(&mut service, &printable(attributes));
    [Fact::Service(service)].into_iter().chain(facts).collect()
}

fn printable(attributes: &[Attribute]) -> Attributes {
    let text = |value: &Vec<u8>| lines::text(value);
    attributes
        .iter()
        .map(|(name, values)| (name.to_ascii_lowercase(), values.iter().map(text).collect()))
        .collect()
}

/// Fills in the service; the facts besides it.
fn describe(service: &mut Service, attributes: &Attributes) -> Vec<Fact> {
    product::put(service, identify(attributes));
    for (name, from) in [
        ("naming_contexts", "namingcontexts"),
        ("ldap_versions", "supportedldapversion"),
        ("vendor_name", "vendorname"),
        ("vendor_version", "vendorversion"),
        ("default_naming_context", "defaultnamingcontext"),
        ("ds_service_name", "dsservicename"),
        ("domain_controller_level", "domaincontrollerfunctionality"),
    ] {
        attribute(service, name, &attributes.get(from).map_or(String::new(), |v| v.join("; ")));
    }
    let host = first(attributes, "dnshostname").unwrap_or_default();
    let mut facts: Vec<Fact> = machine_name(host, NameSource::Banner).into_iter().collect();
    if is_capable(attributes, ACTIVE_DIRECTORY) && !is_samba(attributes) {
        facts.push(product::system("Windows Server", None, None));
    }
    facts
}

fn first<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name)?.first().map(String::as_str)
}

fn is_capable(attributes: &Attributes, capability: &str) -> bool {
    let capabilities = attributes.get("supportedcapabilities");
    capabilities.is_some_and(|list| list.iter().any(|oid| oid == capability))
}

fn is_samba(attributes: &Attributes) -> bool {
    first(attributes, "vendorname").is_some_and(|vendor| vendor.contains("Samba"))
}

/// A word, the product that it means, and the vendor and product of its CPE name.
type Maker = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// Makers by a word of vendorName or vendorVersion, in lower case, the special ones first.
const MAKERS: [Maker; 17] = [
    ("samba", "Samba", Some(("samba", "samba"))),
    ("389", "389 Directory Server", Some(("port389", "389-ds-base"))),
    ("openldap", "OpenLDAP", Some(("openldap", "openldap"))),
    ("edirectory", "eDirectory", Some(("netiq", "edirectory"))),
    ("apache", "ApacheDS", Some(("apache", "apacheds"))),
    ("opendj", "OpenDJ", Some(("forgerock", "opendj"))),
    ("forgerock", "ForgeRock Directory Services", Some(("forgerock", "directory_services"))),
    ("pingdirectory", "PingDirectory", Some(("pingidentity", "pingdirectory"))),
    ("ping identity", "PingDirectory", Some(("pingidentity", "pingdirectory"))),
    ("unboundid", "UnboundID Directory Server", None),
    ("domino", "Domino", Some(("hcltech", "domino"))),
    ("lotus", "Domino", Some(("ibm", "lotus_domino"))),
    ("international business machines", "IBM Security Directory Server", {
        Some(("ibm", "security_directory_server"))
    }),
    ("opends", "OpenDS", None),
    ("sun", "Sun Directory Server", Some(("oracle", "directory_server_enterprise_edition"))),
    ("oracle", "Oracle Directory Server", Some(("oracle", "directory_server_enterprise_edition"))),
    ("isode", "M-Vault", Some(("isode", "m-vault"))),
];

/// Which product has a root DSE like this.
fn identify(attributes: &Attributes) -> Option<Product> {
    let product = |name: &str, version: Option<String>, cpe: Option<(&str, &str)>| {
        let cpe = cpe.map(|(maker, name)| Cpe::application(maker, name, version.as_deref()));
        Some(Product { name: name.to_owned(), version, cpe })
    };
    let vendor = first(attributes, "vendorname").unwrap_or_default();
    let said = first(attributes, "vendorversion").unwrap_or_default();
    if !vendor.is_empty() || !said.is_empty() {
        let text = format!("{said} {vendor}").to_ascii_lowercase();
        let known = MAKERS.iter().find(|(word, ..)| text.contains(word));
        let (name, cpe) = known.map_or((vendor, None), |(_, name, cpe)| (*name, *cpe));
        return product(name, version(said), cpe);
    }
    if let Some(said) = first(attributes, "orcldirectoryversion") {
        return product("Oracle Directory", version(said), None);
    }
    if let Some(said) = first(attributes, "vmwplatformservicescontrollerversion") {
        let cpe = Some(("vmware", "platform_services_controller"));
        return product("VMware Platform Services Controller", version(said), cpe);
    }
    if is_capable(attributes, LIGHTWEIGHT_DIRECTORY) {
        let cpe = Some(("microsoft", "active_directory_lightweight_directory_service"));
        return product("Active Directory Lightweight Directory Services", None, cpe);
    }
    if is_capable(attributes, ACTIVE_DIRECTORY) {
        return product("Active Directory", None, Some(("microsoft", "active_directory")));
    }
    let classes = [attributes.get("objectclass"), attributes.get("structuralobjectclass")];
    let openldap = classes.into_iter().flatten().flatten().any(|class| class == "OpenLDAProotDSE");
    // Its version is only in cn=Monitor, which is not for everybody.
    openldap.then(|| product("OpenLDAP", None, Some(("openldap", "openldap"))))?
}

/// The version in a vendorVersion: its first word or part of a word (behind `/`) that begins
/// with a number and a dot, with what a word behind it adds (`9.0.1FP4 HF523`).
fn version(said: &str) -> Option<String> {
    let mut words = said.split([' ', '/', ',', '(', ')']).filter(|word| !word.is_empty());
    let numbered = |word: &&str| {
        let word = word.strip_prefix(['v', 'V']).unwrap_or(word);
        let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
        digits.len() < word.len() && (digits.starts_with('.') || word == said)
    };
    let found = words.find(numbered)?;
    let mut version = found.strip_prefix(['v', 'V']).unwrap_or(found).to_owned();
    if let Some(addition) = words.next()
        && ["HF", "FP", "SP", "IF"].iter().any(|mark| {
            addition.strip_prefix(mark).is_some_and(|rest| rest.starts_with(char::is_numeric))
        })
    {
        version.push(' ');
        version.push_str(addition);
    }
    Some(version)
}

fn is_cut(why: &Malformed) -> bool {
    why.problem == Problem::Truncated
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::ber::{self, tag};

    use super::*;
    use crate::probe::{corpus, testing};

    fn octets(text: &str) -> Vec<u8> {
        ber::write(tag::OCTETS, text.as_bytes())
    }

    fn answer(attributes: &[(&str, &[&str])]) -> Vec<u8> {
        let list: Vec<Vec<u8>> = attributes
            .iter()
            .map(|(name, values)| {
                let values: Vec<Vec<u8>> = values.iter().map(|value| octets(value)).collect();
                let set = ber::write_all(tag::SET, &values);
                ber::write_all(tag::SEQUENCE, &[octets(name), set])
            })
            .collect();
        let message =
            |operation| ber::write_all(tag::SEQUENCE, &[ber::write_integer(SEARCH), operation]);
        let entry = ber::write_all(0x64, &[octets(""), ber::write_all(tag::SEQUENCE, &list)]);
        let done = [ber::write(tag::ENUMERATED, &[0]), octets(""), octets("")];
        [message(entry), message(ber::write_all(0x65, &done))].concat()
    }

    #[track_caller]
    fn check(attributes: &[(&str, &[&str])], product: Option<&str>, version: Option<&str>) {
        let facts = read(&answer(attributes)).facts;
        let Some(Fact::Service(service)) = facts.first() else { panic!("{facts:?}") };
        assert_eq!((service.product.as_deref(), service.version.as_deref()), (product, version));
    }

    #[test]
    fn servers_are_told_apart() {
        check(&[("objectClass", &["top", "OpenLDAProotDSE"])], Some("OpenLDAP"), None);
        check(
            &[("vendorName", &["389 Project"]), ("vendorVersion", &["389-Directory/2.3.1 B2023"])],
            Some("389 Directory Server"),
            Some("2.3.1"),
        );
        check(&[("vendorName", &["Samba Team (https://www.samba.org)"])], Some("Samba"), None);
        check(
            &[
                ("vendorname", &["IBM Lotus Software"]),
                ("vendorversion", &["Release 9.0.1FP4 HF5"]),
            ],
            Some("Domino"),
            Some("9.0.1FP4 HF5"),
        );
        check(
            &[("supportedCapabilities", &["1", ACTIVE_DIRECTORY])],
            Some("Active Directory"),
            None,
        );
        check(&[("namingContexts", &["dc=example"])], None, None);
    }

    #[test]
    fn a_domain_controller_names_itself() {
        let facts = read(&answer(&[
            ("supportedCapabilities", &[ACTIVE_DIRECTORY]),
            ("dnsHostName", &["DC1.example.com"]),
            ("namingContexts", &["DC=example,DC=com", "CN=Configuration,DC=example,DC=com"]),
        ]))
        .facts;
        let name = Fact::HostName { name: "dc1.example.com".into(), source: NameSource::Banner };
        assert_eq!(facts[1..], [name, product::system("Windows Server", None, None)]);
    }

    #[test]
    fn a_conversation_ends_with_an_unbind() {
        let step = |heard: &[Vec<u8>]| Ldap.request(&testing::talk(heard, false));
        assert_eq!(step(&[vec![]]), Step::Say(question()));
        let bytes = answer(&[("vendorName", &["Example"])]);
        for len in 0..bytes.len() {
            assert_eq!(step(&[vec![], bytes[..len].to_vec()]), Step::Listen, "cut at {len}");
            read(&bytes[..len]);
        }
        assert_eq!(step(&[vec![], bytes.clone()]), Step::Say(ldap::unbind(UNBIND)));
        assert_eq!(step(&[vec![], bytes, vec![]]), Step::Finish);
        assert_eq!(step(&[vec![], b"HTTP/1.1 400\r\n".to_vec()]), Step::Finish);
    }

    #[test]
    fn a_server_that_refuses_strangers_is_still_one() {
        let done = [ber::write(tag::ENUMERATED, &[53]), octets(""), octets("no")];
        let parts = [ber::write_integer(SEARCH), ber::write_all(0x65, &done)];
        let facts = read(&ber::write_all(tag::SEQUENCE, &parts)).facts;
        let [Fact::Service(service)] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["anonymous_search"], "refused: code 53");
    }

    /// The corpus has pieces of answers: attributes are looked for wherever one begins.
    #[test]
    fn the_corpus_agrees() {
        corpus::measure("ldap_searchresult", 0.9, |example| {
            let bytes = example.bytes();
            let mut found = Attributes::new();
            for name in WANTED {
                let lower = bytes.to_ascii_lowercase();
                let name = name.to_ascii_lowercase();
                let at = lower.windows(name.len()).position(|window| window == name.as_bytes());
                let Some(at) = at else { continue };
                let mut r = wire::Reader::new(&bytes[at + name.len()..]);
                let Ok(mut set) = ber::expect(&mut r, "vals", tag::SET) else { continue };
                let mut values = Vec::new();
                while let Ok(value) = ber::octets(&mut set, "value") {
                    values.push(lines::text(value));
                }
                found.insert(name, values);
            }
            let product = identify(&found);
            let wanted = example.wants("service.version")?;
            // The build behind the version is no part of it.
            let version = product.and_then(|product| product.version).unwrap_or_default();
            let rest = wanted.strip_prefix(version.as_str()).unwrap_or("?");
            Some(!version.is_empty() && (rest.is_empty() || rest.starts_with(' ')))
        });
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            text in "\\PC{0,40}",
        ) {
            read(&bytes);
            let _ = version(&text);
            let operation = ber::write(0x64, &bytes);
            read(&ber::write_all(tag::SEQUENCE, &[ber::write_integer(SEARCH), operation]));
        }
    }
}
