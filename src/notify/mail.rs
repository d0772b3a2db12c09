//! E-mail, handed to a server (RFC 5321) as plain text in UTF-8.
//!
//! No HTML is written, so nothing in it can be a link, an image or a script. The Message-ID is
//! made of the message's key: a server or a reader who gets it twice, because we were killed
//! between its word and our note of it, can tell. Encoding of headers is lettre's.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use config::route::{Email, MailSecurity, Secret};
use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
    transport::smtp::{
        self,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
        response::Response,
    },
};
use tokio::time::{Instant, timeout_at};

use super::{Letter, Trouble, secret, tls};
use crate::tell;

/// The server's farewell is waited for so long, and not beyond the time limit: it has the
/// message by then.
const FAREWELL: Duration = Duration::from_secs(2);

/// A mail server and who writes to whom.
#[derive(Debug)]
pub(super) struct Mail {
    server: String,
    port: u16,
    tls: Tls,
    user: Option<(String, Secret)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    time_limit: Duration,
}

impl Mail {
    /// Reads the addresses and the roots.
    pub(super) fn load(email: &Email, time_limit: Duration) -> Result<Self> {
        let mailbox = |what: &str, text: &str| {
            text.parse::<Mailbox>()
                .with_context(|| format!("{what}: {text:?} is no address for e-mail"))
        };
        let tls = match email.security {
            MailSecurity::None => Tls::None,
            MailSecurity::StartTls => Tls::Required(parameters(email)?),
            MailSecurity::Tls => Tls::Wrapper(parameters(email)?),
        };
        Ok(Self {
            server: email.server.clone(),
            port: email.port,
            tls,
            user: email.user.clone().zip(email.password.clone()),
            from: mailbox("from", &email.from)?,
            to: email.to.iter().map(|to| mailbox("to", to)).collect::<Result<_>>()?,
            time_limit,
        })
    }

    /// Hands it in; gives the server's last words.
    pub(super) async fn send(&self, letter: &Letter) -> Result<String, Trouble> {
        let message = self.message(letter).map_err(|e| Trouble::refused(format!("{e:#}")))?;
        let mut login = None;
        if let Some((user, password)) = &self.user {
            login = Some(Credentials::new(user.clone(), secret(password)?.to_string()));
        }
        match self.hand_in(&message, login.as_ref()).await {
            Ok(response) => {
                let words: Vec<&str> = response.message().collect();
                Ok(format!("{} {}", response.code(), words.join(" ")))
            }
            Err(error) => {
                let words = format!("{}: {}", self.server, tell::chain(&error));
                Err(if error.is_permanent() {
                    Trouble::refused(words)
                } else {
                    Trouble::later(words)
                })
            }
        }
    }

    /// The server's answer to the message. What it says to our farewell is not its answer.
    async fn hand_in(
        &self,
        message: &Message,
        login: Option<&Credentials>,
    ) -> Result<Response, smtp::Error> {
        let until = Instant::now() + self.time_limit;
        let name = ClientId::default();
        let (wrapped, started) = match &self.tls {
            Tls::Wrapper(parameters) => (Some(parameters.clone()), None),
            Tls::Required(parameters) => (None, Some(parameters.clone())),
            Tls::None | Tls::Opportunistic(_) => (None, None),
        };
        let server = (self.server.as_str(), self.port);
        let limit = Some(self.time_limit);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, limit, &name, wrapped, None).await?;
        if let Some(parameters) = started {
            connection.starttls(parameters, &name).await?;
        }
        if let Some(login) = login {
            connection.auth(DEFAULT_MECHANISMS, login).await?;
        }
        let response = connection.send(message.envelope(), &message.formatted()).await?;
        let _ = timeout_at(until.min(Instant::now() + FAREWELL), connection.quit()).await;
        Ok(response)
    }

    fn message(&self, letter: &Letter) -> Result<Message> {
        let id = message_id(&letter.parts.id, &self.from.email);
        // The same at every attempt, as everything in it.
        let written: model::Timestamp = letter.parts.created_at.parse()?;
        let since = u64::try_from(written.seconds()).unwrap_or(0);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(letter.subject.clone())
            .message_id(Some(id))
            .date(UNIX_EPOCH + Duration::from_secs(since))
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            // RFC 3834: nobody's holiday reply comes back.
            .raw_header(header("Auto-Submitted", "auto-generated")?)
            .raw_header(header("X-Daicho-Route", &ascii(&letter.parts.route))?);
        if letter.parts.severity == "critical" {
            builder = builder.raw_header(header("Importance", "high")?);
        }
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        Ok(builder.body(letter.text.clone())?)
    }
}

