//! Which ports are asked, and why.
//!
//! The built-in lists hold what matters inside organisations: what people log in to, what
//! holds data, what controls machines, and what should not be there. They were written by
//! hand from the registry of service names and port numbers (RFC 6335) and the makers'
//! manuals, not from how often a port is open on the Internet, which is another question.
//! Also here: the language of `--ports`.

use std::{fmt, str::FromStr};

use model::{ParsePortsError, PortSet};
use thiserror::Error;

/// A port of a built-in list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownPort {
    /// Its number.
    pub port: u16,
    /// The word for what is expected there: the registered service name where that is
    /// what people use, otherwise the product's.
    pub service: &'static str,
    /// Why it is asked.
    pub why: &'static str,
}

const fn known(port: u16, service: &'static str, why: &'static str) -> KnownPort {
    KnownPort { port, service, why }
}

/// The ports to ask of each address that is alive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortSpec {
    /// By TCP.
    pub tcp: PortSet,
    /// By UDP.
    pub udp: PortSet,
}

impl Default for PortSpec {
    /// The built-in lists.
    fn default() -> Self {
        Self { tcp: built_in(&TCP), udp: built_in(&UDP) }
    }
}

impl PortSpec {
    /// How many questions they are for one address.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tcp.len().saturating_add(self.udp.len())
    }

    /// Whether there is no port at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.udp.is_empty()
    }
}

/// The form that [`PortSpec::from_str`] reads: `22,80-81,u:161`.
impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tcp.fmt(f)?;
        let udp = self.udp.to_string();
        for (index, part) in udp.split(',').filter(|part| !part.is_empty()).enumerate() {
            let comma = if index == 0 && self.tcp.is_empty() { "" } else { "," };
            write!(f, "{comma}u:{part}")?;
        }
        Ok(())
    }
}

/// The text names no ports.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PortSpecError {
    /// There is nothing.
    #[error("no port is named; write for example 22,80,8000-8100,u:161, or default, all or none")]
    Empty,
    /// A part of the list.
    #[error("{0}")]
    Part(ParsePortsError),
}

impl FromStr for PortSpec {
    type Err = PortSpecError;

    /// Reads a list of ports and ranges, TCP unless `u:` stands before that very part
    /// (`t:` is allowed, too): `22,80,8000-8100,u:161,u:500-501`. `none` alone is no port at
    /// all. Parts may also be
    /// `default`, the built-in lists, and `all`, every TCP port and the built-in UDP list:
    /// a silent UDP port costs its timeout, so that all of them would take hours an address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "none" {
            return Ok(Self { tcp: PortSet::default(), udp: PortSet::default() });
        }
        // Joined as text and read once at the end: joining sets port by port costs a second for
        // a list of some thousand ranges.
        let (mut tcp, mut udp) = (String::new(), String::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part {
                "default" => {
                    join(&mut tcp, &built_in(&TCP));
                    join(&mut udp, &built_in(&UDP));
                }
                "all" => {
                    join(&mut tcp, &PortSet::all());
                    join(&mut udp, &built_in(&UDP));
                }
                _ => {
                    let (set, numbers) = match part.split_once(':') {
                        Some(("u" | "U", numbers)) => (&mut udp, numbers),
                        Some(("t" | "T", numbers)) => (&mut tcp, numbers),
                        _ => (&mut tcp, part),
                    };
                    let ports: PortSet = numbers.parse().map_err(|error: ParsePortsError| {
                        PortSpecError::Part(ParsePortsError { part: part.to_owned(), ..error })
                    })?;
                    if ports.is_empty() {
                        let problem = "no number follows the letter";
                        let part = part.to_owned();
                        return Err(PortSpecError::Part(ParsePortsError { part, problem }));
                    }
                    join(set, &ports);
                }
            }
        }
        if tcp.is_empty() && udp.is_empty() {
            return Err(PortSpecError::Empty);
        }
        Ok(Self {
            tcp: tcp.parse().map_err(PortSpecError::Part)?,
            udp: udp.parse().map_err(PortSpecError::Part)?,
        })
    }
}

fn built_in(list: &[KnownPort]) -> PortSet {
    list.iter().map(|known| known.port).collect()
}

fn join(list: &mut String, ports: &PortSet) {
    list.push_str(&ports.to_string());
    list.push(',');
}

