//! What an SNMP agent's sysDescr means: free text, in which every maker has habits.
//!
//! Three kinds are told apart: the text of uname(1), which general-purpose systems give;
//! texts that name an operating system of network gear; and everything else, of which
//! maker, model and firmware version are read by the habits that most makers share. Only
//! what the text names is told.

use model::Fact;

use super::product;

/// What a description says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Described {
    /// The maker of the device.
    pub(crate) vendor: Option<String>,
    /// The model of the device.
    pub(crate) hardware: Option<String>,
    /// The version of its system, or of its firmware where no system is named.
    pub(crate) version: Option<String>,
    /// The version of its firmware, where a system of another version is named too.
    pub(crate) firmware: Option<String>,
    /// The machine's own name, where the text is uname's.
    pub(crate) name: Option<String>,
    /// The operating system: its name, vendor and product of its CPE name.
    system: Option<(&'static str, Option<(&'static str, &'static str)>)>,
}

impl Described {
    /// The operating system as a fact, where the text names one.
    pub(crate) fn operating_system(&self) -> Option<Fact> {
        let (name, cpe) = self.system?;
        Some(product::system(name, self.version.as_deref(), cpe))
    }
}

/// Reads a description.
pub(crate) fn read(text: &str) -> Described {
    let text = text.trim();
    uname(text)
        .or_else(|| windows(text))
        .or_else(|| appliance(text))
        .or_else(|| gear(text))
        .unwrap_or_else(|| device(text))
}

/// How a text begins or what it has, the system's name, vendor and product of its CPE name.
type Row = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// Systems whose agents give uname's words: system, node, release.
const UNAMES: [Row; 10] = [
    ("Linux", "Linux", Some(("linux", "linux_kernel"))),
    ("FreeBSD", "FreeBSD", Some(("freebsd", "freebsd"))),
    ("NetBSD", "NetBSD", Some(("netbsd", "netbsd"))),
    ("OpenBSD", "OpenBSD", Some(("openbsd", "openbsd"))),
    ("DragonFly", "DragonFly BSD", Some(("dragonflybsd", "dragonfly_bsd"))),
    ("Darwin", "Darwin", None),
    ("SunOS", "Solaris", Some(("oracle", "solaris"))),
    ("HP-UX", "HP-UX", Some(("hp", "hp-ux"))),
    ("OpenVMS", "OpenVMS", Some(("hp", "openvms"))),
    ("IRIX64", "IRIX", Some(("sgi", "irix"))),
];

fn uname(text: &str) -> Option<Described> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let (_, name, cpe) = UNAMES.iter().find(|(start, ..)| *start == first)?;
    let second = words.next()?;
    let third = words.next();
    let numbered = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    // Some agents leave the node out, or spell out `release:`.
    let (node, release) = match (second, third) {
        (second, Some(third)) if numbered(&third) && !numbered(&second) => (Some(second), third),
        (second, _) if numbered(&second) => (None, second),
        (second, _) => (None, second.strip_prefix("release:").filter(numbered)?),
    };
    let version = match *name {
        // SunOS 5.10 is sold as Solaris 10.
        "Solaris" => release.strip_prefix("5.").unwrap_or(release),
        _ => release,
    };
    let node = node.filter(|node| *node != "(none)");
    Some(Described {
        version: Some(version.to_owned()),
        name: node.map(str::to_owned),
        system: Some((name, *cpe)),
        ..Described::default()
    })
}

/// `USW-8P-60, 4.3.20.11298, Linux 3.6.5`: model, firmware, kernel.
fn appliance(text: &str) -> Option<Described> {
    let mut parts = text.split(", ");
    let (model, firmware, kernel) = (parts.next()?, parts.next()?, parts.next()?);
    let kernel = kernel.strip_prefix("Linux ").filter(|kernel| is_version(kernel))?;
    let firmware = firmware.trim_start_matches(|c: char| c.is_alphabetic() || c == ' ');
    Some(Described {
        hardware: Some(model.to_owned()),
        version: Some(kernel.to_owned()),
        firmware: Some(firmware.to_owned()).filter(|firmware| is_version(firmware)),
        system: Some(("Linux", Some(("linux", "linux_kernel")))),
        ..Described::default()
    })
}

