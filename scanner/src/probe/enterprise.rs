//! Makers by their enterprise number (IANA, Private Enterprise Numbers), for SNMP's engine ids
//! and for management controllers: those whose devices are found inside organisations.

/// Number and name, ascending.
const ENTERPRISES: [(u32, &str); 71] = [
    (2, "IBM"),
    (9, "Cisco"),
    (11, "HP"),
    (42, "Sun"),
    (43, "3Com"),
    (52, "Cabletron"),
    (116, "Hitachi"),
    (119, "NEC"),
    (171, "D-Link"),
    (207, "Allied Telesis"),
    (211, "Fujitsu"),
    (232, "Compaq"),
    (236, "Samsung"),
    (253, "Xerox"),
    (311, "Microsoft"),
    (318, "APC"),
    (343, "Intel"),
    (367, "Ricoh"),
    (476, "Liebert"),
    (534, "Eaton"),
    (641, "Lexmark"),
    (674, "Dell"),
    (789, "NetApp"),
    (850, "Tripp Lite"),
    (890, "Zyxel"),
    (1129, "Toshiba"),
    (1182, "Yamaha"),
    (1248, "Epson"),
    (1347, "Kyocera"),
    (1588, "Brocade"),
    (1602, "Canon"),
    (1916, "Extreme Networks"),
    (1991, "Foundry Networks"),
    (2011, "Huawei"),
    (2435, "Brother"),
    (2620, "Check Point"),
    (2636, "Juniper"),
    (3224, "NetScreen"),
    (3375, "F5"),
    (3417, "Blue Coat"),
    (3808, "CyberPower"),
    (3955, "Linksys"),
    (4413, "Broadcom"),
    (4526, "Netgear"),
    (4881, "Ruijie"),
    (5624, "Enterasys"),
    (5951, "NetScaler"),
    (6027, "Force10"),
    (6486, "Alcatel-Lucent Enterprise"),
    (6527, "Nokia"),
    (6574, "Synology"),
    (6876, "VMware"),
    (8072, "Net-SNMP"),
    (8691, "Moxa"),
    (8741, "SonicWall"),
    (10_876, "Supermicro"),
    (11_863, "TP-Link"),
    (12_356, "Fortinet"),
    (14_179, "Airespace"),
    (14_823, "Aruba"),
    (14_988, "MikroTik"),
    (18_334, "Konica Minolta"),
    (19_046, "Lenovo"),
    (24_681, "QNAP"),
    (25_053, "Ruckus"),
    (25_461, "Palo Alto Networks"),
    (25_506, "H3C"),
    (29_671, "Meraki"),
    (30_065, "Arista"),
    (41_112, "Ubiquiti"),
    (47_196, "Aruba"),
];

/// The maker with that number, where it is one of the list.
pub(super) fn name(number: u32) -> Option<&'static str> {
    let at = ENTERPRISES.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    ENTERPRISES.get(at).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_found_by_number() {
        assert!(ENTERPRISES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(name(9), Some("Cisco"));
        assert_eq!(name(47_196), Some("Aruba"));
        assert_eq!(name(0), None);
    }
}
