//! What stands in the simulated organisation: a table of models, people, and what they write down.
//!
//! Nothing here is anybody's: the organisation, its people and its addresses (198.18.0.0/15) do not
//! exist. Hardware addresses begin as those of the makers do, so that the makers are recognised.

use std::path::Path;

use inventory::approval::Verdict;

/// How a device comes and goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Habit {
    /// Always there.
    Fixed,
    /// There on most working days, at another address every few days.
    Leased,
    /// There on some days, with a hardware address that software chose.
    Rotating,
}

/// A kind of device, and how many of them each site has.
pub(super) struct Model {
    pub(super) name: &'static str,
    pub(super) counts: [u32; 2],
    /// How the maker's addresses begin.
    pub(super) maker: [u8; 3],
    pub(super) habit: Habit,
    pub(super) system: Option<(&'static str, &'static str)>,
    /// `PORT PROTOCOL [PRODUCT [VERSION]]`; versions after the first came later.
    pub(super) services: &'static [&'static str],
}

const fn model(
    name: &'static str,
    counts: [u32; 2],
    maker: [u8; 3],
    habit: Habit,
    system: Option<(&'static str, &'static str)>,
    services: &'static [&'static str],
) -> Model {
    Model { name, counts, maker, habit, system, services }
}

use Habit::{Fixed, Leased, Rotating};

const WINDOWS: Option<(&str, &str)> = Some(("Windows 11", "24H2"));

/// Two sites: the head office and a plant.
#[rustfmt::skip]
pub(super) const MODELS: &[Model] = &[
    model("pc", [150, 40], [0x00, 0x1e, 0xc9], Leased, WINDOWS, &["445 smb", "3389 rdp"]),
    model("note", [90, 20], [0x3c, 0x52, 0x82], Leased, WINDOWS, &["445 smb"]),
    model("mac", [25, 0], [0x90, 0x9c, 0x4a], Leased, Some(("macOS", "15")), &["22 ssh OpenSSH 9.9", "5900 vnc"]),
    model("phone", [60, 10], [0x02, 0, 0], Rotating, None, &[]),
    model("printer", [18, 5], [0x00, 0x80, 0x77], Fixed, None, &["80 http", "631 ipp", "9100 jetdirect"]),
    model("copier", [6, 2], [0x00, 0x26, 0x73], Fixed, None, &["80 http", "443 https", "515 printer", "9100 jetdirect"]),
    model("camera", [14, 16], [0xac, 0xcc, 0x8e], Fixed, None, &["80 http", "443 https", "554 rtsp"]),
    model("tel", [40, 8], [0x00, 0x15, 0x65], Fixed, None, &["80 http", "5060 sip"]),
    model("core", [1, 1], [0x00, 0x1a, 0xa1], Fixed, None, &["22 ssh Cisco 1.25", "443 https"]),
    model("switch", [8, 5], [0x00, 0x1a, 0xa1], Fixed, None, &["22 ssh Cisco 1.25", "443 https"]),
    model("ap", [7, 4], [0x00, 0x0b, 0x86], Fixed, None, &["22 ssh OpenSSH 7.4", "443 https"]),
    model("dc", [2, 1], [0x00, 0x50, 0x56], Fixed, Some(("Windows Server", "2022")), &["53 dns", "88 kerberos", "389 ldap", "445 smb", "636 https"]),
    model("web", [5, 1], [0x00, 0x50, 0x56], Fixed, Some(("Debian", "13")), &["22 ssh OpenSSH 9.6p1 10.0p1", "443 https nginx 1.24.0 1.28.0"]),
    model("app", [7, 1], [0x00, 0x50, 0x56], Fixed, Some(("Ubuntu", "24.04")), &["22 ssh OpenSSH 9.6p1", "80 http Apache 2.4.58 2.4.65", "443 https"]),
    model("db", [4, 1], [0x00, 0x50, 0x56], Fixed, Some(("Rocky Linux", "9")), &["22 ssh OpenSSH 8.7", "3306 mysql MySQL 8.0.36 8.4.2"]),
    model("nas", [3, 1], [0x00, 0x11, 0x32], Fixed, None, &["22 ssh OpenSSH 8.2", "445 smb", "5001 https"]),
    model("mail", [1, 0], [0x00, 0x50, 0x56], Fixed, Some(("Debian", "12")), &["22 ssh OpenSSH 9.2p1", "25 smtp Postfix", "993 https Dovecot 2.3.19"]),
    model("plc", [0, 12], [0x00, 0x0e, 0x8c], Fixed, None, &["80 http", "102 s7"]),
    model("hmi", [0, 6], [0x00, 0x80, 0xf4], Fixed, Some(("Windows 10", "22H2")), &["445 smb", "502 modbus", "5900 vnc"]),
    model("ups", [3, 3], [0x00, 0xc0, 0xb7], Fixed, None, &["23 telnet", "80 http"]),
    model("old", [2, 1], [0x00, 0x50, 0x56], Fixed, Some(("CentOS", "6")), &["21 ftp vsftpd 2.2.2", "22 ssh OpenSSH 5.3", "80 http Apache 2.2.15"]),
    // What nobody wrote down.
    model("raspberrypi", [4, 2], [0xb8, 0x27, 0xeb], Fixed, Some(("Debian", "12")), &["22 ssh OpenSSH 9.2p1", "8080 http"]),
    model("router", [1, 1], [0x50, 0xc7, 0xbf], Fixed, None, &["53 dns", "80 http"]),
    model("ipcam", [2, 0], [0x28, 0x57, 0xbe], Fixed, None, &["80 http", "554 rtsp", "23 telnet"]),
];