/// `Hardware: … - Software: Windows Version 6.3 (Build 9600 Multiprocessor Free)`.
fn windows(text: &str) -> Option<Described> {
    let (_, software) = text.split_once("Software: Windows")?;
    let (_, rest) = software.split_once("Version ")?;
    let version = rest.split(' ').next()?;
    let build = rest.split_once("(Build ").and_then(|(_, rest)| rest.split([' ', ')']).next());
    let build = build.filter(|build| !build.is_empty() && build.chars().all(char::is_numeric));
    Some(Described {
        version: Some(build.map_or(version.to_owned(), |build| format!("{version}.{build}"))),
        system: Some(("Windows", Some(("microsoft", "windows")))),
        ..Described::default()
    })
}

/// Operating systems of network gear and appliances, by words that only their texts have.
const GEAR: [Row; 45] = [
    ("Cisco IOS XR", "Cisco IOS XR", Some(("cisco", "ios_xr"))),
    ("IOS-XE", "Cisco IOS XE", Some(("cisco", "ios_xe"))),
    ("Cisco IOS Software [", "Cisco IOS XE", Some(("cisco", "ios_xe"))),
    ("Cisco NX-OS", "Cisco NX-OS", Some(("cisco", "nx-os"))),
    (
        "Cisco Adaptive Security",
        "Cisco ASA",
        Some(("cisco", "adaptive_security_appliance_software")),
    ),
    ("Cisco PIX", "Cisco PIX", Some(("cisco", "pix_firewall"))),
    ("Cisco IOS", "Cisco IOS", Some(("cisco", "ios"))),
    ("Cisco Internetwork Operating System", "Cisco IOS", Some(("cisco", "ios"))),
    ("IOS (tm)", "Cisco IOS", Some(("cisco", "ios"))),
    ("Cisco Catalyst Operating System", "CatOS", Some(("cisco", "catos"))),
    ("JUNOS", "Junos", Some(("juniper", "junos"))),
    ("ScreenOS", "ScreenOS", Some(("juniper", "netscreen_screenos"))),
    ("Arista Networks EOS", "Arista EOS", Some(("arista", "eos"))),
    ("ExtremeXOS", "ExtremeXOS", Some(("extremenetworks", "extremexos"))),
    ("ExtremeWare", "ExtremeWare", Some(("extremenetworks", "extremeware"))),
    ("Comware", "Comware", Some(("hp", "comware"))),
    ("Huawei Versatile Routing Platform", "Huawei VRP", Some(("huawei", "vrp"))),
    ("VRP (R) software", "Huawei VRP", Some(("huawei", "vrp"))),
    ("ArubaOS", "ArubaOS", Some(("arubanetworks", "arubaos"))),
    ("IronWare", "IronWare", Some(("brocade", "ironware"))),
    ("RouterOS", "RouterOS", Some(("mikrotik", "routeros"))),
    ("FortiGate", "FortiOS", Some(("fortinet", "fortios"))),
    ("Palo Alto Networks", "PAN-OS", Some(("paloaltonetworks", "pan-os"))),
    ("SonicOS", "SonicOS", Some(("sonicwall", "sonicos"))),
    ("TiMOS", "TiMOS", Some(("nokia", "timos"))),
    ("SEOS", "SmartEdge OS", None),
    ("Redback Networks", "Redback AOS", None),
    ("NetScaler", "NetScaler", Some(("citrix", "netscaler"))),
    ("Data ONTAP", "Data ONTAP", Some(("netapp", "data_ontap"))),
    ("VMware ESX", "VMware ESX", Some(("vmware", "esx"))),
    ("VMware ESXi", "VMware ESXi", Some(("vmware", "esxi"))),
    ("VxWorks", "VxWorks", Some(("windriver", "vxworks"))),
    ("NetWare", "NetWare", Some(("novell", "netware"))),
    ("IBM OS/400", "OS/400", Some(("ibm", "os_400"))),
    ("AIX", "AIX", Some(("ibm", "aix"))),
    ("Tru64", "Tru64 UNIX", Some(("hp", "tru64"))),
    ("Dell Force10", "Force10 OS", Some(("dell", "force10"))),
    ("Force10 Operating System", "Force10 OS", Some(("dell", "force10"))),
    ("Dell Networking OS", "Dell Networking OS", Some(("dell", "networking_os"))),
    ("Yamaha RT", "Yamaha RT firmware", None),
    ("PfSense", "pfSense", Some(("netgate", "pfsense"))),
    ("pfSense", "pfSense", Some(("netgate", "pfsense"))),
    ("EdgeOS", "EdgeOS", Some(("ui", "edgeos"))),
    ("Cumulus Linux", "Cumulus Linux", Some(("nvidia", "cumulus_linux"))),
    ("APC OS", "AOS", Some(("apc", "aos"))),
];

