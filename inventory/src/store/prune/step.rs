//! What a prune removes, table by table: how it is found, and how it is taken out.
//!
//! Every `find` takes the moment before which things are old, the number after which to look, and
//! how many to look at, and gives numbers with what the filter needs. Every `remove` takes the
//! numbers as a JSON array and that moment again: since they were found, any of them may have
//! been seen again.

use model::Timestamp;

use super::Keep;

/// Rows of a kind.
pub(super) struct Step {
    /// What they are called where they are counted.
    pub(super) what: &'static str,
    /// Which moment of the settings is theirs.
    age: fn(&Keep) -> Option<Timestamp>,
    pub(super) find: &'static str,
    pub(super) filter: Filter,
    pub(super) by: By,
    pub(super) remove: &'static [&'static str],
}

/// What keeps a row that its table alone would let go.
#[derive(Clone, Copy)]
pub(super) enum Filter {
    None,
    /// It is the latest of a fact by which an asset is told apart.
    Observation,
    /// It is a certificate that something still holds.
    Certificate,
    /// It is coverage of a scan that later ones have not asked all of again.
    Coverage,
    /// It is a gap of a scan of which there is coverage; the second column is the scan.
    Gap,
    /// It is a scan that something still names, or of which there is coverage.
    Scan,
}

/// By what rows are named to what removes them.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum By {
    Number,
    /// By the second column; all are found at once.
    Key,
}

impl Step {
    pub(super) fn before(&self, keep: &Keep) -> Option<Timestamp> {
        (self.age)(keep)
    }
}

/// What kind of thing a fact says: its first key, as it is written.
macro_rules! kind {
    ($row:literal) => {
        concat!("substr(", $row, ".fact, 1, instr(substr(", $row, ".fact, 3), '\"') + 2)")
    };
}