/// The TCP ports that are asked by default.
pub const TCP: [KnownPort; 200] = [
    known(7, "echo", "a service from the early days that should be off"),
    known(9, "discard", "the same; also where wake-on-LAN tools knock"),
    known(19, "chargen", "answers without end; should be off"),
    known(21, "ftp", "files, with passwords in the clear"),
    known(22, "ssh", "remote shell of servers and network gear"),
    known(23, "telnet", "remote shell without encryption: old gear, cameras"),
    known(25, "smtp", "mail transfer"),
    known(42, "nameserver", "Windows WINS replication"),
    known(49, "tacacs", "logins of network gear"),
    known(53, "domain", "DNS; zone transfers and large answers"),
    known(79, "finger", "tells who is logged in; should be off"),
    known(80, "http", "web pages of nearly everything"),
    known(81, "http-81", "second web port of cameras and recorders"),
    known(83, "http-83", "web port of cameras and recorders"),
    known(88, "kerberos", "logins of Windows domains"),
    known(102, "iso-tsap", "Siemens S7 controllers and IEC 61850"),
    known(104, "acr-nema", "DICOM images of medical devices"),
    known(110, "pop3", "mailboxes"),
    known(111, "sunrpc", "lists the RPC services of Unix hosts and NAS"),
    known(113, "auth", "tells which user owns a connection"),
    known(135, "epmap", "lists the RPC services of Windows"),
    known(139, "netbios-ssn", "Windows files over NetBIOS"),
    known(143, "imap", "mailboxes"),
    known(179, "bgp", "routers exchange routes"),
    known(199, "smux", "SNMP sub-agents"),
    known(222, "ssh-222", "SSH of gear that moved it"),
    known(264, "fw1-topo", "Check Point firewalls"),
    known(280, "http-mgmt", "web management of printers"),
    known(311, "asip-webadmin", "macOS server management"),
    known(389, "ldap", "directories"),
    known(427, "svrloc", "service location: hypervisors, printers"),
    known(443, "https", "web pages of nearly everything, with a certificate"),
    known(445, "microsoft-ds", "Windows files, printers and management"),
    known(465, "submissions", "mail submission with TLS"),
    known(500, "isakmp", "VPN gateways that take IKE over TCP"),
    known(502, "mbap", "Modbus controllers"),
    known(503, "modbus-2", "second Modbus port"),
    known(512, "exec", "remote execution without encryption"),
    known(513, "login", "remote login without encryption"),
    known(514, "shell", "remote shell, or syslog over TCP"),
    known(515, "printer", "line printer daemon"),
    known(548, "afpovertcp", "files for old Macs, NAS"),
    known(554, "rtsp", "cameras and recorders"),
    known(587, "submission", "mail submission"),
    known(593, "http-rpc-epmap", "Windows RPC over HTTP"),
    known(623, "oob-ws-http", "server management controllers (AMT, IPMI)"),
    known(631, "ipp", "printers"),
    known(636, "ldaps", "directories with TLS"),
    known(646, "ldp", "labels between routers"),
    known(664, "oob-ws-https", "server management controllers with TLS"),
    known(749, "kerberos-adm", "changes Kerberos passwords"),
    known(800, "http-800", "web pages of proxies and appliances"),
    known(808, "http-808", "web proxies"),
    known(830, "netconf-ssh", "configuration of network gear"),
    known(853, "domain-s", "DNS over TLS"),
    known(873, "rsync", "file copies, often without a password"),
    known(902, "vmware-auth", "VMware hypervisors"),
    known(990, "ftps", "files with TLS"),
    known(992, "telnets", "telnet with TLS: IBM hosts; SoftEther VPN"),
    known(993, "imaps", "mailboxes with TLS"),
    known(995, "pop3s", "mailboxes with TLS"),
    known(1080, "socks", "proxies"),
    known(1099, "rmiregistry", "Java remote calls"),
    known(1194, "openvpn", "VPN"),
    known(1311, "omsa", "Dell server management"),
    known(1352, "lotusnote", "Notes and Domino"),
    known(1433, "ms-sql-s", "Microsoft SQL Server"),
    known(1494, "ica", "Citrix"),
    known(1521, "oracle", "Oracle databases"),
    known(1556, "veritas-pbx", "NetBackup"),
    known(1720, "h323hostcall", "video conferencing"),
    known(1723, "pptp", "VPN of the old kind"),
    known(1883, "mqtt", "messages of sensors and machines"),
    known(1900, "ssdp", "UPnP descriptions of devices"),
    known(1911, "fox", "Niagara Fox building control"),
    known(1962, "pcworx", "Phoenix Contact controllers"),
    known(2000, "sccp", "telephones; MikroTik bandwidth tests"),
    known(2049, "nfs", "files of Unix hosts and NAS"),
    known(2082, "infowave", "hosting panel"),
    known(2083, "radsec", "RADIUS over TLS, or hosting panel"),
    known(2121, "ftp-2121", "FTP of gear that moved it"),
    known(2181, "zookeeper", "ZooKeeper"),
    known(2222, "ssh-2222", "SSH of gear that moved it; also EtherNet/IP"),
    known(2323, "telnet-2323", "telnet of cameras and recorders"),
    known(2375, "docker", "containers, without a password"),
    known(2376, "docker-s", "containers with TLS"),
    known(2379, "etcd-client", "cluster configuration and secrets"),
    known(2380, "etcd-server", "the same between members"),
    known(2404, "iec-104", "power grid control"),
    known(2425, "ipmsg", "messages between the desks of Japanese offices (IP Messenger)"),
    known(2455, "codesys", "CODESYS and WAGO controllers"),
    known(2525, "smtp-2525", "mail submission that moved"),
    known(2967, "endpoint-protection", "servers of endpoint protection"),
    known(3000, "http-3000", "Grafana and web applications"),
    known(3050, "gds-db", "Firebird databases"),
    known(3128, "squid", "web proxies"),
    known(3260, "iscsi-target", "disks over the network"),
    known(3268, "msft-gc", "directory of a Windows forest"),
    known(3269, "msft-gc-ssl", "the same with TLS"),
    known(3306, "mysql", "MySQL and MariaDB"),
    known(3310, "dyna-access", "ClamAV"),
    known(3389, "ms-wbt-server", "Windows remote desktop"),
    known(3689, "daap", "music; tells of media servers"),
    known(3690, "svn", "source code"),
    known(4000, "http-4000", "remote desktops and development servers"),
    known(4369, "epmd", "Erlang nodes: RabbitMQ and others"),
    known(4433, "https-4433", "management pages with TLS"),
    known(4443, "https-4443", "VPN and management pages with TLS"),
    known(4505, "salt-publish", "Salt configuration management"),
    known(4506, "salt-request", "the same, the answering half"),
    known(4786, "smart-install", "Cisco switches take configurations here"),
    known(4840, "opcua-tcp", "industrial machines"),
    known(4899, "radmin-port", "remote desktop"),
    known(5000, "http-5000", "Synology NAS, UPnP and web applications"),
    known(5001, "https-5001", "Synology NAS with TLS"),
    known(5003, "filemaker", "FileMaker databases, common in small offices"),
    known(5007, "melsec", "Mitsubishi MELSEC controllers"),
    known(5060, "sip", "telephones"),
    known(5061, "sips", "telephones with TLS"),
    known(5222, "xmpp-client", "chat"),
    known(5357, "wsdapi", "Windows device discovery; printers"),
    known(5432, "postgresql", "PostgreSQL"),
    known(5480, "vami", "management of VMware appliances"),
    known(5555, "softether", "SoftEther VPN; Android debugging; Data Protector backup"),
    known(5601, "kibana", "Kibana"),
    known(5632, "pcanywherestat", "remote control of the old kind"),
    known(5666, "nrpe", "monitoring (Nagios)"),
    known(5671, "amqps", "message queues with TLS"),
    known(5672, "amqp", "message queues"),
    known(5800, "vnc-http", "remote desktop in the browser"),
    known(5900, "rfb", "VNC remote desktop"),
    known(5901, "rfb-1", "VNC, second screen"),
    known(5938, "teamviewer", "remote control"),
    known(5984, "couchdb", "CouchDB"),
    known(5985, "wsman", "Windows remote management"),
    known(5986, "wsmans", "Windows remote management with TLS"),
    known(6000, "x11", "X displays"),
    known(6379, "redis", "Redis"),
    known(6443, "kubernetes", "the interface of a Kubernetes cluster"),
    known(6556, "checkmk-agent", "monitoring (Checkmk)"),
    known(7001, "weblogic", "WebLogic; also cameras"),
    known(7070, "rtsp-7070", "cameras and streaming; AnyDesk"),
    known(7443, "https-7443", "management pages of wireless controllers"),
    known(7547, "cwmp", "routers managed by their provider"),
    known(7680, "delivery-optimization", "Windows machines share updates"),
    known(8000, "http-8000", "web pages of cameras, recorders and applications"),
    known(8006, "proxmox", "Proxmox hypervisors"),
    known(8008, "http-alt", "web pages; Chromecast"),
    known(8009, "ajp", "Tomcat behind a web server; Chromecast"),
    known(8080, "http-alt", "web pages of proxies, printers and applications"),
    known(8081, "http-8081", "web pages of management servers"),
    known(8086, "influxdb", "InfluxDB"),
    known(8088, "http-8088", "web pages; Hadoop; Splunk collectors"),
    known(8089, "splunkd", "the management port of Splunk"),
    known(8090, "http-8090", "Confluence; cameras"),
    known(8123, "http-8123", "Home Assistant; ClickHouse"),
    known(8140, "puppet", "Puppet configuration management"),
    known(8193, "focas", "Fanuc machine tools"),
    known(8291, "winbox", "MikroTik routers"),
    known(8443, "https-8443", "management pages with TLS"),
    known(8501, "kv-host-link", "Keyence controllers"),
    known(8530, "wsus", "Windows updates"),
    known(8531, "wsus-s", "Windows updates with TLS"),
    known(8611, "canon-bjnp1", "Canon printers and scanners"),
    known(8728, "mikrotik-api", "MikroTik routers"),
    known(8883, "secure-mqtt", "messages of sensors and machines with TLS"),
    known(8888, "http-8888", "web applications and notebooks"),
    known(9000, "http-9000", "web applications, object storage, PHP"),
    known(9080, "http-9080", "application servers (WebSphere)"),
    known(9090, "http-9090", "Cockpit, Prometheus, routers"),
    known(9091, "http-9091", "metrics gateways and torrent clients"),
    known(9100, "pdl-datastream", "printers take raw data here"),
    known(9200, "elasticsearch", "Elasticsearch and OpenSearch"),
    known(9300, "elasticsearch-node", "the same between members"),
    known(9392, "veeam", "Veeam backup"),
    known(9418, "git", "source code"),
    known(9443, "https-9443", "management pages with TLS (vSphere, Portainer)"),
    known(9600, "fins", "Omron controllers"),
    known(10000, "webmin", "Webmin; backup of NAS over NDMP"),
    known(10001, "http-10001", "serial servers and embedded web pages"),
    known(10050, "zabbix-agent", "monitoring (Zabbix)"),
    known(10051, "zabbix-trapper", "the monitoring server itself"),
    known(10250, "kubelet", "Kubernetes nodes"),
    known(10443, "https-10443", "VPN gateways"),
    known(11211, "memcache", "Memcached"),
    known(15672, "rabbitmq-management", "RabbitMQ's management"),
    known(18245, "ge-srtp", "GE controllers"),
    known(20000, "dnp", "DNP3 substations and pumps"),
    known(20240, "jp1bsuser", "Hitachi JP1 users and jobs"),
    known(27017, "mongodb", "MongoDB"),
    known(30000, "hulft", "file exchange between Japanese companies (HULFT)"),
    known(31000, "hulft-obs", "requests to HULFT"),
    known(34567, "dvr", "recorders sold under many names"),
    known(44818, "EtherNet-IP-2", "Rockwell and other controllers"),
    known(49152, "dynamic-first", "first dynamic port: Windows RPC, UPnP"),
    known(50000, "db2", "Db2 databases; SAP"),
    known(50001, "openapi", "Konica Minolta office machines; SAP"),
    known(50100, "sap-j2ee", "SAP application servers"),
    known(54921, "brother-scan", "Brother scanners"),
    known(62078, "iphone-sync", "tells of Apple telephones and tablets"),
];

