//! Signing in by OpenID Connect: what the configuration says of the provider, and what is known of
//! it. `known` asks it, `arrive` has what browsers ask for; what to believe says the crate `openid`.
//!
//! Requests go to the issuer that the configuration names, and to the addresses that it names in
//! its description, to no other: no redirection is followed. None is sent before somebody wants to
//! sign in.

mod arrive;
mod known;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use inventory::user::Role;
use openid::{Claims, Expected, Flow, Keys, Provider, Seal, ask, ask::Client};
use scanner::net::download::{Scheme, WebAddress};
use tokio::{sync::Semaphore, time::timeout};

use super::{language::Language, words::words};
use crate::{
    clock,
    notify::{
        http::{self, Ask},
        secret_of,
        tls::Trust,
    },
    tell,
};
use known::Known;

pub(super) use arrive::routes;

/// The most bytes of what a provider answers. Descriptions and keys have some 10 KiB; Entra ID's
/// keys, each with its certificate, 20 KiB.
const MOST: usize = 512 << 10;

/// Codes that are changed for tokens at once. Whoever comes when all are taken waits for one.
const AT_ONCE: usize = 8;

/// Sign-ins of which it is remembered that they were used. Older ones go first.
const USED: usize = 10_000;

words! {
    /// What the sign-in page says of it.
    Texts {
        single_sign_on: "Single sign-on", "シングルサインオン";
        away: "The single sign-on cannot be reached just now. Try again a little later; an administrator finds the reason in the log.", "シングルサインオンに接続できません。しばらくしてからもう一度お試しください。原因はログに記録されています。";
        cancelled: "The sign-in was not completed.", "サインインは完了しませんでした。";
        refused: "The sign-in did not succeed. Begin it again; an administrator finds the reason in the log.", "サインインできませんでした。もう一度やり直してください。原因はログに記録されています。";
        no_role: "You are known, but may not see this page. Ask an administrator.", "認証されましたが、このページの利用は許可されていません。管理者に問い合わせてください。";
    }
}

/// A provider whose people may sign in.
#[derive(Debug)]
pub(crate) struct Oidc {
    setting: config::oidc::Oidc,
    /// What browsers call us that ask by the address that the provider knows.
    host: String,
    /// Where it sends browsers back to.
    redirect: String,
    asker: Asker,
    seal: Seal,
    known: Known,
    places: Semaphore,
    /// The sign-ins that came back already, by their marks, with their ends in seconds since 1970.
    used: Mutex<BTreeMap<(i64, String), ()>>,
}

/// How the provider is asked.
#[derive(Debug)]
struct Asker {
    proxy: Option<WebAddress>,
    trust: Trust,
    limit: Duration,
}

/// Why somebody is not signed in.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Failure {
    /// The provider cannot be asked; it may go another time, by another way now.
    Away(String),
    /// What came back is not to be believed.
    Refused(String),
}

/// Whether the setting can be used, as far as that shows without asking anybody.
pub(crate) fn check(setting: &config::oidc::Oidc) -> Result<()> {
    openid::check_address(&setting.issuer).context("web.oidc.issuer")?;
    WebAddress::read(&openid::discovery(&setting.issuer)).context("web.oidc.issuer")?;
    address(setting)?;
    proxy(setting).map(drop)
}

fn address(setting: &config::oidc::Oidc) -> Result<WebAddress> {
    let what = "web.oidc.address (or alerts.page)";
    openid::check_address(&setting.address).context(what)?;
    WebAddress::read(&setting.address).context(what)
}

fn proxy(setting: &config::oidc::Oidc) -> Result<Option<WebAddress>> {
    let Some(proxy) = &setting.proxy else { return Ok(None) };
    let proxy = WebAddress::read(proxy).context("web.oidc.proxy")?;
    ensure!(
        proxy.scheme == Scheme::Http,
        "web.oidc.proxy: only one that is asked by http:// can be used"
    );
    Ok(Some(proxy))
}

