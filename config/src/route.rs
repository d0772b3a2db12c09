//! Routes: who is told of what, and by which way.
//!
//! `[[routes]]` is a list of tables, so it is one setting and is read here as a whole. Its
//! errors name the route and the setting and never show a value that may be a secret, such as
//! the address of a webhook.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf, time::Duration};

use model::Severity;
use toml::{Table, Value};

use crate::{DAY, Window, layers::nearest, units};

/// Who is told of what, how and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteSetting {
    /// Its name, by which it remembers what it told.
    pub name: String,
    /// What matters less is not told.
    pub severity: Severity,
    /// Rules, or what their names begin with where it ends with `*`; empty for all.
    pub rules: Vec<String>,
    /// Sites; empty for all.
    pub sites: Vec<String>,
    /// Persons or departments who answer for it; empty for all.
    pub owners: Vec<String>,
    /// Of [`KINDS`].
    pub kinds: Vec<String>,
    /// Of [`ABOUT`].
    pub about: Vec<String>,
    /// After how long an open problem is told again; zero for never. Up to a year.
    pub remind: Duration,
    /// How long news is gathered for one message. Up to 31 days.
    pub digest: Duration,
    /// When nothing is sent that is not urgent, in local time.
    pub quiet: Vec<Window>,
    /// What is urgent: waits for neither the digest nor the end of quiet hours.
    pub urgent: Option<Severity>,
    /// Whether what is there on the first day is told.
    pub tell_baseline: bool,
    /// After how long of trying a message is given up, from a minute to 30 days.
    pub expire: Duration,
    /// The longest that sending one message may take, from 1 second to 5 minutes.
    pub time_limit: Duration,
    /// How many pieces of news a text lists, from 1 to 500; more are counted.
    pub list: usize,
    /// In which language messages are written.
    pub language: Language,
    /// A template of one's own, instead of the one for the language.
    pub template: Option<PathBuf>,
    /// The way.
    pub destination: Destination,
}

/// A language of messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// English.
    English,
    /// Japanese.
    Japanese,
}

/// Where a secret is to be found. It is read when it is needed and never shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Secret {
    /// In the first line of a file.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

/// By which way messages go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// E-mail, handed to a server (SMTP).
    Email(Email),
    /// A request to a web server.
    Webhook(Webhook),
    /// A log server.
    Syslog(Syslog),
    /// A program with its arguments, which gets the message as JSON.
    Command(Vec<String>),
    /// A file to which each message is appended as a line of JSON.
    File(PathBuf),
}

/// How e-mail is handed in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Email {
    /// The server's name or address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// Who we are to the server, where it wants to know.
    pub user: Option<String>,
    /// And by what it knows it.
    pub password: Option<Secret>,
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// Roots to trust instead of the system's.
    pub roots: Option<PathBuf>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailSecurity {
    /// Not at all.
    None,
    /// By TLS after some words in the clear; never without it.
    StartTls,
    /// By TLS from the first byte.
    Tls,
}

/// How a web server is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// Its address, which is often a secret.
    pub url: WebhookUrl,
    /// What it understands.
    pub form: WebhookForm,
    /// A token to show.
    pub token: Option<Secret>,
    /// What the body is signed with.
    pub signing: Option<Secret>,
    /// A proxy that leads there, as an address of http.
    pub proxy: Option<String>,
    /// Roots to trust instead of the system's.
    pub roots: Option<PathBuf>,
}

/// Where the address of a webhook is to be found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WebhookUrl {
    /// It is this.
    Given(String),
    /// It is a secret.
    Secret(Secret),
}

/// What a webhook understands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WebhookForm {
    /// Our own JSON.
    Json,
    /// Slack's incoming webhooks.
    Slack,
    /// Microsoft Teams' workflows.
    Teams,
    /// Mattermost's incoming webhooks.
    Mattermost,
    /// LINE WORKS' incoming webhooks.
    LineWorks,
    /// Chatwork's messages to a room.
    Chatwork,
}

