//! Log servers: each piece of news a record of its own, as RFC 5424 or with the common event
//! format (CEF) as its text, over UDP (RFC 5426), TCP (RFC 6587, octet counting) or TLS
//! (RFC 5425).
//!
//! Syslog has no answers. Over TCP and TLS we say that we are done and wait for the server to
//! close, which it does after it has read everything; what is lost beyond that nobody knows.
//! Each record has the message's key and its own number, by which doubles can be told.

use std::time::Duration;

use anyhow::Result;
use config::route::{Syslog as Setting, SyslogForm, SyslogTransport};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::UdpSocket,
    time::{sleep, timeout},
};

use super::{
    Letter, Trouble, http,
    letter::{ItemParts, Parts},
    text,
    tls::Trust,
};

/// A log server that is told.
#[derive(Debug)]
pub(super) struct Syslog {
    setting: Setting,
    host: String,
    trust: Trust,
}

/// How long the server may take to close after we are done.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a refusal of a datagram may take to come back.
const ECHO: Duration = Duration::from_millis(50);

/// What every receiver of datagrams should take (RFC 5426, section 3.2), and what a record has
/// at most otherwise.
const DATAGRAM: usize = 2_048;
const RECORD: usize = 8_192;

impl Syslog {
    /// Reads the roots.
    pub(super) fn load(setting: &Setting, vantage: &str) -> Result<Self> {
        let trust = Trust::load(setting.roots.as_deref())?;
        Ok(Self { host: host_name(vantage), setting: setting.clone(), trust })
    }

    /// Sends every record.
    pub(super) async fn send(&self, letter: &Letter) -> Result<String, Trouble> {
        let bytes = match self.setting.transport {
            SyslogTransport::Udp => DATAGRAM,
            SyslogTransport::Tcp | SyslogTransport::Tls => RECORD,
        };
        let records = records(&letter.parts, &self.setting, &self.host, bytes);
        let (server, port) = (self.setting.server.as_str(), self.setting.port);
        match self.setting.transport {
            SyslogTransport::Udp => datagrams(server, port, &records).await,
            SyslogTransport::Tcp => {
                let stream = http::connect(server, port).await?;
                counted(stream, &records, server).await
            }
            SyslogTransport::Tls => {
                let stream = http::connect(server, port).await?;
                let stream = self.trust.connect(stream, server).await?;
                counted(stream, &records, server).await
            }
        }
    }
}

async fn datagrams(server: &str, port: u16, records: &[String]) -> Result<String, Trouble> {
    let failed = |error| Trouble::later(format!("{server} port {port}: {error}"));
    let mut found = tokio::net::lookup_host((server, port)).await.map_err(failed)?;
    let to = found.next().ok_or_else(|| Trouble::later(format!("{server} has no address")))?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(to).await.map_err(failed)?;
    for record in records {
        socket.send(record.as_bytes()).await.map_err(failed)?;
    }
    // Where nobody listens, the system there says so.
    if let Ok(Err(error)) = timeout(ECHO, socket.recv(&mut [0; 1])).await {
        return Err(failed(error));
    }
    Ok(format!("{} sent; nobody confirms datagrams", count(records)))
}