/// The UDP ports that are asked by default. Not in it: ports whose services are silent to
/// strangers whatever they are asked (WireGuard's 51820, RADIUS's 1812, LLMNR's 5355), and what
/// leaves a trace on others. The controllers' ports are asked in their own profile only
/// ([`crate::probe::udp::is_for_control_systems`]).
pub const UDP: [KnownPort; 35] = [
    known(53, "domain", "DNS"),
    known(69, "tftp", "configurations and firmware, without a password"),
    known(88, "kerberos", "logins of Windows domains"),
    known(111, "sunrpc", "lists the RPC services of Unix hosts and NAS"),
    known(123, "ntp", "time"),
    known(137, "netbios-ns", "names of Windows machines and NAS"),
    known(161, "snmp", "what network gear, printers and power supplies say of themselves"),
    known(177, "xdmcp", "login screens without encryption"),
    known(389, "cldap", "Windows domain controllers"),
    known(427, "svrloc", "hypervisors, printers and storage; an amplifier of attacks"),
    known(443, "quic", "web pages by HTTP/3"),
    known(500, "isakmp", "VPN gateways"),
    known(502, "mbap", "Modbus controllers that take datagrams"),
    known(623, "ipmi", "server management controllers"),
    known(1194, "openvpn", "VPN"),
    known(1434, "ms-sql-m", "lists the instances of SQL Server"),
    known(1701, "l2tp", "VPN gateways whose tunnel is open without IPsec"),
    known(1900, "ssdp", "UPnP devices"),
    known(2425, "ipmsg", "desks of Japanese offices (IP Messenger)"),
    known(3478, "stun", "relays of telephony and meetings"),
    known(3671, "knx", "gateways to lamps, blinds and heating"),
    known(3702, "ws-discovery", "cameras (ONVIF), printers, Windows"),
    known(4433, "dtls-4433", "VPN gateways over datagrams"),
    known(4500, "ipsec-nat-t", "VPN gateways behind NAT"),
    known(5060, "sip", "telephones"),
    known(5351, "nat-pmp", "routers that open ports for whoever asks"),
    known(5353, "mdns", "what devices call themselves and offer"),
    known(5678, "mndp", "MikroTik routers"),
    known(5683, "coap", "small sensors"),
    known(5684, "coaps", "small sensors with encryption"),
    known(9600, "fins", "Omron controllers"),
    known(10001, "ubiquiti", "Ubiquiti radios, cameras and gateways"),
    known(11211, "memcache", "Memcached; an amplifier of attacks"),
    known(44818, "EtherNet-IP-2", "Rockwell and other controllers"),
    known(47808, "bacnet", "building control"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let got = text.parse::<PortSpec>().map(|s| s.to_string()).map_err(|e| e.to_string());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{text:?}"),
            (Err(got), Err(part)) => assert!(got.contains(part), "{got:?}"),
            (got, expected) => panic!("{text:?}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_language_of_ports() {
        check("22,80,8000-8100,u:161,u:500-501", Ok("22,80,8000-8100,u:161,u:500-501"));
        check(" u:161 , t:22,", Ok("22,u:161"));
        check("u:161", Ok("u:161"));
        check("", Err("no port is named"));
        check(",", Err("no port is named"));
        check("u:", Err("port \"u:\": no number follows"));
        check("0", Err("0 is not a port"));
        check("u:70000", Err("port \"u:70000\": expected a number"));
        check("22,9-3", Err("port \"9-3\": the range runs backwards"));
        check("x:22", Err("port \"x:22\": expected"));
        check("http", Err("port \"http\": expected"));
    }

    #[test]
    fn the_words_stand_for_the_lists() {
        let spec: PortSpec = "default".parse().unwrap();
        assert_eq!((spec.tcp.len(), spec.udp.len()), (200, 35));
        assert_eq!(spec, PortSpec::default());
        let spec: PortSpec = "all".parse().unwrap();
        assert_eq!((spec.tcp.len(), spec.udp.len()), (65_535, 35));
        let spec: PortSpec = "default,64999,u:64999".parse().unwrap();
        assert_eq!((spec.tcp.len(), spec.udp.len()), (201, 36));
    }

    #[test]
    fn the_lists_are_sorted_unique_and_explained() {
        for list in [&TCP[..], &UDP[..]] {
            assert!(list.is_sorted_by(|a, b| a.port < b.port));
            for known in list {
                assert!(known.port > 0);
                assert!(!known.service.is_empty() && !known.service.contains(' '), "{known:?}");
                assert!(known.why.len() >= 2 && !known.why.ends_with('.'), "{known:?}");
            }
        }
        assert_eq!((TCP.len(), UDP.len()), (200, 35));
    }
}