impl WebhookForm {
    /// Every one, with its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("json", Self::Json),
        ("slack", Self::Slack),
        ("teams", Self::Teams),
        ("mattermost", Self::Mattermost),
        ("line_works", Self::LineWorks),
        ("chatwork", Self::Chatwork),
    ];
}

/// How a log server is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Syslog {
    /// Its name or address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How messages go there.
    pub transport: SyslogTransport,
    /// How they are written.
    pub form: SyslogForm,
    /// The facility (RFC 5424, table 1), from 0 to 23.
    pub facility: u8,
    /// Roots to trust instead of the system's.
    pub roots: Option<PathBuf>,
}

/// How messages go to a log server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SyslogTransport {
    /// One datagram each (RFC 5426).
    Udp,
    /// Counted octets (RFC 6587).
    Tcp,
    /// The same inside TLS (RFC 5425).
    Tls,
}

/// How a log message is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SyslogForm {
    /// With structured data (RFC 5424).
    Rfc5424,
    /// With the common event format as its text.
    Cef,
}

/// The kinds of news.
pub const KINDS: [&str; 4] = ["new", "worse", "reminder", "over"];

/// What news can be about.
pub const ABOUT: [&str; 4] = ["discovery", "state", "approval", "risk"];

/// What is told where a route does not say otherwise: what can be decided on.
const ABOUT_DEFAULT: [&str; 2] = ["approval", "risk"];

/// Reads the list of routes. The error names the route and the setting.
pub(crate) fn routes(value: &Value) -> Result<Vec<RouteSetting>, String> {
    let expected = || "expected tables, each begun by [[routes]]".to_owned();
    let mut names = BTreeSet::new();
    let mut routes = Vec::new();
    for value in value.as_array().ok_or_else(expected)? {
        let fields = Fields::new(value.as_table().ok_or_else(expected)?);
        let name = fields.need("name", units::name)?;
        let route = route(&fields, name.clone()).map_err(|error| format!("{name}: {error}"))?;
        if !names.insert(name.clone()) {
            return Err(format!("{name}: there are two routes of that name"));
        }
        routes.push(route);
    }
    Ok(routes)
}

fn route(fields: &Fields<'_>, name: String) -> Result<RouteSetting, String> {
    if name.len() > 64 {
        return Err("name: expected at most 64 bytes".to_owned());
    }
    let paths = |key| fields.take(key, units::text).map(|path| path.map(PathBuf::from));
    let destination = match fields.need("type", units::text)?.as_str() {
        "email" => Destination::Email(email(fields)?),
        "webhook" => Destination::Webhook(webhook(fields)?),
        "syslog" => Destination::Syslog(syslog(fields)?),
        "command" => Destination::Command(fields.need("command", |value| {
            let words = units::texts(value)?;
            match words.first().is_some_and(|program| program.starts_with('/')) {
                true => Ok(words),
                false => Err("expected a list that begins with the program's whole path, such as \
                              [\"/usr/local/bin/page\", \"--loud\"]"
                    .to_owned()),
            }
        })?),
        "file" => Destination::File(fields.need("path", |value| {
            let path = PathBuf::from(units::text(value)?);
            path.is_absolute().then_some(path).ok_or_else(|| "expected a whole path".to_owned())
        })?),
        other => {
            let known = "email, webhook, syslog, command, file";
            return Err(format!("type: {other:?} is not a way to send ({known})"));
        }
    };
    let texts = |key| fields.take(key, units::texts).map(Option::unwrap_or_default);
    let route = RouteSetting {
        severity: fields.take("severity", severity)?.unwrap_or(Severity::Warning),
        rules: texts("rules")?,
        sites: texts("sites")?,
        owners: texts("owners")?,
        kinds: fields.take("kinds", |v| among(v, &KINDS))?.unwrap_or_else(|| all(&KINDS)),
        about: fields.take("about", |v| among(v, &ABOUT))?.unwrap_or_else(|| all(&ABOUT_DEFAULT)),
        remind: fields.duration("remind", Duration::ZERO, 366 * DAY, 7 * DAY)?,
        digest: fields.duration("digest", Duration::ZERO, 31 * DAY, Duration::from_secs(60))?,
        quiet: fields
            .take("quiet", |value| units::texts(value)?.iter().map(|text| text.parse()).collect())?
            .unwrap_or_default(),
        urgent: fields
            .take("urgent", |value| match value.as_str() {
                Some("never") => Ok(None),
                _ => severity(value).map(Some).map_err(|e| format!("{e}, or \"never\"")),
            })?
            .unwrap_or(Some(Severity::Critical)),
        tell_baseline: fields
            .take("baseline", |value| match value.as_str() {
                Some("silent") => Ok(false),
                Some("told") => Ok(true),
                _ => Err("expected \"silent\" or \"told\"".to_owned()),
            })?
            .unwrap_or(false),
        expire: fields.duration("expire", Duration::from_secs(60), 30 * DAY, 3 * DAY)?,
        time_limit: fields.duration(
            "time_limit",
            Duration::from_secs(1),
            Duration::from_secs(300),
            Duration::from_secs(30),
        )?,
        list: fields.take("list", |v| units::number(v, 1, 500))?.unwrap_or(25),
        language: fields
            .take("language", |value| match value.as_str() {
                Some("en") => Ok(Language::English),
                Some("ja") => Ok(Language::Japanese),
                _ => Err("expected \"en\" or \"ja\"".to_owned()),
            })?
            .unwrap_or(Language::English),
        template: paths("template")?,
        destination,
        name,
    };
    fields.no_more()?;
    Ok(route)
}