fn gear(text: &str) -> Option<Described> {
    let (mark, name, cpe) = GEAR.iter().find(|(mark, ..)| text.contains(mark))?;
    let (before, after) = text.split_once(mark)?;
    // The version stands behind the name, seldom before it.
    let version = version(after).or_else(|| version(before));
    let device = device(text);
    // `Cisco IOS Software, C2960 Software (C2960-LANBASEK9-M), …` names the platform later.
    let platform = after.split_once("Software, ").and_then(|(_, rest)| rest.split(' ').next());
    let own = device.hardware.filter(|model| !mark.contains(model.as_str()));
    let hardware = own.or(platform.map(str::to_owned));
    let vendor = device.vendor;
    let system = Some((*name, *cpe));
    Some(Described { vendor, version, hardware, system, ..Described::default() })
}

/// Maker, model and firmware, by common habits: maker first, then model, then a word like
/// `Version` and the version.
fn device(text: &str) -> Described {
    let vendor = vendor(text);
    Described {
        version: version(text),
        hardware: hardware(text, vendor),
        vendor: vendor.map(|(_, name)| name.to_owned()),
        ..Described::default()
    }
}

/// Makers, by how their texts begin (without regard to case), and their usual names.
const MAKERS: [(&str, &str); 72] = [
    ("3com", "3Com"),
    ("adtran", "Adtran"),
    ("allen-bradley", "Rockwell Automation"),
    ("allied telesis", "Allied Telesis"),
    ("allied telesyn", "Allied Telesis"),
    ("apc ", "APC"),
    ("apple ", "Apple"),
    ("aruba", "Aruba"),
    ("avaya", "Avaya"),
    ("axis ", "Axis"),
    ("bay networks", "Bay Networks"),
    ("bintec", "bintec"),
    ("brocade", "Brocade"),
    ("brother", "Brother"),
    ("buffalo", "Buffalo"),
    ("cabletron", "Cabletron"),
    ("canon", "Canon"),
    ("cisco", "Cisco"),
    ("d-link", "D-Link"),
    ("dell", "Dell"),
    ("digi ", "Digi"),
    ("eaton", "Eaton"),
    ("enterasys", "Enterasys"),
    ("epson", "Epson"),
    ("ericsson", "Ericsson"),
    ("extreme networks", "Extreme Networks"),
    ("extreme", "Extreme Networks"),
    ("f5 ", "F5"),
    ("foundry", "Foundry"),
    ("fuji xerox", "Fuji Xerox"),
    ("fujifilm", "Fujifilm"),
    ("fujitsu", "Fujitsu"),
    ("h3c", "H3C"),
    ("hewlett-packard", "HP"),
    ("hewlett packard", "HP"),
    ("hirschmann", "Hirschmann"),
    ("hitachi", "Hitachi"),
    ("hp ", "HP"),
    ("huawei", "Huawei"),
    ("ibm ", "IBM"),
    ("infoprint", "InfoPrint"),
    ("juniper", "Juniper"),
    ("konica minolta", "Konica Minolta"),
    ("kyocera", "Kyocera"),
    ("lantronix", "Lantronix"),
    ("lexmark", "Lexmark"),
    ("linksys", "Linksys"),
    ("lucent", "Lucent"),
    ("minolta", "Minolta"),
    ("moxa", "Moxa"),
    ("nec ", "NEC"),
    ("netgear", "Netgear"),
    ("nokia", "Nokia"),
    ("nortel", "Nortel"),
    ("nrg ", "NRG"),
    ("oce", "Océ"),
    ("oki", "Oki"),
    ("panasonic", "Panasonic"),
    ("planet", "Planet"),
    ("procurve", "HP"),
    ("qnap", "QNAP"),
    ("raritan", "Raritan"),
    ("ricoh", "Ricoh"),
    ("samsung", "Samsung"),
    ("sharp ", "Sharp"),
    ("siemens", "Siemens"),
    ("sonicwall", "SonicWall"),
    ("synology", "Synology"),
    ("toshiba", "Toshiba"),
    ("xerox", "Xerox"),
    ("yamaha", "Yamaha"),
    ("zyxel", "ZyXEL"),
];

type Maker = (&'static str, &'static str);