/// What of a fact a later one of its kind has to share in order to take its place. Kinds that are
/// not here say several things at once of one subject, and stay.
macro_rules! aspect {
    ($row:literal) => {
        concat!(
            "CASE ",
            kind!($row),
            "
             WHEN '{\"alive\"' THEN '' WHEN '{\"link_address\"' THEN ''
             WHEN '{\"port_state\"' THEN '' WHEN '{\"operating_system\"' THEN ''
             WHEN '{\"tls\"' THEN '' WHEN '{\"ocsp_response\"' THEN ''
             WHEN '{\"vlan\"' THEN '' WHEN '{\"host_certificate\"' THEN ''
             WHEN '{\"host_name\"' THEN ",
            $row,
            ".fact ->> '$.host_name.source'
             WHEN '{\"service\"' THEN ",
            $row,
            ".fact ->> '$.service.protocol'
             WHEN '{\"host_key\"' THEN ",
            $row,
            ".fact ->> '$.host_key.algorithm'
             WHEN '{\"machine_id\"' THEN ",
            $row,
            ".fact ->> '$.machine_id.kind'
             WHEN '{\"fingerprint\"' THEN ",
            $row,
            ".fact ->> '$.fingerprint.kind'
             WHEN '{\"ports\"' THEN
                 (",
            $row,
            ".fact ->> '$.ports.transport') || (",
            $row,
            ".fact ->> '$.ports.state')
             WHEN '{\"certificates\"' THEN
                 concat_ws(' ', ",
            $row,
            ".fact ->> '$.certificates.server_name',
                     ",
            $row,
            ".fact ->> '$.certificates.starttls')
             END"
        )
    };
}

/// That an observation is old, digested, and superseded by a later one. The one with the highest
/// number never goes: what is new is known by a higher one (`vantage.digested`).
macro_rules! superseded {
    ($old:literal, $before:literal) => {
        concat!(
            $old,
            ".last_seen < ",
            $before,
            " AND ",
            $old,
            ".pending = 0
             AND ",
            $old,
            ".id <= (SELECT digested FROM vantage WHERE id = ",
            $old,
            ".vantage)
             AND ",
            $old,
            ".id < (SELECT max(id) FROM observation)
             AND EXISTS (
                 SELECT 1 FROM observation AS newer
                 WHERE newer.about = ",
            $old,
            ".about
                     AND newer.vantage = ",
            $old,
            ".vantage AND newer.method = ",
            $old,
            ".method
                     AND newer.subject = ",
            $old,
            ".subject
                     AND (newer.last_seen, newer.id) > (",
            $old,
            ".last_seen, ",
            $old,
            ".id)
                     AND ",
            kind!("newer"),
            " = ",
            kind!($old),
            "
                     AND ",
            aspect!("newer"),
            " = ",
            aspect!($old),
            ")"
        )
    };
}

/// Facts by which assets are told apart, with the hardware address where it is one.
pub(super) const IDENTIFYING: &str =
    "SELECT id, fact, fact ->> '$.link_address', last_seen FROM observation
     WHERE id > $1 AND (fact > '{\"link_address\":' AND fact < '{\"link_address\";'
         OR fact > '{\"host_key\":' AND fact < '{\"host_key\";'
         OR fact > '{\"machine_id\":' AND fact < '{\"machine_id\";')
     ORDER BY id LIMIT $2";

/// Certificates that are held: served, sent along, in a file, or observed.
pub(super) const CERTIFICATES_HELD: &str = "SELECT sha256 FROM deployment
     UNION SELECT value FROM deployment, json_each(chain)
     UNION SELECT sha256 FROM file_certificate
     UNION SELECT value FROM observation, json_each(fact, '$.certificates.chain')
         WHERE fact > '{\"certificates\":' AND fact < '{\"certificates\";'";

/// Scans that something names.
pub(super) const SCANS_NAMED: &str = "SELECT last_scan FROM observation
     UNION SELECT scan FROM event WHERE scan IS NOT NULL
     UNION SELECT scan FROM run WHERE scan IS NOT NULL";

/// Notes in the scans of these rows that it is not known any more where they looked, as a gap about
/// no address.
macro_rules! mark {
    ($table:literal) => {
        concat!(
            "INSERT INTO gap (scan, target, reason)
             SELECT DISTINCT scan, 'everything', 'pruned: where it looked is not kept any more'
             FROM ",
            $table,
            " AS old
             WHERE id IN (SELECT value FROM json_each($1))
                 AND (SELECT ended_at < $2 FROM scan WHERE scan.id = old.scan)
                 AND NOT EXISTS (SELECT 1 FROM gap
                     WHERE gap.scan = old.scan AND gap.target = 'everything')"
        )
    };
}

/// What is removed, in the order of what refers to what.
pub(super) const STEPS: &[Step] = &[
    Step {
        what: "events",
        age: |keep| keep.events,
        find: "SELECT id, '' FROM event WHERE at < $1 AND id > $2 ORDER BY id LIMIT $3",
        filter: Filter::None,
        by: By::Number,
        remove: &["DELETE FROM event WHERE id IN (SELECT value FROM json_each($1)) AND at < $2"],
    },
    Step {
        what: "observations",
        age: |keep| keep.observations,
        find: concat!(
            "SELECT id, fact FROM observation AS old WHERE id > $2 AND ",
            superseded!("old", "$1"),
            " ORDER BY id LIMIT $3"
        ),
        filter: Filter::Observation,
        by: By::Number,
        remove: &["DELETE FROM observation
             WHERE id IN (SELECT value FROM json_each($1)) AND last_seen < $2 AND pending = 0
                 AND id < (SELECT max(id) FROM observation)"],
    },
    Step {
        what: "findings",
        age: |keep| keep.findings,
        find: "SELECT id, '' FROM finding
             WHERE state = 'resolved' AND resolved_at < $1 AND id > $2 ORDER BY id LIMIT $3",
        filter: Filter::None,
        by: By::Number,
        remove: &[
            // The list shows it no longer, which the next review would see to.
            "UPDATE list_generation SET generation = generation + 1
             WHERE EXISTS (SELECT 1 FROM finding JOIN json_each($1) ON json_each.value = finding.id
                 WHERE finding.state = 'resolved' AND finding.resolved_at < $2)",
            "DELETE FROM listed_finding WHERE id IN (SELECT finding.id FROM finding
                 JOIN json_each($1) ON json_each.value = finding.id
                 WHERE finding.state = 'resolved' AND finding.resolved_at < $2)",
            "DELETE FROM finding WHERE id IN (SELECT value FROM json_each($1))
                 AND state = 'resolved' AND resolved_at < $2",
        ],
    },
    Step {
        what: "services",
        age: |keep| keep.past,
        // A port that is closed also says that software is not there which was told by it, and,
        // where assets are one, that it is not open as another of them has it.
        find: "SELECT id, '' FROM service
             WHERE state = 'closed' AND last_seen < $1 AND id > $2
                 AND NOT EXISTS (SELECT 1 FROM software
                     WHERE software.asset = service.asset AND software.current = 1
                         AND instr(software.source, service.port || '/' || service.transport) > 0)
                 AND NOT EXISTS (SELECT 1 FROM merge WHERE undone_at IS NULL
                     AND (from_asset = service.asset OR into_asset = service.asset))
             ORDER BY id LIMIT $3",
        filter: Filter::None,
        by: By::Number,
        remove: &["DELETE FROM service WHERE id IN (SELECT value FROM json_each($1))
                 AND state = 'closed' AND last_seen < $2"],
    },
    Step {
        what: "software",
        age: |keep| keep.past,
        find: "SELECT id, '' FROM software
             WHERE current = 0 AND last_seen < $1 AND id > $2 ORDER BY id LIMIT $3",
        filter: Filter::None,
        by: By::Number,
        remove: &["DELETE FROM software WHERE id IN (SELECT value FROM json_each($1))
                 AND current = 0 AND last_seen < $2"],
    },
    Step {
        what: "deployments",
        age: |keep| keep.past,
        // The one before the one of now says how it was renewed.
        find: "SELECT id, '' FROM deployment AS old
             WHERE current = 0 AND last_seen < $1 AND id > $2
                 AND EXISTS (SELECT 1 FROM deployment AS newer
                     WHERE newer.asset = old.asset AND newer.current = 0
                         AND newer.address = old.address AND newer.port = old.port
                         AND newer.transport = old.transport
                         AND newer.server_name IS old.server_name
                         AND (newer.last_seen, newer.id) > (old.last_seen, old.id))
             ORDER BY id LIMIT $3",
        filter: Filter::None,
        by: By::Number,
        remove: &["DELETE FROM deployment WHERE id IN (SELECT value FROM json_each($1))
                 AND current = 0 AND last_seen < $2"],
    },
    Step {
        what: "certificates in files",
        age: |keep| keep.past,
        find: "SELECT id, '' FROM file_certificate
             WHERE current = 0 AND last_seen < $1 AND id > $2 ORDER BY id LIMIT $3",
        filter: Filter::None,
        by: By::Number,
        remove: &["DELETE FROM file_certificate WHERE id IN (SELECT value FROM json_each($1))
                 AND current = 0 AND last_seen < $2"],
    },
    Step {
        what: "files",
        age: |keep| keep.past,
        find: "SELECT id, '' FROM file
             WHERE present = 0 AND last_seen < $1 AND id > $2 ORDER BY id LIMIT $3",
        filter: Filter::None,
        by: By::Number,
        remove: &[
            "DELETE FROM file_certificate WHERE file IN (
                 SELECT id FROM file WHERE id IN (SELECT value FROM json_each($1))
                     AND present = 0 AND last_seen < $2)",
            "DELETE FROM file WHERE id IN (SELECT value FROM json_each($1))
                 AND present = 0 AND last_seen < $2",
        ],
    },
    Step {
        what: "certificates",
        age: |keep| keep.past,
        find: "SELECT 0, sha256 FROM certificate WHERE last_seen < $1 AND 0 > $2 LIMIT $3",
        filter: Filter::Certificate,
        by: By::Key,
        remove: &["DELETE FROM certificate WHERE sha256 IN (SELECT value FROM json_each($1))
                 AND last_seen < $2"],
    },
    Step {
        what: "runs of jobs",
        age: |keep| keep.scans,
        // The last ones say what a job owes.
        find: "SELECT id, '' FROM run AS old
             WHERE ended_at < $1 AND id > $2
                 AND id < (SELECT max(id) FROM run WHERE run.job = old.job)
                 AND id IS NOT (SELECT max(id) FROM run WHERE run.job = old.job AND due IS NOT NULL)
             ORDER BY id LIMIT $3",
        filter: Filter::None,
        by: By::Number,
        remove: &[
            "DELETE FROM run WHERE id IN (SELECT value FROM json_each($1)) AND ended_at < $2",
        ],
    },
    Step {
        what: "coverage of scans",
        age: |keep| keep.scans,
        find: "SELECT coverage.id, '' FROM coverage JOIN scan ON scan.id = coverage.scan
             WHERE coverage.id > $2 AND ended_at < $1 ORDER BY coverage.id LIMIT $3",
        filter: Filter::Coverage,
        by: By::Number,
        remove: &[
            mark!("coverage"),
            "DELETE FROM coverage WHERE id IN (SELECT value FROM json_each($1))
                 AND (SELECT ended_at < $2 FROM scan WHERE scan.id = coverage.scan)",
        ],
    },
    Step {
        what: "gaps of scans",
        age: |keep| keep.scans,
        find: "SELECT gap.id, CAST(gap.scan AS TEXT) FROM gap JOIN scan ON scan.id = gap.scan
             WHERE gap.id > $2 AND ended_at < $1 AND target <> 'everything'
             ORDER BY gap.id LIMIT $3",
        filter: Filter::Gap,
        by: By::Number,
        remove: &[
            mark!("gap"),
            "DELETE FROM gap WHERE id IN (SELECT value FROM json_each($1))
                 AND (SELECT ended_at < $2 FROM scan WHERE scan.id = gap.scan)",
        ],
    },
    Step {
        what: "scans",
        age: |keep| keep.scans,
        find: "SELECT id, '' FROM scan WHERE ended_at < $1 AND id > $2 ORDER BY id LIMIT $3",
        filter: Filter::Scan,
        by: By::Number,
        remove: &[
            "DELETE FROM coverage WHERE scan IN (SELECT value FROM json_each($1))
                 AND (SELECT ended_at < $2 FROM scan WHERE scan.id = coverage.scan)",
            "DELETE FROM gap WHERE scan IN (SELECT value FROM json_each($1))
                 AND (SELECT ended_at < $2 FROM scan WHERE scan.id = gap.scan)",
            "DELETE FROM scan WHERE id IN (SELECT value FROM json_each($1)) AND ended_at < $2",
        ],
    },
];