fn email(fields: &Fields<'_>) -> Result<Email, String> {
    let security = match fields.take("security", units::text)?.as_deref() {
        None | Some("starttls") => MailSecurity::StartTls,
        Some("tls") => MailSecurity::Tls,
        Some("none") => MailSecurity::None,
        Some(other) => {
            return Err(format!("security: {other:?} is none of starttls, tls and none"));
        }
    };
    let usual = match security {
        MailSecurity::None => 25,
        MailSecurity::StartTls => 587,
        MailSecurity::Tls => 465,
    };
    let email = Email {
        server: fields.need("server", units::name)?,
        port: fields.take("port", port)?.unwrap_or(usual),
        security,
        user: fields.take("user", units::name)?,
        password: fields.secret("password")?,
        from: fields.need("from", units::name)?,
        to: fields.need("to", units::texts)?,
        roots: fields.take("roots", units::text)?.map(PathBuf::from),
    };
    match (&email.user, &email.password, security) {
        _ if email.to.is_empty() => Err("to: expected at least one address".to_owned()),
        (Some(_), None, _) => Err("user: without password_file or password_variable".to_owned()),
        (None, Some(_), _) => Err("password: without user".to_owned()),
        // The password would be there for everybody on the way.
        (Some(_), _, MailSecurity::None) => {
            Err("user: no password is sent without TLS; security is \"none\"".to_owned())
        }
        _ => Ok(email),
    }
}

fn webhook(fields: &Fields<'_>) -> Result<Webhook, String> {
    let known = WebhookForm::ALL.map(|(name, _)| name).join(", ");
    let form = match fields.take("form", units::text)? {
        None => WebhookForm::Json,
        Some(name) => WebhookForm::ALL
            .into_iter()
            .find_map(|(known, form)| (known == name).then_some(form))
            .ok_or_else(|| format!("form: {name:?} is none of {known}"))?,
    };
    let url = match (fields.take("url", units::name)?, fields.secret("url")?) {
        (Some(url), None) => WebhookUrl::Given(url),
        (None, Some(secret)) => WebhookUrl::Secret(secret),
        _ => return Err("expected one of url, url_file and url_variable".to_owned()),
    };
    let webhook = Webhook {
        url,
        form,
        token: fields.secret("token")?,
        signing: fields.secret("signing_key")?,
        proxy: fields.take("proxy", units::name)?,
        roots: fields.take("roots", units::text)?.map(PathBuf::from),
    };
    match form == WebhookForm::Chatwork && webhook.token.is_none() {
        true => Err("token: Chatwork wants one: token_file or token_variable".to_owned()),
        false => Ok(webhook),
    }
}

