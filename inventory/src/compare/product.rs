//! When a product that was seen is the product of an entry.
//!
//! Names are compared folded: compatibility forms, case, blanks and punctuation make no
//! difference, so `Notepad++` is `NOTEPAD ++` and not `Notepad`. A publisher in front of a
//! name makes none either: `Microsoft Edge` is `Edge` by `Microsoft`. Where the seen
//! product has a CPE name, its product part is a name as well, but a general one (`server`
//! of many vendors), so it counts only where the vendor part and the entry's publisher do
//! not contradict each other. Nothing else is guessed: `docs/registers.md` says the same.

use std::collections::HashMap;

use model::Cpe;

use crate::register::{SoftwareEntry, fold};

/// The entries of the software register by the names of their products.
pub(super) struct ProductIndex {
    names: HashMap<String, Vec<usize>>,
    publishers: Vec<String>,
}

impl ProductIndex {
    pub(super) fn new(entries: &[SoftwareEntry]) -> Self {
        let mut index = Self { names: HashMap::new(), publishers: Vec::new() };
        for (at, entry) in entries.iter().enumerate() {
            let product = fold(&entry.product);
            let publisher = fold(entry.publisher.as_deref().unwrap_or_default());
            let mut names = vec![product.clone()];
            if !publisher.is_empty() {
                names.push(format!("{publisher}{product}"));
                let short = product.strip_prefix(&publisher).filter(|short| !short.is_empty());
                names.extend(short.map(str::to_owned));
            }
            for name in names {
                let list = index.names.entry(name).or_default();
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
            index.publishers.push(publisher);
        }
        index
    }

    /// The entries about a product, in the order of the register.
    pub(super) fn entries(&self, product: &str, cpe: Option<&Cpe>) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        found.extend(self.names.get(&fold(product)).into_iter().flatten());
        if let Some((vendor, product)) = cpe.and_then(|cpe| vendor_and_product(&cpe.0)) {
            let full = format!("{vendor}{product}");
            found.extend(self.names.get(&full).into_iter().flatten());
            let general = self.names.get(&product).into_iter().flatten();
            found.extend(general.filter(|at| {
                self.publishers.get(**at).is_some_and(|publisher| {
                    publisher.contains(&vendor) || vendor.contains(publisher.as_str())
                })
            }));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The folded vendor and product of a CPE 2.3 formatted string.
fn vendor_and_product(cpe: &str) -> Option<(String, String)> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut escaped = false;
    for c in cpe.chars() {
        match c {
            ':' if !escaped => parts.push(String::new()),
            _ => parts.last_mut()?.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    let (vendor, product) = (fold(parts.get(3)?), fold(parts.get(4)?));
    (!vendor.is_empty() && !product.is_empty()).then_some((vendor, product))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::read;

    #[track_caller]
    fn check(product: &str, cpe: Option<(&str, &str)>, expected: &[&str]) {
        let csv = "product,publisher\nOpenSSH,OpenBSD\nHTTP Server,IBM\nApache HTTP Server,\n\
                   Microsoft Edge,Microsoft\nNotepad,\nNotepad++,\nnginx,\"NGINX, Inc.\"\n";
        let entries = read::<SoftwareEntry>(csv.as_bytes()).unwrap().entries;
        let cpe = cpe.map(|(vendor, product)| Cpe::application(vendor, product, Some("1")));
        let found = ProductIndex::new(&entries).entries(product, cpe.as_ref());
        let names: Vec<&str> = found.iter().map(|at| entries[*at].product.as_str()).collect();
        assert_eq!(names, expected, "{product} {cpe:?}");
    }

    #[test]
    fn names_match_in_every_spelling_and_no_further() {
        check("OpenSSH", None, &["OpenSSH"]);
        check("ＯｐｅｎＳＳＨ", None, &["OpenSSH"]);
        check("open-ssh", None, &["OpenSSH"]);
        check("OpenBSD OpenSSH", None, &["OpenSSH"]);
        check("Edge", None, &["Microsoft Edge"]);
        check("Microsoft Edge", None, &["Microsoft Edge"]);
        check("Notepad ++", None, &["Notepad++"]);
        check("Notepad", None, &["Notepad"]);
        check("OpenSSHd", None, &[]);
        check("SSH", None, &[]);
    }

    #[test]
    fn a_cpe_helps_where_the_vendor_fits() {
        check("Apache httpd", Some(("apache", "http_server")), &["Apache HTTP Server"]);
        check("IHS", Some(("ibm", "http_server")), &["HTTP Server"]);
        check("x", Some(("openbsd", "openssh")), &["OpenSSH"]);
        check("x", Some(("other", "openssh")), &[]);
        check("nginx", Some(("f5", "nginx")), &["nginx"]);
        check("x", Some(("microsoft", "edge")), &["Microsoft Edge"]);
        check("x", Some(("a:b", "libpq++")), &[]);
    }
}