fn vendor(text: &str) -> Option<Maker> {
    // Longer beginnings first: `Fuji Xerox` is not Xerox, `Hewlett-Packard` is HP.
    let begins = |(start, _): &&Maker| {
        let head = text.get(..start.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    MAKERS.iter().filter(begins).max_by_key(|(start, _)| start.len()).copied()
}

/// The model: what stands between the maker and the first word about software.
fn hardware(text: &str, vendor: Option<Maker>) -> Option<String> {
    // HP's print servers: `PID:HP LaserJet 4250`.
    if let Some((_, model)) = text.split_once(",PID:") {
        return Some(model.trim().to_owned()).filter(|model| !model.is_empty());
    }
    // APC's: `(MB:v3.8.6 … AF1:v3.5.3 … MN:AP9361 HR:04 SN:…)`.
    if let Some((_, rest)) = text.split_once(" MN:") {
        return rest.split([' ', ')']).next().map(str::to_owned);
    }
    let (start, _) = vendor?;
    let rest = text.get(start.trim_end().len()..)?;
    let rest = rest.trim_start_matches([' ', ',', '-', ':', '(', ')', '.', '®']);
    let rest = [
        "Networks, Inc.",
        "Networks,Inc,",
        "Networks, Inc",
        "Networks",
        "Systems, Inc.",
        "Inc. -",
        "Inc.",
        "Corporation",
    ]
    .iter()
    .find_map(|word| rest.strip_prefix(word))
    .unwrap_or(rest)
    .trim_start_matches([' ', ',', '-', '.']);
    let mut model: Vec<&str> = Vec::new();
    for word in rest.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', ':', '/']);
        let lower = bare.to_ascii_lowercase();
        if STOPS.contains(&lower.as_str()) || is_version(bare) || bare == "-" || bare.is_empty() {
            break;
        }
        let inner = bare.split([',', ';']).next().unwrap_or(bare);
        model.push(inner);
        if word.ends_with([',', ';']) || inner.len() < bare.len() || model.len() >= 6 {
            break;
        }
    }
    // Kinds of device behind the model say nothing more.
    while model.last().is_some_and(|word| KINDS.contains(&word.to_ascii_lowercase().as_str())) {
        model.pop();
    }
    Some(model.join(" ")).filter(|model| model.chars().any(|c| c.is_ascii_alphanumeric()))
}

/// Words behind which a version stands, or which end a model.
const STOPS: [&str; 23] = [
    "version", "ver", "ver.", "v", "revision", "rev", "rev.", "release", "rel", "firmware", "fw",
    "software", "sw", "s/w", "runtime", "os", "series", "hw", "rom", "kernel", "build", "system",
    "/",
];

const KINDS: [&str; 10] = [
    "switch",
    "router",
    "printer",
    "network",
    "ethernet",
    "series",
    "with",
    "laser",
    "and",
    "multifunction",
];

/// The version: the first word like one behind a word that announces it, else the first
/// that has a dot.
fn version(text: &str) -> Option<String> {
    let separators = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '=' | ':' | '[' | ']');
    let words: Vec<&str> = text.split(separators).filter(|word| !word.is_empty()).collect();
    // A device that tells several versions is known by that of its software. What merely
    // follows the name of a thing that has a version needs a dot.
    const SOFTWARE: [&str; 7] = ["software", "s/w", "sw", "softw", "sw_ver", "junos", "af1"];
    const VERSION: [&str; 8] =
        ["version", "ver", "ver.", "release", "rel", "v", "revision", "firmware"];
    const OTHER: [&str; 6] = ["rev", "rev.", "fw", "os", "runtime", "kernel"];
    let behind = |marks: &[&str], fits: fn(&str) -> bool| {
        words.windows(2).find_map(|pair| {
            let [mark, word] = pair else { return None };
            let mark = mark.trim_start_matches(['(', '-', '/']).to_ascii_lowercase();
            let word = clean(word);
            (marks.contains(&mark.as_str()) && fits(word)).then(|| word.to_owned())
        })
    };
    let announced = behind(&SOFTWARE, |word| word.contains('.') && starts_version(word))
        .or_else(|| behind(&VERSION, starts_version))
        .or_else(|| behind(&OTHER, |word| word.contains('.') && starts_version(word)));
    let found = announced.or_else(|| {
        words.iter().map(|word| clean(word)).find(|word| is_version(word)).map(str::to_owned)
    })?;
    let lead = found.strip_prefix(['v', 'V']).filter(|rest| rest.starts_with(char::is_numeric));
    Some(lead.unwrap_or(&found).to_owned())
}

