//! Private keys in files, by what the files' modes say. Their certificates are judged with
//! those that are served.

use std::collections::BTreeSet;

use certs::store::PrivateKey;
use model::Severity;

use super::{Detections, Input, Rule};
use crate::{asset::Detection, file::KeptFile};

pub(super) const READABLE_KEY: Rule = Rule {
    id: "key.readable",
    title: "Private key that every user of its machine may read",
    citation: "CIS Controls v8, 3.3; NIST SP 800-57 Part 1 Rev. 5, 6",
    severity: Severity::Critical,
};

pub(super) fn compare(
    input: &Input<'_>,
    detections: &mut Detections,
    evaluated: &mut BTreeSet<&'static str>,
) {
    let open = |file: &&KeptFile| {
        file.present && file.private_key == PrivateKey::Plain && file.is_open_to_all()
    };
    for file in input.files.iter().filter(open) {
        let KeptFile { vantage, path, mode, .. } = file;
        detections.add(Detection {
            rule: READABLE_KEY.id,
            severity: READABLE_KEY.severity,
            subject: format!("file:{}/{}:{path}", vantage.site.0, vantage.name),
            asset: None,
            title: format!("{}: {path}", READABLE_KEY.title),
            detail: format!(
                "{path} on {} has a private key without a password and the mode {mode:04o}",
                vantage.name
            ),
        });
    }
    evaluated.insert(READABLE_KEY.id);
}