fn syslog(fields: &Fields<'_>) -> Result<Syslog, String> {
    let transport = match fields.take("transport", units::text)?.as_deref() {
        None | Some("tls") => SyslogTransport::Tls,
        Some("tcp") => SyslogTransport::Tcp,
        Some("udp") => SyslogTransport::Udp,
        Some(other) => return Err(format!("transport: {other:?} is none of tls, tcp and udp")),
    };
    let usual = if transport == SyslogTransport::Tls { 6_514 } else { 514 };
    Ok(Syslog {
        server: fields.need("server", units::name)?,
        port: fields.take("port", port)?.unwrap_or(usual),
        transport,
        form: match fields.take("form", units::text)?.as_deref() {
            None | Some("rfc5424") => SyslogForm::Rfc5424,
            Some("cef") => SyslogForm::Cef,
            Some(other) => return Err(format!("form: {other:?} is none of rfc5424 and cef")),
        },
        // Log audit, which is what many collectors keep longest.
        facility: fields.take("facility", |v| units::number(v, 0, 23))?.unwrap_or(13),
        roots: fields.take("roots", units::text)?.map(PathBuf::from),
    })
}

fn port(value: &Value) -> Result<u16, String> {
    units::number(value, 1, 65_535)
}

fn severity(value: &Value) -> Result<Severity, String> {
    let read = value.as_str().and_then(|text| text.parse().ok());
    read.ok_or_else(|| "expected \"info\", \"warning\" or \"critical\"".to_owned())
}

fn all(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A list of some of these names.
fn among(value: &Value, known: &[&str]) -> Result<Vec<String>, String> {
    let names = units::texts(value)?;
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("{name:?} is none of {}", known.join(", "))),
        None => Ok(names),
    }
}

