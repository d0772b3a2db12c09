//! The columns of each register and the headings by which we know them.
//!
//! The list is documentation as much as code: `docs/registers.md` holds the same one, and
//! a test compares them.

use super::RegisterKind;

/// What a column holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the columns below say what each of them is")]
pub enum Field {
    Reference,
    Name,
    Mac,
    Address,
    HostName,
    MachineId,
    Owner,
    Department,
    Location,
    Purpose,
    Status,
    ValidFrom,
    ValidUntil,
    Product,
    Publisher,
    Version,
    SupportEnds,
    Scope,
    Issuer,
    CertificateHash,
    KeyHash,
}

/// A column of a register and the headings by which we know it.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What it holds.
    pub field: Field,
    /// Its headings; the first is what an export writes. Upper and lower case, blanks,
    /// width, punctuation, a number at the end and notes in parentheses make no difference.
    pub headings: &'static [&'static str],
    /// Whether several columns of a file may hold it (`MAC 1`, `MAC 2`).
    pub list: bool,
    /// Whether an entry can be told apart by it, so that a heading row must have one such.
    pub identifies: bool,
}

const fn one(field: Field, headings: &'static [&'static str]) -> Column {
    Column { field, headings, list: false, identifies: false }
}

const fn key(field: Field, headings: &'static [&'static str]) -> Column {
    Column { field, headings, list: false, identifies: true }
}

const fn keys(field: Field, headings: &'static [&'static str]) -> Column {
    Column { field, headings, list: true, identifies: true }
}

/// The columns of that register, in the order in which an export writes them.
#[must_use]
pub const fn columns(kind: RegisterKind) -> &'static [Column] {
    match kind {
        RegisterKind::Device => DEVICE,
        RegisterKind::Software => SOFTWARE,
        RegisterKind::Issuer => ISSUER,
    }
}

const DEVICE: &[Column] = &[
    key(
        Field::Reference,
        &[
            "reference",
            "asset number",
            "asset no",
            "asset tag",
            "asset id",
            "inventory number",
            "control number",
            "id",
            "no",
            "管理番号",
            "資産番号",
            "台帳番号",
            "機器番号",
            "備品番号",
            "端末番号",
            "番号",
        ],
    ),
    one(
        Field::Name,
        &[
            "name",
            "device name",
            "asset name",
            "device",
            "機器名",
            "機器名称",
            "名称",
            "端末名",
            "品名",
        ],
    ),
    keys(
        Field::Mac,
        &[
            "mac address",
            "mac",
            "macs",
            "mac addresses",
            "hardware address",
            "physical address",
            "ethernet address",
            "wired mac address",
            "wireless mac address",
            "wifi mac address",
            "macアドレス",
            "物理アドレス",
            "ハードウェアアドレス",
            "有線macアドレス",
            "無線macアドレス",
            "有線lan macアドレス",
            "無線lan macアドレス",
        ],
    ),
    keys(
        Field::Address,
        &[
            "ip address",
            "ip",
            "ips",
            "ip addresses",
            "ipv4",
            "ipv6",
            "ipv4 address",
            "ipv6 address",
            "network address",
            "ipアドレス",
            "ipv4アドレス",
            "ipv6アドレス",
            "固定ipアドレス",
            "ネットワークアドレス",
        ],
    ),
    keys(
        Field::HostName,
        &[
            "host name",
            "hosts",
            "host",
            "host names",
            "computer name",
            "machine name",
            "fqdn",
            "dns name",
            "ホスト名",
            "コンピュータ名",
            "コンピューター名",
            "マシン名",
        ],
    ),
    keys(
        Field::MachineId,
        &[
            "serial number",
            "serial no",
            "serial",
            "uuid",
            "machine id",
            "シリアル番号",
            "シリアルno",
            "シリアル",
            "製造番号",
            "機体番号",
        ],
    ),
    one(
        Field::Owner,
        &[
            "owner",
            "asset owner",
            "administrator",
            "admin",
            "responsible",
            "responsible person",
            "contact",
            "user",
            "管理者",
            "管理責任者",
            "責任者",
            "担当者",
            "所有者",
            "使用者",
            "利用者",
        ],
    ),
    one(
        Field::Department,
        &[
            "department",
            "dept",
            "division",
            "business unit",
            "管理部門",
            "管理部署",
            "部門",
            "部署",
            "所属",
            "所管部署",
            "主管部門",
        ],
    ),
    one(
        Field::Location,
        &["location", "place", "site", "room", "設置場所", "場所", "保管場所", "設置拠点", "拠点"],
    ),
    one(
        Field::Purpose,
        &["purpose", "business purpose", "use", "usage", "利用目的", "使用目的", "目的", "用途"],
    ),
    one(
        Field::Status,
        &[
            "status",
            "state",
            "approval",
            "approved",
            "approval status",
            "状態",
            "ステータス",
            "承認",
            "承認状態",
            "承認状況",
            "可否",
            "許可",
            "利用状況",
            "使用状況",
        ],
    ),
    one(
        Field::ValidFrom,
        &[
            "valid from",
            "approved on",
            "approval date",
            "start date",
            "from",
            "承認日",
            "許可日",
            "登録日",
            "利用開始日",
            "使用開始日",
            "開始日",
        ],
    ),
    one(
        Field::ValidUntil,
        &[
            "valid until",
            "valid to",
            "expires",
            "expires on",
            "expiry",
            "expiry date",
            "expiration date",
            "end date",
            "until",
            "有効期限",
            "有効期間",
            "期限",
            "承認期限",
            "許可期限",
            "利用期限",
            "利用終了日",
            "終了日",
        ],
    ),
];

