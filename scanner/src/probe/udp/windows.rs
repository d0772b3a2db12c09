//! Names that Windows, Samba and the desks of offices give themselves: NetBIOS, LDAP without
//! a connection, LLMNR, SQL Server's browser and IP Messenger.

use model::{Fact, MacAddr, NameSource, Service};
use wire::{
    dns::{self, Answer, Data},
    lines, nbns, sqlr,
};

use crate::probe::{
    Talk, ldap, mdns, product,
    said::{attribute, machine_name, name_product},
    udp::low_half,
};

pub(crate) fn ask_netbios(talk: &Talk<'_>) -> Vec<u8> {
    nbns::node_status(low_half(talk.cookie))
}

/// RFC 1002: names of the machine and its group, and the adapter's address.
pub(crate) fn read_netbios(talk: &Talk<'_>) -> Vec<Fact> {
    let status = nbns::NodeStatus::parse(talk.heard(1));
    let Some(status) = status.ok().filter(|status| status.id == low_half(talk.cookie)) else {
        return Vec::new();
    };
    let mut service = Service::of("netbios-ns");
    let named = |suffix, group| {
        let found = status.names.iter().find(|n| n.suffix == suffix && n.group == group);
        found.map(|n| lines::text(&n.name)).unwrap_or_default()
    };
    attribute(&mut service, "netbios_domain", &named(0x00, true));
    if !named(0x1c, true).is_empty() {
        attribute(&mut service, "role", "domain controller");
    }
    // Samba has no adapter to speak of and sends zeros.
    if status.unit != [0; 6] {
        attribute(&mut service, "adapter_mac", &MacAddr(status.unit).to_string());
    }
    let mut facts = vec![Fact::Service(service)];
    facts.extend(machine_name(&named(0x00, false), NameSource::Nbns));
    facts
}

pub(crate) fn ask_cldap(_: &Talk<'_>) -> Vec<u8> {
    ldap::question()
}

pub(crate) fn read_cldap(talk: &Talk<'_>) -> Vec<Fact> {
    ldap::read(talk.heard(1)).facts
}

/// The name of the address that is asked. RFC 4795 (section 2.4) wants TCP for a question to
/// one address, so that silence is the rule here; what answers all the same is worth knowing.
/// Nothing is asked where no address is known.
pub(crate) fn ask_llmnr(talk: &Talk<'_>) -> Vec<u8> {
    if talk.address.is_unspecified() {
        return Vec::new();
    }
    let name = mdns::reverse(talk.address);
    dns::query(low_half(talk.cookie), &[(&name, dns::PTR, dns::IN)])
}

pub(crate) fn read_llmnr(talk: &Talk<'_>) -> Vec<Fact> {
    let answer = Answer::parse(talk.heard(1));
    let Some(answer) = answer.ok().filter(|answer| answer.id == low_half(talk.cookie)) else {
        return Vec::new();
    };
    let reverse = mdns::reverse(talk.address);
    let name = answer.records.iter().find_map(|record| match &record.data {
        Data::Pointer(name) if record.name.to_string().eq_ignore_ascii_case(&reverse) => Some(name),
        _ => None,
    });
    let mut facts = vec![Fact::Service(Service::of("llmnr"))];
    // Chosen by the device, as with multicast DNS.
    facts.extend(name.and_then(|name| machine_name(&name.to_string(), NameSource::Mdns)));
    facts
}

pub(crate) fn ask_sql(_: &Talk<'_>) -> Vec<u8> {
    sqlr::instances()
}

/// The first instance names version and port; all are listed.
pub(crate) fn read_sql(talk: &Talk<'_>) -> Vec<Fact> {
    let instances = sqlr::parse(talk.heard(1)).unwrap_or_default();
    let Some(first) = instances.first() else {
        return Vec::new();
    };
    let mut service = Service::of("ms-sql-browser");
    let version = Some(first.version.as_str()).filter(|version| product::is_version(version));
    let cpe = Some(("microsoft", "sql_server"));
    name_product(&mut service, "Microsoft SQL Server", version, cpe);
    let names: Vec<&str> = instances.iter().map(|instance| instance.name.as_str()).collect();
    attribute(&mut service, "instances", &names.join(","));
    let port = first.tcp.map(|port| port.to_string()).unwrap_or_default();
    attribute(&mut service, "tcp_port", &port);
    let mut facts = vec![Fact::Service(service)];
    facts.extend(machine_name(&first.server, NameSource::Banner));
    facts
}