/// The settings of a route, of which each is to be asked for.
struct Fields<'a> {
    table: &'a Table,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Fields<'a> {
    const fn new(table: &'a Table) -> Self {
        Self { table, asked: RefCell::new(BTreeSet::new()) }
    }

    fn take<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.asked.borrow_mut().insert(key.to_owned());
        let value = self.table.get(key);
        value.map(|value| read(value).map_err(|error| format!("{key}: {error}"))).transpose()
    }

    fn need<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, String> {
        self.take(key, read)?.ok_or_else(|| format!("{key} is missing"))
    }

    fn duration(
        &self,
        key: &str,
        least: Duration,
        most: Duration,
        usual: Duration,
    ) -> Result<Duration, String> {
        Ok(self.take(key, |value| units::duration(value, least, most))?.unwrap_or(usual))
    }

    /// A secret, in a file or a variable. The secret itself is refused: configuration files are
    /// copied into tickets.
    fn secret(&self, what: &str) -> Result<Option<Secret>, String> {
        if what != "url" && self.table.contains_key(what) {
            let ways = format!("{what}_file or {what}_variable");
            return Err(format!("{what}: secrets do not belong into the configuration: {ways}"));
        }
        let file = self.take(&format!("{what}_file"), units::name)?;
        match (file, self.take(&format!("{what}_variable"), units::name)?) {
            (Some(_), Some(_)) => {
                Err(format!("{what}: expected one of {what}_file and {what}_variable"))
            }
            (Some(path), None) => Ok(Some(Secret::File(PathBuf::from(path)))),
            // All those are settings, and one that is none is refused.
            (None, Some(variable)) if variable.starts_with("DAICHO_") => {
                Err(format!("{what}_variable: the name must not begin with DAICHO_"))
            }
            (None, Some(variable)) => Ok(Some(Secret::Variable(variable))),
            (None, None) => Ok(None),
        }
    }

    /// What is left that nobody asked for.
    fn no_more(&self) -> Result<(), String> {
        let asked = self.asked.borrow();
        let Some(unknown) = self.table.keys().find(|key| !asked.contains(*key)) else {
            return Ok(());
        };
        let near = nearest(unknown, asked.iter());
        let meant = near.map_or_else(String::new, |name| format!("; did you mean {name}?"));
        Err(format!("there is no setting {unknown} in a route of this type{meant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str) -> Result<Vec<RouteSetting>, String> {
        let table: Table = text.parse().unwrap();
        routes(&table["routes"])
    }

    const MAIL: &str = "[[routes]]\nname = \"mail\"\ntype = \"email\"\nserver = \
                        \"mail.example\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n";

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        assert_eq!(read(text).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn a_route_has_defaults_for_all_but_its_destination() {
        let [route] = read(MAIL).unwrap().try_into().unwrap();
        let Destination::Email(email) = &route.destination else { panic!("{route:?}") };
        assert_eq!((email.port, email.security), (587, MailSecurity::StartTls));
        assert_eq!((route.severity, route.urgent), (Severity::Warning, Some(Severity::Critical)));
        assert_eq!((route.remind, route.expire), (7 * DAY, 3 * DAY));
        assert_eq!(route.about, ["approval", "risk"]);
        assert_eq!(route.kinds, KINDS);
        assert!(!route.tell_baseline && route.quiet.is_empty());
    }

    #[test]
    fn each_way_is_read() {
        let read = |text: &str| {
            let text = format!("[[routes]]\nname = \"r\"\n{text}");
            read(&text).unwrap().remove(0).destination
        };
        let hook = read("type = \"webhook\"\nform = \"slack\"\nurl_file = \"/run/url\"");
        let Destination::Webhook(hook) = hook else { panic!("{hook:?}") };
        assert_eq!(hook.url, WebhookUrl::Secret(Secret::File("/run/url".into())));
        let log = read("type = \"syslog\"\nserver = \"log.example\"\nform = \"cef\"");
        let Destination::Syslog(log) = log else { panic!("{log:?}") };
        assert_eq!((log.port, log.form), (6_514, SyslogForm::Cef));
        let command = read("type = \"command\"\ncommand = [\"/bin/page\", \"-x\"]");
        assert_eq!(command, Destination::Command(vec!["/bin/page".into(), "-x".into()]));
        let file = read("type = \"file\"\npath = \"/var/log/daicho.jsonl\"");
        assert_eq!(file, Destination::File("/var/log/daicho.jsonl".into()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_route() {
        refuses("routes = [1]", "expected tables, each begun by [[routes]]");
        refuses("[[routes]]\ntype = \"file\"", "name is missing");
        refuses("[[routes]]\nname = \"x\"", "x: type is missing");
        refuses(
            &format!("{MAIL}sevrity = \"info\""),
            "mail: there is no setting sevrity in a route of this type; did you mean severity?",
        );
        refuses(&format!("{MAIL}{MAIL}"), "mail: there are two routes of that name");
        refuses(
            &format!("{MAIL}kinds = [\"gone\"]"),
            "mail: kinds: \"gone\" is none of new, worse, reminder, over",
        );
        refuses(
            &format!("{MAIL}quiet = [\"at night\"]"),
            "mail: quiet: \"at night\" is not a time of the week, such as \"Mon-Fri 22:00-06:00\"",
        );
        refuses(
            &format!("{MAIL}security = \"none\"\nuser = \"u\"\npassword_file = \"/p\""),
            "mail: user: no password is sent without TLS; security is \"none\"",
        );
        refuses(
            "[[routes]]\nname = \"c\"\ntype = \"command\"\ncommand = [\"page\"]",
            "c: command: expected a list that begins with the program's whole path, such as \
             [\"/usr/local/bin/page\", \"--loud\"]",
        );
    }

    #[test]
    fn a_secret_in_the_configuration_is_refused_and_not_shown() {
        let error = read(&format!("{MAIL}user = \"u\"\npassword = \"hunter2\"")).unwrap_err();
        assert_eq!(
            error,
            "mail: password: secrets do not belong into the configuration: password_file or \
             password_variable"
        );
        let hook =
            "[[routes]]\nname = \"h\"\ntype = \"webhook\"\nurl = \"https://h.example/S3CRET\"";
        let error = read(&format!("{hook}\nform = \"slck\"")).unwrap_err();
        assert!(!error.contains("S3CRET"), "{error}");
    }
}