const SOFTWARE: &[Column] = &[
    one(
        Field::Reference,
        &["reference", "control number", "id", "no", "管理番号", "台帳番号", "番号"],
    ),
    key(
        Field::Product,
        &[
            "product",
            "product name",
            "software",
            "software name",
            "software title",
            "title",
            "application",
            "application name",
            "name",
            "ソフトウェア名",
            "ソフトウェア",
            "ソフトウエア名",
            "ソフト名",
            "製品名",
            "製品",
            "アプリケーション名",
            "アプリ名",
            "名称",
        ],
    ),
    one(
        Field::Publisher,
        &[
            "publisher",
            "vendor",
            "maker",
            "manufacturer",
            "developer",
            "提供元",
            "発行元",
            "ベンダー",
            "ベンダ",
            "メーカー",
            "メーカ",
            "開発元",
            "販売元",
            "製造元",
        ],
    ),
    one(
        Field::Version,
        &[
            "version",
            "versions",
            "version rule",
            "approved version",
            "ver",
            "バージョン",
            "許可バージョン",
            "承認バージョン",
            "対象バージョン",
            "版",
        ],
    ),
    one(
        Field::Status,
        &[
            "status",
            "state",
            "class",
            "classification",
            "category",
            "approval",
            "区分",
            "分類",
            "状態",
            "ステータス",
            "承認",
            "承認区分",
            "可否",
            "利用可否",
            "使用可否",
            "許可",
        ],
    ),
    one(
        Field::SupportEnds,
        &[
            "support ends",
            "support end",
            "support until",
            "end of support",
            "end of life",
            "eol",
            "eos",
            "サポート期限",
            "サポート終了日",
            "サポート終了",
            "サポート期間",
            "保守期限",
        ],
    ),
    one(
        Field::Scope,
        &[
            "scope",
            "applies to",
            "assets",
            "devices",
            "適用範囲",
            "対象",
            "対象機器",
            "対象端末",
            "適用対象",
            "範囲",
        ],
    ),
];

const ISSUER: &[Column] = &[
    key(
        Field::Issuer,
        &[
            "issuer",
            "issuer name",
            "name",
            "ca",
            "ca name",
            "certification authority",
            "certificate authority",
            "subject",
            "認証局",
            "認証局名",
            "発行者",
            "発行者名",
            "発行元",
            "発行機関",
            "名称",
        ],
    ),
    keys(
        Field::CertificateHash,
        &[
            "certificate sha256",
            "certificate hash",
            "certificate fingerprint",
            "fingerprint",
            "thumbprint",
            "sha256",
            "sha256 fingerprint",
            "拇印",
            "指紋",
            "フィンガープリント",
            "証明書ハッシュ",
            "証明書の拇印",
            "証明書の指紋",
            "証明書ハッシュ値",
        ],
    ),
    keys(
        Field::KeyHash,
        &[
            "key sha256",
            "key hash",
            "public key hash",
            "public key sha256",
            "spki",
            "spki sha256",
            "key pin",
            "鍵ハッシュ",
            "公開鍵ハッシュ",
            "公開鍵のハッシュ",
            "公開鍵ハッシュ値",
            "公開鍵の指紋",
        ],
    ),
];
