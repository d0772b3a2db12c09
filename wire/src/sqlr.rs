//! SQL Server's resolution protocol ([MC-SQLR], section 2.2): one byte asks the browser for
//! the instances of its machine, and it answers
//! `ServerName;PC;InstanceName;X;IsClustered;No;Version;15.0.2000.5;tcp;1433;;`.

use crate::{Malformed, Reader, lines};

/// An instance.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Instance {
    /// The machine's name.
    pub server: String,
    /// The instance's name: `MSSQLSERVER` for the default one.
    pub name: String,
    /// Its version, such as `15.0.2000.5`.
    pub version: String,
    /// Its TCP port, where it has one.
    pub tcp: Option<u16>,
}

/// CLNT_UCAST_EX: the instances of the one asked.
#[must_use]
pub fn instances() -> Vec<u8> {
    vec![3]
}

/// Reads SVR_RESP: one datagram. Instances without a server's name are left out.
pub fn parse(bytes: &[u8]) -> Result<Vec<Instance>, Malformed> {
    let mut r = Reader::new(bytes);
    let kind = r.u8("SVR_RESP")?;
    if kind != 5 {
        return Err(r.invalid("SVR_RESP", kind));
    }
    let len = r.u16_le("RESP_SIZE")?;
    // Longer than any text that a line of ours may have: each word is cut by itself.
    let data = r.take("RESP_DATA", len.into())?;
    let mut found = Vec::new();
    let mut one = Instance::default();
    let mut words = data.split(|&byte| byte == b';').map(lines::text);
    while let Some(key) = words.next() {
        if key.is_empty() {
            // Two semicolons end an instance.
            let whole = std::mem::take(&mut one);
            found.extend(Some(whole).filter(|whole| !whole.server.is_empty()));
            continue;
        }
        let value = words.next().unwrap_or_default();
        match key.to_ascii_lowercase().as_str() {
            "servername" => one.server = value,
            "instancename" => one.name = value,
            "version" => one.version = value,
            "tcp" => one.tcp = value.parse().ok(),
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![5];
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text);
        bytes
    }

    #[track_caller]
    fn check(text: &[u8], expected: &[(&str, &str, &str, Option<u16>)]) {
        let bytes = answer(text);
        let got = parse(&bytes).unwrap();
        let got: Vec<_> = got.iter().map(|i| (&*i.server, &*i.name, &*i.version, i.tcp)).collect();
        assert_eq!(got, expected);
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_browser_lists_instances() {
        check(
            b"ServerName;PC-7;InstanceName;MSSQLSERVER;IsClustered;No;Version;15.0.2000.5;\
              tcp;1433;;ServerName;PC-7;InstanceName;TWO;IsClustered;No;Version;16.0.1;np;\\\\x;;",
            &[("PC-7", "MSSQLSERVER", "15.0.2000.5", Some(1433)), ("PC-7", "TWO", "16.0.1", None)],
        );
        check(b"InstanceName;X;;", &[]);
        check(b"", &[]);
        assert!(parse(&instances()).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
            let _ = parse(&answer(&bytes));
        }
    }
}