/// A word without the punctuation around it; parentheses inside (`12.2(55)SE`) stay.
fn clean(word: &str) -> &str {
    let word =
        word.trim_start_matches(['(', '\'', '"', '-']).trim_end_matches(['.', '\'', '"', '/']);
    let word = word.strip_prefix("Ver.").or_else(|| word.strip_prefix("FW")).unwrap_or(word);
    // `Extended_V2.41`: an edition before the version.
    let word = word.split_once("_V").map_or(word, |(_, version)| version);
    // `3.5/7(981112)`: a build behind it. `12.2(55)SE` is all version.
    let word = match word.split_once('/') {
        Some((version, _)) if is_version(version) => version,
        _ => word,
    };
    let word = match word.split_once('(') {
        Some((version, build)) if build.len() > 5 && is_version(version) => version,
        _ => word,
    };
    match word.strip_suffix(')') {
        Some(inner) if !inner.contains('(') => inner,
        _ => word,
    }
}

/// Whether a word may be a version where one is announced: numbers with dots and letters,
/// or a short code such as `D241`; not a name that begins with a digit.
fn starts_version(word: &str) -> bool {
    let digit = word.contains(|c: char| c.is_ascii_digit());
    let letters = word.chars().take_while(char::is_ascii_alphabetic).count();
    let tail = word.get(letters..).unwrap_or_default();
    digit && (word.contains('.') || (letters <= 3 && tail.chars().all(|c| !c.is_alphabetic())))
}

/// Whether a word is a version by itself: numbers with a dot between, perhaps behind a `v`.
fn is_version(word: &str) -> bool {
    let bare = word.strip_prefix(['v', 'V', 'R']).unwrap_or(word);
    let digits = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    digits.len() < bare.len()
        && digits.strip_prefix('.').is_some_and(|rest| rest.starts_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::corpus;

    #[track_caller]
    fn check(text: &str, system: Option<&str>, version: Option<&str>, hardware: Option<&str>) {
        let described = read(text);
        let got = (
            described.system.map(|(name, _)| name),
            described.version.as_deref(),
            described.hardware.as_deref(),
        );
        assert_eq!(got, (system, version, hardware), "{text}");
    }

    #[test]
    fn general_systems_give_uname() {
        check(
            "Linux nas-7 6.1.0-18-amd64 #1 SMP Debian 6.1.76-1 x86_64",
            Some("Linux"),
            Some("6.1.0-18-amd64"),
            None,
        );
        assert_eq!(read("Linux nas-7 6.1.0 x86_64").name.as_deref(), Some("nas-7"));
        check("SunOS host 5.10 Generic_127127-11 sun4v", Some("Solaris"), Some("10"), None);
        check(
            "Hardware: Intel64 Family 6 - Software: Windows Version 6.3 (Build 17763 Multiprocessor Free)",
            Some("Windows"),
            Some("6.3.17763"),
            None,
        );
    }

    #[test]
    fn network_gear_names_its_system() {
        check(
            "Cisco IOS Software, C2960 Software (C2960-LANBASEK9-M), Version 12.2(55)SE, RELEASE SOFTWARE (fc2)",
            Some("Cisco IOS"),
            Some("12.2(55)SE"),
            Some("C2960"),
        );
    }

    #[test]
    fn devices_name_maker_model_and_firmware() {
        let text = "Brother NC-8200h, Firmware Ver.1.03 (10.05.20),MID 84UC07";
        check(text, None, Some("1.03"), Some("NC-8200h"));
        assert_eq!(read(text).vendor.as_deref(), Some("Brother"));
        check("a box", None, None, None);
        check("", None, None, None);
    }

    #[test]
    fn the_corpus_agrees() {
        corpus::measure("snmp_sysdescr", 0.85, |example| {
            let described = read(&wire::lines::text(&example.bytes()));
            let wanted = example.wants("os.version")?;
            // The collection keeps some makers' `V` and some separators.
            let wanted = wanted.trim_start_matches(['V', 'v']).trim_end_matches(',');
            let wanted = wanted.strip_prefix("Extended_V").unwrap_or(wanted);
            Some(described.version.as_deref() == Some(wanted))
        });
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,120}") {
            let _ = read(&text);
        }
    }
}
