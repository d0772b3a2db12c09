//! From a heading as written to what its column means, and the forms in which text is
//! compared.

use std::{collections::HashMap, sync::LazyLock};

use unicode_normalization::UnicodeNormalization;

use super::{
    RegisterKind,
    columns::{Column, Field, columns},
};

/// Text in the form in which names are compared: compatibility forms resolved (full-width
/// letters, half-width katakana, `㈱`), lower case, letters and digits only, and the signs
/// that tell `C`, `C++` and `C#` apart.
pub(crate) fn fold(text: &str) -> String {
    text.nfkc()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric() || matches!(c, '+' | '#'))
        .collect()
}

/// A name or reference in the form in which those are compared: `PC-1` is `ＰＣ－１` and `pc-1`,
/// and not `PC1`.
pub(crate) fn plain(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect::<String>().trim().to_owned()
}

/// A heading in the form in which headings are compared: without notes in parentheses and
/// without a number at the end.
fn fold_heading(text: &str) -> String {
    let mut depth = 0_usize;
    let mut plain = String::new();
    for c in text.nfkc() {
        match c {
            '(' | '[' | '【' | '〔' | '<' => depth = depth.saturating_add(1),
            ')' | ']' | '】' | '〕' | '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    // A heading that is one note, like `[MAC]`, is named by it.
    let folded = match fold(&plain) {
        empty if empty.is_empty() => fold(text),
        folded => folded,
    };
    let known = |text: &str| ["sha256", "ipv4", "ipv6"].iter().any(|end| text.ends_with(end));
    match known(&folded) {
        true => folded,
        false => match folded.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "" => folded,
            rest => rest.to_owned(),
        },
    }
}

/// The columns of each register by their folded headings.
static KNOWN: LazyLock<HashMap<(RegisterKind, String), &'static Column>> = LazyLock::new(|| {
    let all = RegisterKind::ALL.into_iter().flat_map(|kind| {
        let headings = columns(kind).iter().flat_map(|c| c.headings.iter().map(move |h| (c, h)));
        headings.map(move |(column, heading)| ((kind, fold_heading(heading)), column))
    });
    all.collect()
});

/// The longest heading that can be one of ours, in bytes. Anything can stand in the first
/// rows of a file.
const MAX_HEADING: usize = 400;

/// Which column of the register a heading means, if we know it.
pub(super) fn column(kind: RegisterKind, heading: &str) -> Option<&'static Column> {
    let short = heading.len() <= MAX_HEADING;
    short.then(|| KNOWN.get(&(kind, fold_heading(heading))).copied())?
}

/// Which column of a file means what.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// For each column of the file its heading as written and, where we know it, its meaning.
    pub(super) columns: Vec<(String, Option<Field>)>,
}

impl Layout {
    /// Reads a heading row. Of two columns that mean one field with room for one value, the
    /// first holds it and the other is kept under its own heading.
    pub(super) fn new(kind: RegisterKind, headings: &[String]) -> Self {
        let mut columns: Vec<(String, Option<Field>)> = Vec::with_capacity(headings.len());
        for (at, heading) in headings.iter().enumerate() {
            let mut written = super::value::cell(heading);
            if written.is_empty() {
                written = format!("column {}", at.saturating_add(1));
            }
            let known = column(kind, &written)
                .filter(|known| {
                    known.list || columns.iter().all(|(_, taken)| *taken != Some(known.field))
                })
                .map(|known| known.field);
            if known.is_none() {
                let plain = written.clone();
                let mut number = 2_u32;
                while columns.iter().any(|(taken, field)| field.is_none() && *taken == written) {
                    written = format!("{plain} ({number})");
                    number = number.saturating_add(1);
                }
            }
            columns.push((written, known));
        }
        Self { columns }
    }

    /// The headings whose meaning we do not know.
    pub(super) fn unknown(&self) -> Vec<String> {
        self.columns
            .iter()
            .filter(|(_, field)| field.is_none())
            .map(|(heading, _)| heading.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[track_caller]
    fn check(kind: RegisterKind, heading: &str, expected: Option<Field>) {
        assert_eq!(column(kind, heading).map(|column| column.field), expected, "{heading:?}");
    }

    #[test]
    fn spellings_of_a_heading_are_one() {
        for heading in [
            "MAC Address",
            "mac_address",
            "MACアドレス",
            "ＭＡＣアドレス",
            "MACｱﾄﾞﾚｽ",
            "MAC アドレス",
            "MACアドレス1",
            "MACアドレス（有線）",
            "MACアドレス 2 (Wi-Fi)",
            "MAC-Address:",
            "[MAC]",
            "無線LAN MACアドレス",
            "MAC\nアドレス",
        ] {
            check(RegisterKind::Device, heading, Some(Field::Mac));
        }
        check(RegisterKind::Device, "管理部門（課まで）", Some(Field::Department));
        check(RegisterKind::Device, "No.", Some(Field::Reference));
        check(RegisterKind::Device, "IPv6アドレス", Some(Field::Address));
        check(RegisterKind::Software, "ｿﾌﾄｳｪｱ名", Some(Field::Product));
        check(RegisterKind::Issuer, "SHA-256", Some(Field::CertificateHash));
        check(RegisterKind::Device, "備考", None);
        check(RegisterKind::Device, "", None);
        check(RegisterKind::Device, "2026", None);
    }

    #[test]
    fn no_heading_means_two_things() {
        for kind in RegisterKind::ALL {
            let mut seen = BTreeSet::new();
            for heading in columns(kind).iter().flat_map(|column| column.headings) {
                assert!(seen.insert(fold_heading(heading)), "{kind}: {heading} is listed twice");
            }
        }
    }

    #[test]
    fn of_two_owners_the_second_keeps_its_heading() {
        let headings =
            ["管理者", "MAC 1", "MAC 2", "担当者", "備考", "備考", ""].map(str::to_owned);
        let layout = Layout::new(RegisterKind::Device, &headings);
        let meanings: Vec<_> = layout.columns.iter().map(|(_, field)| *field).collect();
        assert_eq!(
            meanings,
            [Some(Field::Owner), Some(Field::Mac), Some(Field::Mac), None, None, None, None]
        );
        assert_eq!(layout.unknown(), ["担当者", "備考", "備考 (2)", "column 7"]);
    }
}
