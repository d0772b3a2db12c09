//! Delivery: from the outbox to people, by the ways that the configuration names.
//!
//! [`Courier::deliver`] is one pass: everything that is due is claimed, sent, and noted as sent
//! or to be tried again. It may be called as often as one likes and by several processes at
//! once. A message is sent at least once: a claim is written before it is sent, and what became
//! of it after; who is killed between the two has it sent again, under the same key, by which
//! the other side can tell. Nothing is sent anywhere but to configured destinations, whatever
//! the other side answers.

mod command;
mod file;
pub(crate) mod http;
mod letter;
mod mail;
mod syslog;
mod template;
mod text;
pub(crate) mod tls;
mod webhook;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use config::{
    Window,
    route::{Destination, RouteSetting, Secret},
};
use inventory::{
    outbox::{Claimed, Failure, retry_at},
    store::{Store, StoreError},
};
use model::{Severity, Timestamp};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

pub(crate) use letter::Sender;

use crate::{clock, notify::letter::Letter};

/// Everything that is needed to deliver, checked when it was made.
#[derive(Clone, Debug)]
pub(crate) struct Courier {
    ways: Vec<Arc<Way>>,
}

/// One route's way.
#[derive(Debug)]
struct Way {
    name: String,
    quiet: Vec<Window>,
    urgent: Option<Severity>,
    expire: Duration,
    time_limit: Duration,
    letters: letter::Press,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Mail(mail::Mail),
    Webhook(webhook::Webhook),
    Syslog(syslog::Syslog),
    Command(Vec<String>),
    File(std::path::PathBuf),
}

/// Why a message was not sent.
#[derive(Debug)]
pub(crate) struct Trouble {
    failure: Failure,
    /// In the words of the other side, where it had some.
    words: String,
}

impl Trouble {
    fn later(words: impl Into<String>) -> Self {
        Self { failure: Failure::Later(None), words: words.into() }
    }

    fn refused(words: impl Into<String>) -> Self {
        Self { failure: Failure::Refused, words: words.into() }
    }
}

/// What a pass did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Delivered {
    pub(crate) sent: u64,
    /// To be tried again.
    pub(crate) put_off: u64,
    /// Given up.
    pub(crate) failed: u64,
    /// What went wrong, a line each.
    pub(crate) troubles: Vec<String>,
}

/// Characters of the other side's words that are kept.
const WORDS: usize = 500;

/// Messages of one route in one pass, so that a pass has an end.
const AT_ONCE: usize = 1_000;

/// What a lease has beyond twice the time limit: nobody may still be sending when it ends.
const LEASE_MARGIN: i64 = 5;

impl Courier {
    /// Makes ready every way that the configuration names: templates are read and tried, roots
    /// are read. Secrets are not; they are read when they are needed, and so may change.
    ///
    /// # Errors
    ///
    /// Names the route and what is wrong with it.
    pub(crate) fn load(routes: &[RouteSetting], sender: &Sender) -> Result<Self> {
        let ways = routes.iter().map(|setting| {
            Way::load(setting, sender)
                .map(Arc::new)
                .with_context(|| format!("the route {:?}", setting.name))
        });
        Ok(Self { ways: ways.collect::<Result<_>>()? })
    }

    /// One pass over everything that is due. Routes do not wait for each other; within a route
    /// one message follows the other, and the first one that fails ends the pass for it. So does
    /// the first one that ends later than `longest` after the pass began.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read or written, after every route had its pass. What the
    /// other side does is no error.
    pub(crate) async fn deliver(&self, store: &Store, longest: Duration) -> Result<Delivered> {
        let mut passes = JoinSet::new();
        for way in &self.ways {
            let (way, store) = (Arc::clone(way), store.clone());
            passes.spawn(async move { way.deliver(&store, longest).await });
        }
        let mut all = Delivered::default();
        let mut broken = None;
        while let Some(pass) = passes.join_next().await {
            let pass = pass.context("delivery broke off");
            let pass = match pass.and_then(|pass| Ok(pass?)) {
                Ok(pass) => pass,
                // The others are in the middle of sending.
                Err(error) => {
                    broken.get_or_insert(error);
                    continue;
                }
            };
            all.sent += pass.sent;
            all.put_off += pass.put_off;
            all.failed += pass.failed;
            all.troubles.extend(pass.troubles);
        }
        all.troubles.sort();
        broken.map_or(Ok(all), Err)
    }

    /// Sends a message that says that it is a test, now, and gives the other side's words. The
    /// outbox has no part in it. `None` where there is no such route.
    pub(crate) async fn test(&self, route: &str) -> Option<Result<String, String>> {
        let way = self.ways.iter().find(|way| way.name == route)?;
        let letter = way.letters.test(clock::now());
        let letter = match letter {
            Ok(letter) => letter,
            Err(error) => return Some(Err(format!("{error:#}"))),
        };
        Some(way.send(&letter).await.map_err(|trouble| trouble.words))
    }

    /// Each route by itself, for whoever has none of them wait for another.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Self> {
        self.ways.iter().map(|way| Self { ways: vec![Arc::clone(way)] })
    }

    /// The names of the routes, in the order of the configuration.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.ways.iter().map(|way| way.name.as_str())
    }
}