impl Oidc {
    /// Reads what the setting names. Nobody is asked.
    pub(crate) fn load(setting: &config::oidc::Oidc) -> Result<Self> {
        check(setting)?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).context("the system gives no random numbers")?;
        let asker = Asker {
            proxy: proxy(setting)?,
            trust: Trust::load(setting.roots.as_deref()).context("web.oidc")?,
            limit: setting.time_limit,
        };
        Ok(Self {
            redirect: format!("{}/login/oidc", setting.address),
            host: address(setting)?.authority(),
            setting: setting.clone(),
            asker,
            seal: Seal::new(&random),
            known: Known::default(),
            places: Semaphore::new(AT_ONCE),
            used: Mutex::default(),
        })
    }

    /// What leads to it is called so.
    pub(crate) fn button(&self, language: Language) -> String {
        let [english, japanese] = &self.setting.buttons;
        let chosen = match language {
            Language::English => english,
            Language::Japanese => japanese,
        };
        match chosen.is_empty() {
            true => Texts::of(language).single_sign_on.to_owned(),
            false => chosen.clone(),
        }
    }

    /// Where somebody goes to sign out of the provider as well, where it is known and has such a
    /// place.
    pub(crate) async fn farewell(&self) -> Option<String> {
        let (provider, _) = self.known.both(&self.asker, &self.setting.issuer).await.ok()?;
        let back = format!("{}/login", self.setting.address);
        ask::end_session(&provider, &self.setting.client_id, &back)
    }

    /// Asks the provider now, for the diagnosis: what it has, or why it cannot be used.
    pub(crate) async fn look(&self) -> Result<String, String> {
        if let Some(secret) = &self.setting.secret {
            secret_of(secret).map_err(|why| format!("the client's secret: {why}"))?;
        }
        let (_, keys) = self.known.both(&self.asker, &self.setting.issuer).await?;
        Ok(crate::report::count(keys.count() as u64, "key", "keys"))
    }

    fn client(&self) -> Client<'_> {
        Client { id: &self.setting.client_id, redirect: &self.redirect }
    }

    /// Begins a sign-in that leads to a path of ours: what the browser keeps, and where it goes.
    async fn begin(&self, next: &str) -> Result<(String, String), Failure> {
        let known = self.known.both(&self.asker, &self.setting.issuer).await;
        let (provider, _) = known.map_err(Failure::Away)?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| Failure::Away(error.to_string()))?;
        let flow = Flow::begin(random, next, clock::now().0.div_euclid(1_000_000));
        let address = ask::authorization(&provider, self.client(), &self.setting.scopes, &flow);
        Ok((flow.sealed(&self.seal), address))
    }

    /// Whether a sign-in comes back for the first time.
    fn is_first(&self, flow: &Flow, now: i64) -> bool {
        let Ok(mut used) = self.used.lock() else { return false };
        // Those that are over come back no more.
        let kept = used.split_off(&(now, String::new()));
        *used = kept;
        while used.len() >= USED {
            used.pop_first();
        }
        used.insert((flow.ends(), flow.mark()), ()).is_none()
    }

    /// Changes a code for what the provider says of the person.
    async fn claims(
        &self,
        code: &str,
        flow: &Flow,
        names: Option<&str>,
    ) -> Result<Claims, Failure> {
        let place = timeout(self.asker.limit, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(Failure::Away("too many are signing in at once".to_owned()));
        };
        let known = self.known.both(&self.asker, &self.setting.issuer).await;
        let (provider, keys) = known.map_err(Failure::Away)?;
        // RFC 9207: a code of another provider is told by its name.
        let is_its_own = match names {
            Some(name) => name == self.setting.issuer,
            None => !provider.names_itself,
        };
        if !is_its_own {
            let name = openid::told(names.unwrap_or("nobody"));
            return Err(Failure::Refused(format!("the code is of {name:?}, not of the issuer")));
        }
        let token = self.token(&provider, code, flow).await?;
        let nonce = flow.nonce();
        let expected = Expected {
            issuer: &self.setting.issuer,
            client: &self.setting.client_id,
            nonce: &nonce,
            now: clock::now().0.div_euclid(1_000_000),
        };
        let refused = |error: openid::TokenError| {
            Failure::Refused(format!("the token: {}", tell::chain(&error)))
        };
        match openid::id_token(&token, &keys, &expected) {
            Err(error) if error.may_be_a_new_key() => {
                match self.known.newer_keys(&self.asker, &provider, &keys).await {
                    Some(keys) => openid::id_token(&token, &keys, &expected).map_err(refused),
                    None => Err(refused(error)),
                }
            }
            other => other.map_err(refused),
        }
    }

    async fn token(&self, provider: &Provider, code: &str, flow: &Flow) -> Result<String, Failure> {
        let secret = self.setting.secret.as_ref().map(secret_of).transpose();
        let secret = secret.map_err(|why| Failure::Away(format!("the client's secret: {why}")))?;
        let secret = secret.as_ref().map(|secret| secret.as_str());
        let (body, authorization) = ask::token(provider, self.client(), secret, code, flow);
        let form = Ask::Form { body: &body, authorization: authorization.as_deref() };
        let answer = self.asker.ask(&provider.token, form).await.map_err(Failure::Away)?;
        if answer.0 >= 500 {
            return Err(Failure::Away(format!("the provider answers with status {}", answer.0)));
        }
        ask::id_token(answer.0, &answer.1).map_err(|error| Failure::Refused(error.to_string()))
    }

    /// The greatest role that the claims give.
    fn role(&self, claims: &Claims) -> Option<Role> {
        let values = claims.texts(&self.setting.roles_claim);
        let given = Role::ALL.into_iter().zip(&self.setting.roles).rev();
        let mut given =
            given.filter(|(_, list)| list.iter().any(|wanted| values.contains(&wanted.as_str())));
        given.next().map(|(role, _)| role)
    }

    /// What the person could be called, the best first.
    fn names<'a>(&self, claims: &'a Claims) -> Vec<&'a str> {
        self.setting.name_claims.iter().flat_map(|claim| claims.texts(claim)).collect()
    }
}

impl Asker {
    /// The status and the body of an answer.
    async fn ask(&self, address: &str, ask: Ask<'_>) -> Result<(u16, Vec<u8>), String> {
        let to = WebAddress::read(address).map_err(|error| format!("{address}: {error}"))?;
        let proxy = self.proxy.as_ref();
        let answer = http::whole(&to, proxy, &self.trust, ask, self.limit, MOST).await?;
        Ok((answer.status, answer.body))
    }

    /// A document, which has to be there.
    async fn get(&self, address: &str) -> Result<Vec<u8>, String> {
        match self.ask(address, Ask::Get).await? {
            (200, body) => Ok(body),
            (status @ 300..400, _) => Err(format!(
                "{address} answers with status {status}, and no redirection is followed"
            )),
            (status, _) => Err(format!("{address} answers with status {status}")),
        }
    }

    async fn provider(&self, issuer: &str) -> Result<Provider, String> {
        let address = openid::discovery(issuer);
        let document = self.get(&address).await?;
        openid::provider(&document, issuer)
            .map_err(|error| format!("{address}: {}", tell::chain(&error)))
    }

    async fn keys(&self, provider: &Provider) -> Result<Arc<Keys>, String> {
        let document = self.get(&provider.keys).await?;
        let keys = Keys::read(&document);
        keys.map(Arc::new).map_err(|error| format!("{}: {error}", provider.keys))
    }
}
