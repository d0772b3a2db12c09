use std::collections::BTreeMap;

use model::{AddressRange, MacAddr};
use serde::{Deserialize, Serialize};

use super::{Day, Entry, Field, LineProblem, Reason, RegisterKind, Row, plain, value};

/// A device that its organisation knows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeviceEntry {
    /// The organisation's own number for it. Where the list has none: the first of its
    /// MACs, host names, serial numbers and addresses.
    pub reference: String,
    /// What people call it.
    pub name: Option<String>,
    /// Its link-layer addresses, sorted.
    pub macs: Vec<MacAddr>,
    /// Its network addresses, sorted. A range of several means "somewhere in there".
    #[serde(with = "value::ranges")]
    pub addresses: Vec<AddressRange>,
    /// Its host names, lower case, sorted.
    pub host_names: Vec<String>,
    /// Serial numbers and other numbers that it reports about itself, lower case, sorted.
    pub machine_ids: Vec<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Which department does.
    pub department: Option<String>,
    /// Where it stands.
    pub location: Option<String>,
    /// What it is for.
    pub purpose: Option<String>,
    /// What was decided about it.
    pub status: DeviceStatus,
    /// The first day on which that holds; `None` for always.
    pub valid_from: Option<Day>,
    /// The last day on which that holds, included; `None` for no end.
    pub valid_until: Option<Day>,
    /// The cells under headings that we do not know.
    pub extra: BTreeMap<String, String>,
}

/// What was decided about a device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceStatus {
    /// It may be on the network.
    #[default]
    Approved,
    /// It must not be on the network.
    Rejected,
    /// It was taken out of service.
    Retired,
}

/// The words for each status; `docs/registers.md` lists them. A list of devices is one of
/// approved devices, so no word means approved. A lost device is rejected: nobody should be
/// using it.
const STATUS: &[(DeviceStatus, &[&str])] = &[
    (
        DeviceStatus::Approved,
        &[
            "approved",
            "active",
            "allowed",
            "permitted",
            "registered",
            "in use",
            "in stock",
            "valid",
            "yes",
            "ok",
            "承認",
            "承認済",
            "承認済み",
            "許可",
            "許可済",
            "許可済み",
            "登録",
            "登録済",
            "登録済み",
            "有効",
            "使用中",
            "利用中",
            "稼働",
            "稼働中",
            "運用中",
            "貸出中",
            "在庫",
            "保管",
            "保管中",
            "予備",
            "可",
            "○",
            "〇",
        ],
    ),
    (
        DeviceStatus::Rejected,
        &[
            "rejected",
            "denied",
            "forbidden",
            "prohibited",
            "not approved",
            "not allowed",
            "blocked",
            "lost",
            "stolen",
            "no",
            "却下",
            "拒否",
            "禁止",
            "不許可",
            "不承認",
            "否認",
            "否",
            "不可",
            "使用禁止",
            "利用禁止",
            "接続禁止",
            "紛失",
            "盗難",
            "×",
        ],
    ),
    (
        DeviceStatus::Retired,
        &[
            "retired",
            "disposed",
            "decommissioned",
            "returned",
            "scrapped",
            "removed",
            "sold",
            "out of service",
            "廃棄",
            "廃棄済",
            "廃棄済み",
            "撤去",
            "撤去済",
            "撤去済み",
            "返却",
            "返却済",
            "返却済み",
            "除却",
            "廃止",
            "使用終了",
            "利用終了",
            "使用停止",
            "利用停止",
            "売却",
        ],
    ),
];

impl DeviceStatus {
    /// Its name in an export and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Retired => "retired",
        }
    }

    /// The words that a register may use for each status.
    #[must_use]
    pub const fn words() -> &'static [(Self, &'static [&'static str])] {
        STATUS
    }
}

impl Entry for DeviceEntry {
    const KIND: RegisterKind = RegisterKind::Device;

    fn from_row(row: &Row<'_>) -> Result<Self, Vec<LineProblem>> {
        let mut problems = Vec::new();
        let wrong = &mut problems;
        let status = |text: &str| {
            value::status(text, STATUS, DeviceStatus::Approved, "approved, rejected or retired")
        };
        let mut entry = Self {
            reference: row.text(Field::Reference).to_owned(),
            name: row.optional(Field::Name),
            macs: row.values(Field::Mac, wrong, value::macs),
            addresses: row.values(Field::Address, wrong, value::addresses),
            host_names: row.values(Field::HostName, wrong, value::names),
            machine_ids: row.values(Field::MachineId, wrong, value::names),
            owner: row.optional(Field::Owner),
            department: row.optional(Field::Department),
            location: row.optional(Field::Location),
            purpose: row.optional(Field::Purpose),
            status: row.value(Field::Status, wrong, status),
            valid_from: row.value(Field::ValidFrom, wrong, value::day),
            valid_until: row.value(Field::ValidUntil, wrong, value::day),
            extra: row.extra(),
        };
        if let (Some(from), Some(until)) = (entry.valid_from, entry.valid_until)
            && until < from
        {
            let reason = Reason::NeverValid { from, until };
            problems.push(row.problem(Some(Field::ValidUntil), reason));
        }
        if entry.reference.is_empty() {
            match entry.first_identifier() {
                Some(first) => entry.reference = first,
                None if problems.is_empty() => {
                    problems.push(row.problem(None, Reason::Nameless("device")));
                }
                None => {}
            }
        }
        if problems.is_empty() { Ok(entry) } else { Err(problems) }
    }

    fn label(&self) -> String {
        self.reference.clone()
    }

    fn key(&self) -> String {
        plain(&self.reference)
    }

    fn cells(&self) -> Vec<(Field, String)> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let day = |day: Option<Day>| day.map(|day| day.to_string()).unwrap_or_default();
        vec![
            (Field::Reference, self.reference.clone()),
            (Field::Name, text(&self.name)),
            (Field::Mac, joined(&self.macs)),
            (Field::Address, joined(&self.addresses)),
            (Field::HostName, joined(&self.host_names)),
            (Field::MachineId, joined(&self.machine_ids)),
            (Field::Owner, text(&self.owner)),
            (Field::Department, text(&self.department)),
            (Field::Location, text(&self.location)),
            (Field::Purpose, text(&self.purpose)),
            (Field::Status, self.status.as_str().to_owned()),
            (Field::ValidFrom, day(self.valid_from)),
            (Field::ValidUntil, day(self.valid_until)),
        ]
    }

    fn extra(&self) -> &BTreeMap<String, String> {
        &self.extra
    }

    fn unique(&self) -> Vec<(Field, String)> {
        let reference = (Field::Reference, self.reference.clone());
        let macs = self.macs.iter().map(|mac| (Field::Mac, mac.to_string()));
        // A reference that was made from the MAC is not a second thing to complain about.
        let made = self.first_identifier().as_ref() == Some(&self.reference);
        (!made).then_some(reference).into_iter().chain(macs).collect()
    }

    fn remarks(&self) -> Vec<Reason> {
        let unmatchable = self.first_identifier().is_none().then_some(Reason::Unmatchable);
        unmatchable.into_iter().chain(value::wide(&self.addresses)).collect()
    }
}

impl DeviceEntry {
    fn first_identifier(&self) -> Option<String> {
        let mac = self.macs.first().map(ToString::to_string);
        mac.or_else(|| self.host_names.first().cloned())
            .or_else(|| self.machine_ids.first().cloned())
            .or_else(|| self.addresses.first().map(ToString::to_string))
    }
}

/// Several values in one cell, as the readers separate them.
pub(super) fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