impl Way {
    fn load(setting: &RouteSetting, sender: &Sender) -> Result<Self> {
        let letters = letter::Press::load(setting, sender)?;
        let carrier = match &setting.destination {
            Destination::Email(email) => {
                Carrier::Mail(mail::Mail::load(email, setting.time_limit)?)
            }
            Destination::Webhook(webhook) => Carrier::Webhook(webhook::Webhook::load(webhook)?),
            Destination::Syslog(syslog) => {
                Carrier::Syslog(syslog::Syslog::load(syslog, &sender.vantage)?)
            }
            Destination::Command(words) => Carrier::Command(words.clone()),
            Destination::File(path) => Carrier::File(path.clone()),
        };
        Ok(Self {
            name: setting.name.clone(),
            quiet: setting.quiet.clone(),
            urgent: setting.urgent,
            expire: setting.expire,
            time_limit: setting.time_limit,
            letters,
            carrier,
        })
    }

    async fn deliver(&self, store: &Store, longest: Duration) -> Result<Delivered, StoreError> {
        let began = Instant::now();
        let mut done = Delivered::default();
        let limit = i64::try_from(self.time_limit.as_secs()).unwrap_or(i64::MAX);
        let lease = limit.saturating_mul(2).saturating_add(LEASE_MARGIN);
        for _ in 0..AT_ONCE {
            if began.elapsed() > longest {
                break;
            }
            let now = clock::now();
            let Some(least) = least_now(&self.quiet, self.urgent, now) else { break };
            if !store.has_due(&self.name, least, now).await? {
                break;
            }
            let by = format!("{:032x}", u128::from(chance()) << 64 | u128::from(chance()));
            let asked = Instant::now();
            let claim = store.claim_message(&self.name, least, &by, lease, now).await?;
            let Some(claimed) = claim else { break };
            // The lease counts from before others who write were waited for. What is left of it
            // has to last for the sending.
            if asked.elapsed() > self.time_limit {
                let (words, now) = ("the database was busy", clock::now());
                store.message_not_sent(&claimed, Some(now), words, now).await?;
                break;
            }
            let result = match self.letters.print(&claimed) {
                Ok(letter) => self.send(&letter).await,
                // Templates were tried when they were loaded, so this is of this message alone.
                Err(error) => Err(Trouble::refused(format!("{error:#}"))),
            };
            match result {
                Ok(words) => {
                    store.message_sent(&claimed, &words, clock::now()).await?;
                    done.sent += 1;
                }
                Err(trouble) => {
                    self.put_off(store, &claimed, &trouble, &mut done).await?;
                    // The next would wait for the same server as long.
                    if matches!(trouble.failure, Failure::Later(_)) {
                        break;
                    }
                }
            }
        }
        Ok(done)
    }

    async fn put_off(
        &self,
        store: &Store,
        claimed: &Claimed,
        trouble: &Trouble,
        done: &mut Delivered,
    ) -> Result<(), StoreError> {
        let (now, expire) =
            (clock::now(), i64::try_from(self.expire.as_secs()).unwrap_or(i64::MAX));
        let next = retry_at(&claimed.message, trouble.failure, expire, chance(), now);
        store.message_not_sent(claimed, next, &trouble.words, now).await?;
        let id = claimed.message.id;
        let what = match next {
            Some(next) => {
                done.put_off += 1;
                format!("tried again at {next}")
            }
            None => {
                done.failed += 1;
                format!("given up; `daicho alert retry {id}` has it tried again")
            }
        };
        done.troubles.push(format!("{}: message {id}: {}: {what}", self.name, trouble.words));
        Ok(())
    }

    /// Sends, within the time limit.
    async fn send(&self, letter: &Letter) -> Result<String, Trouble> {
        let sending = async {
            match &self.carrier {
                Carrier::Mail(mail) => mail.send(letter).await,
                Carrier::Webhook(webhook) => webhook.send(letter, self.time_limit).await,
                Carrier::Syslog(syslog) => syslog.send(letter).await,
                Carrier::Command(words) => command::send(words, letter, self.time_limit).await,
                Carrier::File(path) => file::send(path, letter, self.time_limit).await,
            }
        };
        // A command ends itself at its limit, and is given the time to be killed.
        let limit = self.time_limit + Duration::from_secs(1);
        let result = match timeout(limit, sending).await {
            Ok(result) => result,
            Err(_) => Err(Trouble::later(format!("it took longer than {:?}", self.time_limit))),
        };
        result
            .map(|words| text::words(&words, WORDS))
            .map_err(|trouble| Trouble { words: text::words(&trouble.words, WORDS), ..trouble })
    }
}

/// What has to matter at least to be sent now; `None` where nothing is sent.
fn least_now(quiet: &[Window], urgent: Option<Severity>, now: Timestamp) -> Option<Severity> {
    match crate::cli::window::is_open_at(quiet, now) {
        true => urgent,
        false => Some(Severity::Info),
    }
}

/// Any number.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness all pauses are the same, which is no reason not to deliver.
    let _ = getrandom::fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// The secret, as it is now; in words why there is none.
#[cfg(feature = "oidc")]
pub(crate) fn secret_of(from: &Secret) -> Result<zeroize::Zeroizing<String>, String> {
    secret(from).map_err(|trouble| trouble.words)
}

/// The secret, as it is now.
fn secret(secret: &Secret) -> Result<zeroize::Zeroizing<String>, Trouble> {
    let text = match secret {
        Secret::File(path) => read_secret(path)?,
        Secret::Variable(name) => std::env::var(name).map_err(|_| {
            Trouble::later(format!("the environment variable {name} is not set, or no text"))
        })?,
    };
    let text = zeroize::Zeroizing::new(text);
    let line = text.lines().next().unwrap_or_default().trim().to_owned();
    match line.is_empty() || line.chars().any(char::is_control) {
        true => Err(Trouble::later("the secret is empty, or holds control characters")),
        false => Ok(zeroize::Zeroizing::new(line)),
    }
}

fn read_secret(path: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(path)
        .map_err(|error| Trouble::later(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests;