async fn counted(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    records: &[String],
    server: &str,
) -> Result<String, Trouble> {
    let broken = |error| Trouble::later(format!("{server}: the connection broke: {error}"));
    for record in records {
        let frame = format!("{} {record}", record.len());
        stream.write_all(frame.as_bytes()).await.map_err(broken)?;
    }
    stream.flush().await.map_err(broken)?;
    stream.shutdown().await.map_err(broken)?;
    let mut nothing = [0; 256];
    let farewell = async {
        loop {
            match stream.read(&mut nothing).await {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                // TLS without its farewell is the end all the same.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    };
    let closed = tokio::select! {
        closed = farewell => closed.map_err(broken)?,
        () = sleep(FAREWELL) => false,
    };
    let how = if closed { "and the server closed" } else { "and the server still listens" };
    Ok(format!("{} sent {how}", count(records)))
}

fn count(records: &[String]) -> String {
    crate::report::count(records.len() as u64, "record", "records")
}

/// The records of a message, each at most so many bytes.
fn records(parts: &Parts, setting: &Setting, host: &str, bytes: usize) -> Vec<String> {
    let mut records: Vec<String> = parts
        .items
        .iter()
        .zip(1..)
        .map(|(item, number)| record(parts, item, number, setting, host, bytes))
        .collect();
    let left_out = parts.total.saturating_sub(parts.items.len() as u64);
    if let Some(last) = parts.items.last().filter(|_| left_out > 0) {
        let more = ItemParts {
            title: format!("{left_out} more are not in this message"),
            detail: String::new(),
            rule: "daicho.more".to_owned(),
            subject: String::new(),
            ..last.clone()
        };
        let number = parts.items.len() + 1;
        records.push(record(parts, &more, number, setting, host, bytes));
    }
    records
}

fn record(
    parts: &Parts,
    item: &ItemParts,
    number: usize,
    setting: &Setting,
    host: &str,
    bytes: usize,
) -> String {
    // RFC 5424, table 2.
    let severity = match item.severity {
        "critical" => 2,
        "warning" => 4,
        _ => 6,
    };
    let priority = u32::from(setting.facility) * 8 + severity;
    let id = format!("{}/{number}", parts.id);
    let head = format!("<{priority}>1 {} {host} daicho - {}", item.at, item.kind);
    let written = match setting.form {
        SyslogForm::Rfc5424 => {
            let data = structured(parts, item, &id);
            let colon = if item.detail.is_empty() { "" } else { ": " };
            // The mark says that the text is UTF-8 (RFC 5424, section 6.4).
            format!("{head} {data} \u{feff}{}{colon}{}", item.title, item.detail)
        }
        SyslogForm::Cef => format!("{head} - {}", cef(parts, item, &id)),
    };
    text::cut(&written, bytes)
}

/// Structured data (RFC 5424, section 6.3). The number is the one for documentation, as we have
/// none of our own.
fn structured(parts: &Parts, item: &ItemParts, id: &str) -> String {
    let mut data = String::from("[daicho@32473");
    let mut add = |name: &str, value: &str| {
        // What has to be there goes first and whole; what is long is cut, so that the text has room.
        let value: String = text::cut(value, 300)
            .chars()
            .flat_map(|c| matches!(c, '"' | '\\' | ']').then_some('\\').into_iter().chain([c]))
            .collect();
        data.push_str(&format!(" {name}=\"{value}\""));
    };
    add("message", id);
    add("route", &parts.route);
    add("rule", &item.rule);
    add("severity", item.severity);
    add("subject", &item.subject);
    if let Some(site) = &item.site {
        add("site", site);
    }
    for (name, number) in [("asset", item.asset), ("finding", item.finding)] {
        if let Some(number) = number {
            add(name, &number.to_string());
        }
    }
    if parts.test {
        add("test", "true");
    }
    data.push(']');
    data
}

/// The common event format, version 0.
fn cef(parts: &Parts, item: &ItemParts, id: &str) -> String {
    let header = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|");
    let value = |text: &str| text.replace('\\', "\\\\").replace('=', "\\=");
    let severity = match item.severity {
        "critical" => 9,
        "warning" => 6,
        _ => 3,
    };
    let mut written = format!(
        "CEF:0|Daicho|Daicho|{}|{}|{}|{severity}|externalId={id} cat={}",
        parts.version,
        header(&item.rule),
        header(&text::cut(&item.title, 512)),
        if parts.test { "test" } else { item.kind },
    );
    let strings = [
        ("cs1", "subject", Some(item.subject.clone())),
        ("cs2", "site", item.site.clone()),
        ("cs3", "owners", Some(item.owners.join(", "))),
        ("cs4", "route", Some(parts.route.clone())),
    ];
    for (key, label, text) in strings {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            written.push_str(&format!(" {key}Label={label} {key}={}", value(&text)));
        }
    }
    if let Some(finding) = item.finding {
        written.push_str(&format!(" cn1Label=finding cn1={finding}"));
    }
    // Last, because it is what is cut where there is too much.
    written.push_str(&format!(" msg={}", value(&item.detail)));
    written
}

/// A host name as the header may hold it (RFC 5424, section 6.2.4).
fn host_name(vantage: &str) -> String {
    let name: String =
        vantage.chars().map(|c| if c.is_ascii_graphic() { c } else { '-' }).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::tests::letter_of;

    fn setting(form: SyslogForm) -> Setting {
        Setting {
            server: "log.example".into(),
            port: 514,
            transport: SyslogTransport::Tcp,
            form,
            facility: 13,
            roots: None,
        }
    }

    fn written(form: SyslogForm, title: &str, detail: &str, bytes: usize) -> String {
        let letter = letter_of(title, detail);
        records(&letter.parts, &setting(form), &host_name("見張り 1"), bytes).remove(0)
    }

    #[test]
    fn a_record_is_one_of_rfc_5424() {
        assert_eq!(
            written(SyslogForm::Rfc5424, "Device", "is \"new\"", RECORD),
            "<108>1 1970-01-01T00:00:07Z ----1 daicho - new [daicho@32473 \
             message=\"00000000000000000000000000000001/1\" route=\"r\" rule=\"a.rule\" \
             severity=\"warning\" subject=\"asset:1\" site=\"plant\" asset=\"1\" finding=\"2\"] \
             \u{feff}Device: is \"new\""
        );
    }

    #[test]
    fn a_record_is_one_of_cef() {
        assert_eq!(
            written(SyslogForm::Cef, "a|b\\c", "x=1\ncs1=evil", RECORD),
            format!(
                "<108>1 1970-01-01T00:00:07Z ----1 daicho - new - CEF:0|Daicho|Daicho|{}|a.rule|\
                 a\\|b\\\\c|6|externalId=00000000000000000000000000000001/1 cat=new \
                 cs1Label=subject cs1=asset:1 cs2Label=site cs2=plant cs3Label=owners cs3=Sato \
                 cs4Label=route cs4=r cn1Label=finding cn1=2 msg=x\\=1 cs1\\=evil",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn nothing_a_device_says_begins_another_record_or_ends_the_data() {
        for form in [SyslogForm::Rfc5424, SyslogForm::Cef] {
            let record = written(form, "x\n<0>1 - - - - - -", "\"] y\r\n\u{0}", RECORD);
            assert!(!record.contains(['\n', '\r', '\0']), "{record:?}");
        }
        let mut letter = letter_of("t", "d");
        letter.parts.items[0].subject = "a\" b=\"] c\\".into();
        let record = records(&letter.parts, &setting(SyslogForm::Rfc5424), "h", RECORD).remove(0);
        assert!(record.contains("subject=\"a\\\" b=\\\"\\] c\\\\\""), "{record}");
    }

    #[test]
    fn a_datagram_is_no_longer_than_everybody_takes() {
        for form in [SyslogForm::Rfc5424, SyslogForm::Cef] {
            let record = written(form, &"題".repeat(300), &"詳".repeat(1_000), DATAGRAM);
            assert!(record.len() <= DATAGRAM, "{}", record.len());
        }
    }

    #[test]
    fn what_was_left_out_is_a_record_too() {
        let mut letter = letter_of("t", "d");
        letter.parts.total = 41;
        let records = records(&letter.parts, &setting(SyslogForm::Rfc5424), "h", RECORD);
        assert_eq!(records.len(), 2);
        assert!(
            records[1].contains("/2\"") && records[1].ends_with("40 more are not in this message")
        );
    }
}