/// From here on nothing is in the register.
pub(super) const UNKNOWN_FROM: &str = "raspberrypi";

pub(super) const SITES: [&str; 2] = ["Tokyo head office", "名古屋工場"];

/// Who answers for things: name, department.
pub(super) const PEOPLE: &[(&str, &str)] = &[
    ("佐藤 花子", "総務部"),
    ("鈴木 一郎", "情報システム部"),
    ("Tanaka Ken", "Sales"),
    ("高橋 美咲", "経理部"),
    ("Anna Müller", "Engineering"),
    ("渡辺 健", "製造部"),
    ("Ito Yuki", "Human resources"),
];

/// Where things stand.
pub(super) const PLACES: &[&str] =
    &["1F 受付", "2F office", "3F 会議室", "Server room", "4F 開発室", "Warehouse"];

/// What is decided of whom: on which day, by which of the people, and why.
pub(super) const VERDICTS: &[(u64, usize, &str, Verdict, &str)] = &[
    (30, 1, "raspberrypi-tyo-001", Verdict::Approved, "sensor of the weather club"),
    (40, 4, "raspberrypi-tyo-002", Verdict::Investigating, "asked the third floor"),
    (50, 1, "router-tyo-001", Verdict::Rejected, "家庭用ルーターは持ち込み禁止"),
    (60, 5, "old-ngo-001", Verdict::Approved, "controls the oven until it is replaced"),
];

pub(super) const SOFTWARE: &str = "product,versions,status,reason\n\
    nginx,>=1.24,approved,\nOpenSSH,>=7.4,approved,\nCisco,,approved,\nApache,>=2.4,approved,\nMySQL,>=8,approved,\n\
    Postfix,,approved,\nDovecot,,approved,\nvsftpd,,forbidden,FTP is not used any more\n\
    Apache,<2.4,forbidden,no longer supported\n";

pub(super) const ISSUERS: &str = "name,status\nDemo Internal CA,approved\n";

/// Where the page is served.
pub(super) const PAGE: &str = "127.0.0.1:8443";

/// The configuration with which the database was filled: with it everything is shown as it was
/// concluded. Its jobs would sweep addresses that nobody has, and are never due.
pub(super) fn configuration(database: &Path, root: &Path, alerts: &Path) -> String {
    format!(
        "# Of the demonstration: daicho --config THIS-FILE assets\n\
         database = {database:?}\n\n\
         [site]\nname = {site:?}\nvantage = \"sensor-1\"\n\n\
         [certificates]\nsystem_roots = false\nroots = [{root:?}]\n\n\
         [network]\ndhcp_servers = [\"198.18.1.11\", \"198.18.1.12\", \"198.19.0.101\"]\n\
         resolvers = [\"198.18.1.11\", \"198.18.1.12\"]\n\n\
         [web]\nlisten = {listen:?}\n\n\
         [[jobs]]\nname = \"nightly\"\nkind = \"sweep\"\nschedule = \"30 2 29 2 *\"\n\
         targets = [\"198.18.0.0/21\"]\n\n\
         [[jobs]]\nname = \"plant\"\nkind = \"sweep\"\nschedule = \"30 3 29 2 *\"\n\
         site = {plant:?}\ntargets = [\"198.19.0.0/22\"]\nprofile = \"ot\"\n\n\
         [[jobs]]\nname = \"tidy\"\nkind = \"prune\"\nschedule = \"0 5 29 2 *\"\n\n\
         [[routes]]\nname = \"office\"\ntype = \"file\"\npath = {alerts:?}\n\
         about = [\"approval\", \"risk\", \"discovery\", \"state\"]\n",
        listen = PAGE,
        site = SITES[0],
        plant = SITES[1],
    )
}