/// IP Messenger, protocol draft 14: IPMSG_GETINFO asks for the program's version. Unlike an
/// entry packet it does not put us on anybody's list.
pub(crate) fn ask_ipmsg(talk: &Talk<'_>) -> Vec<u8> {
    format!("1:{}:daicho:daicho:64:", talk.cookie).into_bytes()
}

/// `1:packet:user:host:65:version`. The user's name is not kept.
pub(crate) fn read_ipmsg(talk: &Talk<'_>) -> Vec<Fact> {
    const SEND_INFO: u32 = 0x41;
    let text = lines::text(talk.heard(1));
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [version, number, _user, host, command, said] = parts.as_slice() else {
        return Vec::new();
    };
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let command = command.parse::<u32>().unwrap_or_default() & 0xff;
    if !version.starts_with('1') || !is_number(number) || command != SEND_INFO {
        return Vec::new();
    }
    let mut service = Service::of("ipmsg");
    let words = said.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '/'));
    let version = words
        .map(|word| word.trim_start_matches(|c: char| !c.is_ascii_digit()))
        .find(|word| word.contains('.') && product::is_version(word));
    name_product(&mut service, "IP Messenger", version, Some(("ipmsg", "ip_messenger")));
    attribute(&mut service, "banner", said);
    let mut facts = vec![Fact::Service(service)];
    facts.extend(machine_name(host, NameSource::Banner));
    facts
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::probe::udp::tests::{check_cuts, facts, service};

    #[test]
    fn a_node_status_names_machine_and_group() {
        let mut answer = vec![0x0c, 0x0d, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        answer.extend(b"\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01\0\0\0\0\0\x2b\x02");
        answer.extend(b"PC-7           \0\x04\0EXAMPLE        \0\x84\0");
        answer.extend([0, 0, 0x5e, 0, 0x53, 1]);
        let found = facts(137, &answer);
        let name = Fact::HostName { name: "pc-7".into(), source: NameSource::Nbns };
        assert_eq!(found[1..], [name]);
        let service = service(137, &answer);
        assert_eq!(service.attributes["netbios_domain"], "EXAMPLE");
        assert_eq!(service.attributes["adapter_mac"], "00:00:5e:00:53:01");
        check_cuts(137, &answer);
    }

    #[test]
    fn a_link_local_name_is_that_of_the_address() {
        let mut answer = b"\x0c\x0d\x80\0\0\0\0\x01\0\0\0\0".to_vec();
        answer.extend(b"\x011\x012\x010\x03192\x07in-addr\x04arpa\0\0\x0c\0\x01\0\0\0\x1e\0\x06");
        answer.extend(b"\x04PC-7\0");
        let name = Fact::HostName { name: "pc-7".into(), source: NameSource::Mdns };
        assert_eq!(facts(5355, &answer)[1..], [name]);
        answer[14] = b'9';
        assert_eq!(facts(5355, &answer).len(), 1);
    }

    #[test]
    fn a_browser_lists_its_instances() {
        let text = b"ServerName;PC-7;InstanceName;MSSQLSERVER;IsClustered;No;\
            Version;15.0.2000.5;tcp;1433;;ServerName;PC-7;InstanceName;TWO;;";
        let mut sql = vec![5, text.len() as u8, 0];
        sql.extend(text);
        let service = service(1434, &sql);
        assert_eq!(service.version.as_deref(), Some("15.0.2000.5"));
        assert_eq!(service.attributes["instances"], "MSSQLSERVER,TWO");
        assert_eq!(service.attributes["tcp_port"], "1433");
        let name = Fact::HostName { name: "pc-7".into(), source: NameSource::Banner };
        assert_eq!(facts(1434, &sql)[1..], [name]);
        check_cuts(1434, &sql);
    }

    #[test]
    fn a_users_name_is_not_kept() {
        let answer = b"1:77:secretuser:DESK-7:65:Win Version 5.6.5";
        let found = facts(2425, answer);
        assert!(!format!("{found:?}").contains("secretuser"), "{found:?}");
        let service = service(2425, answer);
        assert_eq!(service.version.as_deref(), Some("5.6.5"));
    }

    #[test]
    fn a_link_local_question_needs_an_address() {
        let heard = [Vec::new()];
        let talk = crate::probe::testing::talk(&heard, false);
        assert!(ask_llmnr(&talk).len() > 30);
        let nobody = IpAddr::from([0, 0, 0, 0]);
        assert_eq!(ask_llmnr(&Talk { address: nobody, ..talk }), Vec::<u8>::new());
    }
}
