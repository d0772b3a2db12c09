use std::{collections::BTreeMap, fmt};

use model::{AddressRange, MacAddr};
use serde::{Deserialize, Serialize};

use super::{
    Day, Entry, Field, LineProblem, Reason, RegisterKind, Row, device::joined, fold, plain, value,
};
use crate::version::VersionRule;

/// A product about which its organisation decided.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SoftwareEntry {
    /// The organisation's own number for the decision, where it has one.
    pub reference: Option<String>,
    /// The product's name.
    pub product: String,
    /// Who makes it.
    pub publisher: Option<String>,
    /// The versions that this is about.
    pub version: VersionRule,
    /// What was decided.
    pub status: SoftwareStatus,
    /// The last day of its maker's support, included.
    pub support_ends: Option<Day>,
    /// The assets that this is about.
    pub scope: Scope,
    /// The cells under headings that we do not know.
    pub extra: BTreeMap<String, String>,
}

/// What was decided about a product.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SoftwareStatus {
    /// It must be there.
    Required,
    /// It may be there.
    #[default]
    Approved,
    /// It must not be there.
    Forbidden,
}

/// The words for each status; `docs/registers.md` lists them. No word means approved.
const STATUS: &[(SoftwareStatus, &[&str])] = &[
    (
        SoftwareStatus::Required,
        &["required", "mandatory", "必須", "必要", "導入必須", "必須ソフト", "要導入"],
    ),
    (
        SoftwareStatus::Approved,
        &[
            "approved",
            "allowed",
            "permitted",
            "authorized",
            "regular",
            "optional",
            "standard",
            "yes",
            "ok",
            "許可",
            "許可済",
            "許可済み",
            "承認",
            "承認済",
            "承認済み",
            "標準",
            "任意",
            "可",
            "利用可",
            "使用可",
            "○",
            "〇",
        ],
    ),
    (
        SoftwareStatus::Forbidden,
        &[
            "forbidden",
            "prohibited",
            "denied",
            "rejected",
            "unauthorized",
            "not allowed",
            "not approved",
            "blocked",
            "no",
            "禁止",
            "使用禁止",
            "利用禁止",
            "不許可",
            "不承認",
            "拒否",
            "却下",
            "不可",
            "利用不可",
            "使用不可",
            "否",
            "×",
        ],
    ),
];

impl SoftwareStatus {
    /// Its name in an export and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Approved => "approved",
            Self::Forbidden => "forbidden",
        }
    }

    /// The words that a register may use for each status.
    #[must_use]
    pub const fn words() -> &'static [(Self, &'static [&'static str])] {
        STATUS
    }
}

/// Which assets an entry is about.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Every asset.
    #[default]
    All,
    /// These, sorted; at least one.
    Only(Vec<ScopeItem>),
}

/// Something that names assets in a scope.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(from = "String", into = "String")]
pub enum ScopeItem {
    /// The asset with this link-layer address.
    Mac(MacAddr),
    /// The assets with these network addresses.
    Addresses(AddressRange),
    /// The asset with this host name, or with this reference or name in the device register.
    Name(String),
}

impl fmt::Display for ScopeItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => mac.fmt(f),
            Self::Addresses(range) => range.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<ScopeItem> for String {
    fn from(item: ScopeItem) -> Self {
        item.to_string()
    }
}

impl From<String> for ScopeItem {
    fn from(text: String) -> Self {
        value::scope_item(&text)
    }
}

impl Entry for SoftwareEntry {
    const KIND: RegisterKind = RegisterKind::Software;

    fn from_row(row: &Row<'_>) -> Result<Self, Vec<LineProblem>> {
        let mut problems = Vec::new();
        let wrong = &mut problems;
        let status = |text: &str| {
            let expected = "required, approved or forbidden";
            value::status(text, STATUS, SoftwareStatus::Approved, expected)
        };
        let scope = match value::scope(row.text(Field::Scope)) {
            items if items.is_empty() => Scope::All,
            items => Scope::Only(items),
        };
        let entry = Self {
            reference: row.optional(Field::Reference),
            product: row.text(Field::Product).to_owned(),
            publisher: row.optional(Field::Publisher),
            version: row.value(Field::Version, wrong, value::version_rule),
            status: row.value(Field::Status, wrong, status),
            support_ends: row.value(Field::SupportEnds, wrong, value::day),
            scope,
            extra: row.extra(),
        };
        // A name without a letter or digit would match every other such name.
        if fold(&entry.product).is_empty() {
            let field = Some(Field::Product);
            problems.push(row.problem(field, Reason::Nameless("product")));
        }
        if problems.is_empty() { Ok(entry) } else { Err(problems) }
    }

    fn label(&self) -> String {
        match &self.publisher {
            Some(publisher) => format!("{} ({publisher})", self.product),
            None => self.product.clone(),
        }
    }

    fn key(&self) -> String {
        match &self.reference {
            Some(reference) => plain(reference),
            None => {
                let publisher = self.publisher.as_deref().unwrap_or_default();
                format!("{}/{}", fold(&self.product), fold(publisher))
            }
        }
    }

    fn cells(&self) -> Vec<(Field, String)> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let scope = match &self.scope {
            Scope::All => String::new(),
            Scope::Only(items) => joined(items),
        };
        vec![
            (Field::Reference, text(&self.reference)),
            (Field::Product, self.product.clone()),
            (Field::Publisher, text(&self.publisher)),
            (Field::Version, self.version.to_string()),
            (Field::Status, self.status.as_str().to_owned()),
            (Field::SupportEnds, self.support_ends.map(|day| day.to_string()).unwrap_or_default()),
            (Field::Scope, scope),
        ]
    }

    fn extra(&self) -> &BTreeMap<String, String> {
        &self.extra
    }

    fn unique(&self) -> Vec<(Field, String)> {
        self.reference.iter().map(|reference| (Field::Reference, reference.clone())).collect()
    }
}