/// `<key@domain>` (RFC 5322, section 3.6.4), with the sender's domain.
fn message_id(key: &str, from: &Address) -> String {
    format!("<{key}@{}>", from.domain())
}

fn header(name: &str, value: &str) -> Result<HeaderValue> {
    let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) else {
        bail!("{name} is no name of a header")
    };
    Ok(HeaderValue::new(name, value.to_owned()))
}

/// What a header of ours may hold without being encoded.
fn ascii(text: &str) -> String {
    let fits = |c: char| c.is_ascii_graphic() || c == ' ';
    text.chars().map(|c| if fits(c) { c } else { '?' }).collect()
}

fn parameters(email: &Email) -> Result<TlsParameters> {
    let mut builder = TlsParameters::builder(email.server.clone());
    if let Some(path) = &email.roots {
        builder = builder.certificate_store(CertificateStore::None);
        for root in tls::own_roots(path)? {
            builder = builder.add_root_certificate(Certificate::from_der(root)?);
        }
    }
    builder.build_rustls().context("cannot make TLS ready")
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::notify::tests::letter_of;

    fn mail() -> Mail {
        let email = Email {
            server: "mail.example".into(),
            port: 25,
            security: MailSecurity::None,
            user: None,
            password: None,
            from: "台帳 <daicho@office.example>".into(),
            to: vec!["a@office.example".into(), "B <b@office.example>".into()],
            roots: None,
        };
        Mail::load(&email, Duration::from_secs(5)).unwrap()
    }

    #[test]
    fn a_hostile_title_is_no_header_and_no_second_message() {
        let letter =
            letter_of("x\r\nBcc: evil@example.net\r\n\r\n.\r\nMAIL FROM:<a@b>", "受付\n.\n");
        let text = String::from_utf8(mail().message(&letter).unwrap().formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .lines()
            .filter(|l| !l.starts_with(' '))
            .filter_map(|l| l.split(':').next())
            .collect();
        let expected = [
            "From",
            "Subject",
            "Message-ID",
            "Date",
            "Content-Type",
            "Auto-Submitted",
            "X-Daicho-Route",
            "To",
            "MIME-Version",
            "Content-Transfer-Encoding",
        ];
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let mut wanted = expected.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "{head}");
        assert!(head.contains("Message-ID: <00000000000000000000000000000001@office.example>"));
        assert!(head.contains("Auto-Submitted: auto-generated"));
        assert!(head.is_ascii() && body.is_ascii(), "encoded for every server");
    }

    #[tokio::test]
    async fn what_a_server_has_is_sent_also_where_it_is_silent_afterwards() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            stream.write_all(b"220 here\r\n").unwrap();
            let (mut data, mut farewells) = (false, 0);
            for line in lines.map_while(Result::ok) {
                let answer = match (line.as_str(), data) {
                    ("DATA", false) => "354 go on\r\n",
                    (".", true) => "250 queued\r\n",
                    ("QUIT", false) => {
                        farewells += 1;
                        continue;
                    }
                    (_, true) => continue,
                    (_, false) => "250 yes\r\n",
                };
                data = answer.starts_with("354");
                stream.write_all(answer.as_bytes()).unwrap();
            }
            farewells
        });
        let time_limit = Duration::from_secs(1);
        let local = Mail {
            server: "127.0.0.1".into(),
            port,
            tls: Tls::None,
            user: None,
            time_limit,
            ..mail()
        };
        let words = local.send(&letter_of("title", "details")).await.unwrap();
        assert_eq!(words, "250 queued");
        assert_eq!(server.join().unwrap(), 1);
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        let email = Email {
            to: vec!["nobody".into()],
            ..Email {
                server: "s".into(),
                port: 1,
                security: MailSecurity::None,
                user: None,
                password: None,
                from: "a@b.example".into(),
                to: Vec::new(),
                roots: None,
            }
        };
        let error = Mail::load(&email, Duration::from_secs(1)).unwrap_err();
        assert!(format!("{error:#}").starts_with("to: \"nobody\" is no address"), "{error:#}");
    }
}
