//! Signing in by OpenID Connect, with a provider of our own at an address of this machine, which does
//! everything that a provider should not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use inventory::user::{Role, User};
use ring::{
    digest::{SHA256, digest},
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{Answer, HOST, Site, form, form_token, is_refused, session_token, sign_in};
use crate::{clock, web::password};

/// Base64 as tokens have it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let bits = (0..3)
            .fold(0_u32, |bits, at| (bits << 8) | u32::from(piece.get(at).copied().unwrap_or(0)));
        for letter in 0..=piece.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter)) as usize & 63]));
        }
    }
    text
}

/// A key with which the provider signs.
struct Signer {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Signer {
    fn new(id: &'static str) -> Arc<Self> {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Arc::new(Self { pair, id })
    }

    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "alg": "ES256",
               "x": base64(&point[1..33]), "y": base64(&point[33..])})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64(signature.as_ref()))
    }
}

/// How the provider answers at one of its addresses.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Manner {
    Well,
    /// Never.
    Silent,
    /// With more than anybody reads.
    Giant,
    /// That it is elsewhere.
    Redirect,
    Status(u16),
    Nonsense,
    /// With less than it announces.
    Cut,
}

/// Of the header and the claims of a token.
type Change = Box<dyn Fn(&mut Value, &mut Value) + Send>;

/// Of a whole token.
type Other = Box<dyn Fn(&str) -> String + Send>;

struct State {
    /// By path.
    manners: BTreeMap<&'static str, Manner>,
    signer: Arc<Signer>,
    published: Vec<Value>,
    issuer: String,
    /// What a code was given for: nonce and challenge.
    codes: BTreeMap<String, (String, String)>,
    claims: Value,
    /// What is wrong with the next token: header and claims.
    change: Option<Change>,
    /// Instead of a token.
    token: Option<Other>,
    /// Every request: its first line, its fields and its body.
    asked: Vec<(String, String, String)>,
}

/// A provider at an address of this machine.
#[derive(Clone)]
struct Provider {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let signer = Signer::new("k1");
        let state = State {
            manners: BTreeMap::new(),
            published: vec![signer.public()],
            signer,
            issuer: address.clone(),
            codes: BTreeMap::new(),
            claims: json!({"sub": "7", "preferred_username": "sato", "name": "佐藤 賢治",
                           "groups": ["staff", "net-ops"]}),
            change: None,
            token: None,
            asked: Vec::new(),
        };
        let provider = Self { address, state: Arc::new(Mutex::new(state)) };
        let own = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        provider
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    /// How often a path was asked for.
    fn count(&self, path: &str) -> usize {
        self.with(|state| state.asked.iter().filter(|(line, ..)| line.contains(path)).count())
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut text = String::new();
        let (head, body) = loop {
            let mut piece = [0; 4_096];
            let Ok(len @ 1..) = stream.read(&mut piece).await else { return };
            text.push_str(&String::from_utf8_lossy(&piece[..len]));
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                break (head.to_owned(), body.to_owned());
            }
        };
        let (line, fields) = head.split_once("\r\n").unwrap();
        let path = line.split(' ').nth(1).unwrap().to_owned();
        let manner = self.with(|state| {
            state.asked.push((line.to_owned(), fields.to_owned(), body.clone()));
            let known = state.manners.iter().find(|(known, _)| path.starts_with(**known));
            known.map_or(Manner::Well, |(_, manner)| *manner)
        });
        let (status, answer) = match path.as_str() {
            "/.well-known/openid-configuration" => (200, self.description()),
            "/keys" => (200, self.with(|state| json!({"keys": state.published}).to_string())),
            "/token" => self.token(&body),
            _ => (404, String::new()),
        };
        let bytes = match manner {
            Manner::Well => response(status, "", &answer),
            Manner::Silent => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
            Manner::Giant => response(200, "", &format!("{{\"x\": \"{}\"}}", "y".repeat(8 << 20))),
            Manner::Redirect => {
                let to = format!("Location: {}/elsewhere\r\n", self.address);
                response(302, &to, &answer)
            }
            Manner::Status(status) => response(status, "", &answer),
            Manner::Nonsense => response(200, "", "<html>no JSON"),
            Manner::Cut => response(200, "", &answer)[..80].to_owned(),
        };
        // Who has had enough closes.
        let _ = stream.write_all(bytes.as_bytes()).await;
    }

    fn description(&self) -> String {
        let at = |path: &str| format!("{}{path}", self.address);
        self.with(|state| {
            json!({"issuer": state.issuer, "authorization_endpoint": at("/authorize"),
                   "token_endpoint": at("/token"), "jwks_uri": at("/keys"),
                   "end_session_endpoint": at("/end"),
                   "authorization_response_iss_parameter_supported": true})
        })
        .to_string()
    }

    fn token(&self, body: &str) -> (u16, String) {
        let field = |name: &str| {
            let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
        };
        let refused = |why: &str| (400, json!({"error": why}).to_string());
        self.with(|state| {
            let Some((nonce, challenge)) = state.codes.remove(&field("code").unwrap()) else {
                return refused("invalid_grant");
            };
            // Whoever asks has to be who began it.
            let verifier = field("code_verifier").unwrap();
            if base64(digest(&SHA256, verifier.as_bytes()).as_ref()) != challenge {
                return refused("invalid_grant");
            }
            let now = clock::now().0 / 1_000_000;
            let mut claims = json!({"iss": state.issuer, "aud": "daicho", "nonce": nonce,
                                    "iat": now, "exp": now + 300});
            for (name, value) in state.claims.as_object().unwrap() {
                claims[name] = value.clone();
            }
            let mut header = json!({"alg": "ES256", "kid": state.signer.id});
            if let Some(change) = &state.change {
                change(&mut header, &mut claims);
            }
            let token = state.signer.sign(&header, &claims);
            let token = state.token.as_ref().map_or(token.clone(), |other| other(&token));
            (
                200,
                json!({"access_token": "a", "token_type": "Bearer", "id_token": token}).to_string(),
            )
        })
    }

    /// What the provider does with a browser that was sent to it: it signs in, and is given a code.
    fn code(&self, begun: &Begun) -> String {
        self.with(|state| {
            let code = format!("code-{}", state.asked.len() + state.codes.len());
            let given = (begun.asked["nonce"].clone(), begun.asked["code_challenge"].clone());
            state.codes.insert(code.clone(), given);
            code
        })
    }

    fn configuration(&self, more: &str) -> String {
        let issuer = &self.address;
        format!(
            "[web.oidc]\nissuer = \"{issuer}\"\nclient_id = \"daicho\"\n\
             address = \"https://{HOST}\"\nviewers = [\"staff\"]\noperators = [\"net-ops\"]\n\
             admins = [\"net-admins\"]\ntime_limit = \"1s\"\n{more}"
        )
    }

    async fn site(&self) -> Site {
        Site::with(&self.configuration("")).await
    }
}

fn response(status: u16, more: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{more}\r\n{body}")
}

/// A browser that was sent to the provider.
struct Begun {
    cookie: String,
    /// What the provider is asked.
    asked: BTreeMap<String, String>,
}

fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let cookies = answer.headers.get_all(header::SET_COOKIE).into_iter();
    let start = format!("{name}=");
    let mut all = cookies.map(|cookie| cookie.to_str().unwrap().to_owned());
    let found = all.find(|cookie| cookie.starts_with(&start))?;
    Some(found.split(['=', ';']).nth(1).unwrap().to_owned())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let two = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&two).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// Where a page of ours leads by itself.
fn leads_to(answer: &Answer) -> String {
    let (_, rest) = answer.text.split_once("content=\"0;url=").expect(&answer.text);
    rest.split('"').next().unwrap().replace("&#38;", "&")
}

impl Site {
    /// Presses the button of the sign-in page.
    async fn press(&self, next: &str) -> Answer {
        let page = self.get("/login", None).await;
        let token = cookie(&page, "__Host-daicho-entry").unwrap();
        let body = format!("csrf={}&next={next}", form_token(&token));
        let request = form("/login/oidc", None)
            .header(header::COOKIE, format!("__Host-daicho-entry={token}"))
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }

    async fn begin(&self, next: &str) -> Begun {
        let answer = self.press(next).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let set = answer.headers.get_all(header::SET_COOKIE).into_iter();
        let mut set = set.map(|cookie| cookie.to_str().unwrap());
        let kept = set.find(|cookie| cookie.starts_with("__Host-daicho-flow=")).unwrap();
        // The one that comes along from elsewhere, and no more than that.
        for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
            assert!(kept.contains(attribute), "{kept}");
        }
        let to = leads_to(&answer);
        let (_, question) = to.split_once("/authorize?").expect(&to);
        let pairs = question.split('&').map(|pair| pair.split_once('=').unwrap());
        let asked = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
        Begun { cookie: cookie(&answer, "__Host-daicho-flow").unwrap(), asked }
    }

    /// Comes back from the provider, as a browser does: across sites, with no strict cookie.
    async fn come_back(&self, cookie: Option<&str>, question: &str) -> Answer {
        let mut request = Request::get(format!("/login/oidc?{question}"))
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "navigate");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, format!("__Host-daicho-flow={cookie}"));
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// All of it, with a provider that does what it should.
    async fn whole(&self, provider: &Provider) -> Answer {
        let begun = self.begin("/scans").await;
        let code = provider.code(&begun);
        self.finish(provider, &begun, &code).await
    }

    async fn finish(&self, provider: &Provider, begun: &Begun, code: &str) -> Answer {
        let state = &begun.asked["state"];
        let issuer = super::super::page::encoded(&provider.address);
        let question = format!("state={state}&code={code}&iss={issuer}");
        self.come_back(Some(&begun.cookie), &question).await
    }

    async fn user(&self, name: &str) -> Option<User> {
        self.shared.store.user(name).await.unwrap().map(|(user, _)| user)
    }

    /// What the audit said last: action, subject, detail.
    async fn last_deed(&self) -> (String, String, String) {
        let audit = self.shared.store.audit(None).await.unwrap();
        let last = audit.into_iter().max_by_key(|entry| entry.number).unwrap().deed;
        (last.action, last.subject, last.detail)
    }
}

/// It is refused, nobody is signed in by it, and what the provider said is on no page.
#[track_caller]
fn lets_nobody_in(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {}", answer.text);
    assert!(cookie(answer, "__Host-daicho").is_none(), "{what}");
    let says = ["did not succeed", "was not completed", "may not see this page"];
    assert!(says.iter().any(|said| answer.text.contains(said)), "{what}: {}", answer.text);
    assert!(!answer.text.contains("invalid_grant") && !answer.text.contains("eyJ"), "{what}");
}

#[tokio::test]
async fn whoever_the_provider_vouches_for_is_signed_in() {
    let provider = Provider::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "hush:hush\n").unwrap();
    let more = format!("client_secret_file = \"{}\"\n", file.display());
    let site = Site::with(&provider.configuration(&more)).await;
    let page = site.get("/login", None).await.text;
    assert!(page.contains(">Single sign-on</button>") && page.contains("name=\"password\""));
    // Nobody asked the provider so far.
    assert_eq!(provider.with(|state| state.asked.len()), 0);

    let begun = site.begin("/scans?x=1%26y").await;
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "daicho"),
        ("redirect_uri", "https://localhost:8443/login/oidc"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(begun.asked[name], value);
    }
    let code = provider.code(&begun);
    let answer = site.finish(&provider, &begun, &code).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    // A page of ours leads on: across sites the new cookie would not come along.
    assert_eq!(leads_to(&answer), "/scans?x=1&y");
    assert_eq!(cookie(&answer, "__Host-daicho-flow").as_deref(), Some(""));
    let session = session_token(&answer);
    let account = site.get("/account", Some(&session)).await;
    assert!(account.text.contains("oidc:sato (operator)"), "{}", account.text);
    assert!(!account.text.contains("name=\"old\""), "{}", account.text);
    let user = site.user("oidc:sato").await.unwrap();
    assert_eq!((user.role, user.identity.unwrap().called.as_str()), (Role::Operator, "佐藤 賢治"));
    let (action, subject, detail) = site.last_deed().await;
    assert_eq!((action.as_str(), subject.as_str()), ("sign_in", "oidc:sato"));
    let from = format!("from 192.0.2.7 by OpenID Connect ({}, subject 7)", provider.address);
    assert_eq!(detail, from);

    // The secret went into the header, the verifier into the form, and neither anywhere else.
    let asked = provider.with(|state| std::mem::take(&mut state.asked));
    let (_, fields, body) =
        asked.iter().find(|(line, ..)| line.starts_with("POST /token")).unwrap();
    assert!(fields.contains("Authorization: Basic ZGFpY2hvOmh1c2glM0FodXNo"), "{fields}");
    assert!(body.contains("grant_type=authorization_code&") && !body.contains("hush"), "{body}");
    assert!(body.contains("redirect_uri=https%3A%2F%2Flocalhost%3A8443%2Flogin%2Foidc"), "{body}");
    assert_eq!(asked.len(), 3, "the description, the keys and the token, once each");
    // The next one needs the token alone.
    assert_eq!(site.whole(&provider).await.status, StatusCode::OK);
    assert_eq!(provider.with(|state| state.asked.len()), 1);

    // Signing out leads to where one signs out of the provider as well.
    let out = site.post("/logout", &session, "").await;
    assert_eq!(out.headers[header::LOCATION], "/login?out=1");
    assert!(is_refused(&site.get("/account", Some(&session)).await));
    let page = site.get("/login?out=1", None).await.text.replace("&#38;", "&");
    let end = format!("<a href=\"{}/end?client_id=daicho&post_logout", provider.address);
    assert!(page.contains(&end), "{page}");
}

#[tokio::test]
async fn a_token_that_is_not_the_providers_word_lets_nobody_in() {
    let provider = Provider::start().await;
    let site = provider.site().await;
    let other = Signer::new("k1");
    let public = provider.with(|state| state.signer.public().to_string());
    let unsigned = |token: &str, header: Value| {
        let claims = token.split('.').nth(1).unwrap().to_owned();
        format!("{}.{claims}", base64(header.to_string().as_bytes()))
    };
    let claims_of = |token: &str| token.split('.').nth(1).unwrap().to_owned();
    let tokens: Vec<(&str, Other)> = vec![
        (
            "its signature is wrong",
            Box::new(move |token| {
                let signed = token.rsplit_once('.').unwrap().0;
                let made = other.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
                format!("{signed}.{}", base64(made.as_ref()))
            }),
        ),
        (
            "\"none\"",
            Box::new(move |token| format!("{}.", unsigned(token, json!({"alg": "none"})))),
        ),
        (
            "\"HS256\"",
            Box::new(move |token| {
                let header = base64(json!({"alg": "HS256", "kid": "k1"}).to_string().as_bytes());
                let signed = format!("{header}.{}", claims_of(token));
                let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
                format!("{signed}.{}", base64(hmac::sign(&key, signed.as_bytes()).as_ref()))
            }),
        ),
        ("no signed token", Box::new(|_| "x".to_owned())),
        ("no signed token", Box::new(|_| "y".repeat(300_000))),
    ];
    for (why, token) in tokens {
        provider.with(|state| state.token = Some(token));
        refused(&site, &provider, why).await;
    }
    provider.with(|state| state.token = None);
    let claims: [(&str, Change); 7] = [
        ("another sign-in", Box::new(|_, claims| claims["nonce"] = "other".into())),
        ("not for us", Box::new(|_, claims| claims["aud"] = "other".into())),
        ("not to us", Box::new(|_, claims| claims["azp"] = "other".into())),
        ("evil.example", Box::new(|_, claims| claims["iss"] = "https://evil.example".into())),
        ("it ended", Box::new(|_, claims| claims["exp"] = 1_000.into())),
        ("do the clocks agree", Box::new(|_, claims| claims["iat"] = 1_000.into())),
        ("who it is about", Box::new(|_, claims| claims["sub"] = "".into())),
    ];
    for (why, change) in claims {
        provider.with(|state| state.change = Some(change));
        refused(&site, &provider, why).await;
    }
    assert!(site.shared.store.users().await.unwrap().is_empty());
    provider.with(|state| state.change = None);
    assert_eq!(site.whole(&provider).await.status, StatusCode::OK);
}

/// A whole sign-in that is refused for that reason, which the audit has.
async fn refused(site: &Site, provider: &Provider, why: &str) {
    let answer = site.whole(provider).await;
    lets_nobody_in(&answer, why);
    let (action, subject, detail) = site.last_deed().await;
    assert_eq!((action.as_str(), subject.as_str()), ("failed_sign_in", "(unknown name)"), "{why}");
    assert!(detail.contains(why), "{why}: {detail}");
    assert!(!detail.contains('\n') && detail.len() < 500, "{detail}");
    site.forget_attempts("").await;
}

#[tokio::test]
async fn only_the_browser_that_was_sent_off_comes_back_and_once() {
    let provider = Provider::start().await;
    let site = provider.site().await;
    let (mine, theirs) = (site.begin("/").await, site.begin("/").await);
    let issuer = super::super::page::encoded(&provider.address);
    let (code, their_code) = (provider.code(&mine), provider.code(&theirs));
    let question = |begun: &Begun, code: &str| {
        format!("state={}&code={code}&iss={issuer}", begun.asked["state"])
    };
    let (cookie_of, own) = (Some(mine.cookie.as_str()), question(&mine, &code));
    let strangers = [
        ("no cookie", None, own.clone()),
        ("another's cookie", Some(theirs.cookie.as_str()), own.clone()),
        ("another's state", cookie_of, question(&theirs, &code)),
        ("no state", cookie_of, format!("code={code}")),
        ("a forged cookie", Some("a.1.b.c"), own.clone()),
    ];
    // Again and again: anybody can lead a browser here, so that it counts for nothing, and what was
    // begun goes on.
    for (what, cookie, question) in strangers.iter().cycle().take(30) {
        let answer = site.come_back(*cookie, question).await;
        lets_nobody_in(&answer, what);
        assert!(super::oidc::cookie(&answer, "__Host-daicho-flow").is_none(), "{what}");
    }
    assert!(site.shared.store.audit(None).await.unwrap().is_empty());
    // The provider was asked for no token, and for nothing else than by those who began.
    assert_eq!(provider.count("/token"), 0);
    // Another's code in one's own browser: the provider knows by the verifier whose it is.
    let answer = site.come_back(cookie_of, &question(&mine, &their_code)).await;
    lets_nobody_in(&answer, "another's code");
    assert!(site.last_deed().await.2.contains("refuses the code: invalid_grant"));
    // That was the one time that it may come back.
    let answer = site.come_back(cookie_of, &own).await;
    lets_nobody_in(&answer, "once more");
    assert!(site.last_deed().await.2.contains("refuses the code: invalid_grant"));
    site.forget_attempts("").await;
    // A code of another provider, and one that does not say whose it is.
    let state = |begun: &Begun| begun.asked["state"].clone();
    let third = site.begin("/").await;
    let question = format!("state={}&code=x&iss=https%3A%2F%2Fevil.example", state(&third));
    lets_nobody_in(&site.come_back(Some(&third.cookie), &question).await, "another provider");
    assert!(site.last_deed().await.2.contains("not of the issuer"));
    let fourth = site.begin("/").await;
    let question = format!("state={}&code=x", state(&fourth));
    lets_nobody_in(&site.come_back(Some(&fourth.cookie), &question).await, "nobody's code");
    assert_eq!(provider.count("/token"), 1);
    assert!(site.shared.store.users().await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_cancels_is_told_and_not_counted() {
    let provider = Provider::start().await;
    let site = provider.site().await;
    for _ in 0..6 {
        let begun = site.begin("/").await;
        let state = &begun.asked["state"];
        let question = format!("state={state}&error=access_denied&error_description=%3Cb%3Ex");
        let answer = site.come_back(Some(&begun.cookie), &question).await;
        lets_nobody_in(&answer, "cancelled");
        assert!(
            answer.text.contains("was not completed") && !answer.text.contains("access_denied")
        );
    }
    assert!(site.shared.store.audit(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_comes_in_vain_again_and_again_waits() {
    let provider = Provider::start().await;
    let site = provider.site().await;
    let mut wrong = 0;
    let mut flows = Vec::new();
    for _ in 0..10 {
        flows.push(site.begin("/").await);
    }
    let mut flows = flows.into_iter();
    let last = loop {
        let answer = site.finish(&provider, &flows.next().unwrap(), "guessed").await;
        if answer.status != StatusCode::UNAUTHORIZED {
            break answer;
        }
        wrong += 1;
    };
    let asked = provider.with(|state| state.asked.len());
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!((3..=8).contains(&wrong), "{wrong}");
    // Nothing more is asked of the provider either, and no password is looked at.
    assert_eq!(site.press("/").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(sign_in(&site, "sato", "x").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(provider.with(|state| state.asked.len()), asked);
}

#[tokio::test]
async fn a_session_does_not_outlive_the_provider_that_it_began_with() {
    let provider = Provider::start().await;
    let site = provider.site().await;
    let answer = site.whole(&provider).await;
    let session = cookie(&answer, "__Host-daicho").unwrap();
    assert_eq!(site.get("/assets", Some(&session)).await.status, StatusCode::OK);
    // The configuration names another now than the one that vouched.
    let url = format!("sqlite://{}", site.shared.store.path().display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let other = "UPDATE user_identity SET issuer = 'https://another.example'";
    sqlx::query(other).execute(&mut connection).await.unwrap();
    let answer = site.get("/assets", Some(&session)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
}

#[tokio::test]
async fn a_new_key_is_asked_for_at_once_and_not_again_and_again() {
    let provider = Provider::start().await;
    let site = provider.site().await;
    assert_eq!(site.whole(&provider).await.status, StatusCode::OK);
    let new = Signer::new("k2");
    provider.with(|state| {
        state.published.push(new.public());
        state.signer = new;
    });
    assert_eq!(site.whole(&provider).await.status, StatusCode::OK);
    assert_eq!(provider.count("/keys"), 2);
    // Tokens by keys that nobody has would else have it asked without end.
    provider.with(|state| state.signer = Signer::new("k3"));
    for _ in 0..3 {
        lets_nobody_in(&site.whole(&provider).await, "a key of nobody");
        site.forget_attempts("").await;
    }
    assert_eq!(provider.count("/keys"), 2);
}

#[tokio::test]
async fn a_provider_that_is_of_no_use_keeps_nobody_waiting_and_passwords_work() {
    let provider = Provider::start().await;
    let description = "/.well-known";
    for (path, manner) in [
        (description, Manner::Silent),
        (description, Manner::Giant),
        (description, Manner::Redirect),
        (description, Manner::Status(500)),
        (description, Manner::Nonsense),
        (description, Manner::Cut),
        ("/keys", Manner::Silent),
        ("/keys", Manner::Giant),
        ("/keys", Manner::Redirect),
        ("/keys", Manner::Nonsense),
    ] {
        provider.with(|state| state.manners = BTreeMap::from([(path, manner)]));
        let site = provider.site().await;
        let before = Instant::now();
        let answer = site.press("/").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {}", answer.text);
        assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
        assert!(answer.text.contains("cannot be reached") && answer.text.contains("\"password\""));
        // It is left alone for a while.
        let asked = provider.with(|state| state.asked.len());
        assert_eq!(site.press("/").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(provider.with(|state| state.asked.len()), asked);
    }
    assert_eq!(provider.count("elsewhere"), 0, "a redirection was followed");
    provider.with(|state| {
        state.manners.clear();
        state.issuer = "https://evil.example".into();
    });
    let site = provider.site().await;
    assert_eq!(site.press("/").await.status, StatusCode::SERVICE_UNAVAILABLE);

    // Where only the last step fails, it does not hang either.
    provider.with(|state| state.issuer = provider.address.clone());
    let site = provider.site().await;
    for manner in [Manner::Silent, Manner::Giant, Manner::Status(503), Manner::Cut] {
        provider.with(|state| state.manners = BTreeMap::from([("/token", manner)]));
        let answer = site.whole(&provider).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    }
    provider.with(|state| state.manners = BTreeMap::from([("/token", Manner::Redirect)]));
    lets_nobody_in(&site.whole(&provider).await, "a token from elsewhere");
    assert_eq!(provider.count("elsewhere"), 0, "a redirection was followed");
    let hash = password::hash("correct+horse").unwrap();
    let store = &site.shared.store;
    store.add_user("sato", Role::Viewer, &hash, clock::now()).await.unwrap();
    assert_eq!(sign_in(&site, "sato", "correct%2Bhorse").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_local_user_is_not_taken_over_and_a_role_is_the_providers_to_give() {
    let provider = Provider::start().await;
    let site = provider.site().await;
    let hash = password::hash("correct+horse").unwrap();
    let store = &site.shared.store;
    let local = store.add_user("sato", Role::Admin, &hash, clock::now()).await.unwrap();
    let session = session_token(&site.whole(&provider).await);
    assert!(is_role(&site, &session, "operator").await);
    assert_eq!(site.user("sato").await.unwrap(), local);
    // No password is the right one for it, by whichever name.
    for name in ["oidc%3Asato", "oidc:sato"] {
        for password in ["", "correct%2Bhorse"] {
            let answer = sign_in(&site, name, password).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            site.forget_attempts("oidc:sato").await;
        }
    }
    let changed =
        site.post("/account/password", &session, "old=&new=correct+horse+a&again=x").await;
    assert!(changed.text.contains("kept there"), "{}", changed.text);

    // The next time it is what the provider says then.
    provider.with(|state| state.claims["groups"] = json!(["net-admins", "staff"]));
    let greater = session_token(&site.whole(&provider).await);
    assert!(is_role(&site, &greater, "admin").await);
    assert!(is_refused(&site.get("/account", Some(&session)).await));
    let page = site.get("/users", Some(&greater)).await.text;
    assert!(page.contains(&provider.address) && page.contains("<code>7</code>"), "{page}");
    assert!(!page.contains("/users/oidc%3Asato/role"), "{page}");
    for (path, fields) in [("role", "role=viewer"), ("password", "password=correct+horse+battery")]
    {
        let answer = site.post(&format!("/users/oidc%3Asato/{path}"), &greater, fields).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{path}: {}", answer.text);
    }
    // Nothing that it says gives a role: refused, and what was there is over.
    provider.with(|state| state.claims["groups"] = json!(["guests"]));
    let answer = site.whole(&provider).await;
    lets_nobody_in(&answer, "no role");
    assert!(answer.text.contains("may not see this page"));
    assert!(is_refused(&site.get("/account", Some(&greater)).await));
    let (action, subject, detail) = site.last_deed().await;
    assert_eq!((action.as_str(), subject.as_str()), ("failed_sign_in", "oidc:sato"));
    assert!(detail.contains("nothing that it says gives a role; 1 sessions ended"), "{detail}");
}

async fn is_role(site: &Site, session: &str, role: &str) -> bool {
    let text = site.get("/account", Some(session)).await.text;
    text.contains(&format!("oidc:sato ({role})"))
}

#[tokio::test]
async fn an_admin_ends_sessions_and_disables_users() {
    let provider = Provider::start().await;
    let site = provider.site().await;
    let admin = site.session(Role::Admin).await;
    let session = session_token(&site.whole(&provider).await);
    let act = async |path: &str| {
        let answer = site.post(&format!("/users/oidc%3Asato/{path}"), &admin, "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}: {}", answer.text);
    };
    act("sessions").await;
    assert!(is_refused(&site.get("/account", Some(&session)).await));
    let session = session_token(&site.whole(&provider).await);
    act("disable").await;
    assert!(is_refused(&site.get("/account", Some(&session)).await));
    lets_nobody_in(&site.whole(&provider).await, "disabled");
    assert!(site.get("/users", Some(&admin)).await.text.contains(">disabled</span>"));
    act("enable").await;
    assert!(is_role(&site, &session_token(&site.whole(&provider).await), "operator").await);
    // A local one, with the right password.
    let hash = password::hash("correct+horse").unwrap();
    site.shared.store.add_user("mori", Role::Viewer, &hash, clock::now()).await.unwrap();
    let disabled = site.post("/users/mori/disable", &admin, "").await;
    assert_eq!(disabled.status, StatusCode::SEE_OTHER);
    let answer = sign_in(&site, "mori", "correct%2Bhorse").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("Name or password is wrong."));
}

#[tokio::test]
async fn what_the_configuration_says_of_the_sign_in_page_holds() {
    let provider = Provider::start().await;
    let more = "passwords = false\nbutton = \"Office <ID>\"\nbutton_ja = \"社員 ID\"\n";
    let site = Site::with(&provider.configuration(more)).await;
    let page = site.get("/login", None).await.text;
    assert!(page.contains(">Office &#60;ID&#62;</button>") && !page.contains("\"password\""));
    let request = Request::get("/login").header(header::ACCEPT_LANGUAGE, "ja");
    let page = site.send(request.body(Body::empty()).unwrap()).await.text;
    assert!(page.contains(">社員 ID</button>"), "{page}");
    let hash = password::hash("correct+horse").unwrap();
    site.shared.store.add_user("sato", Role::Viewer, &hash, clock::now()).await.unwrap();
    let answer = sign_in(&site, "sato", "correct%2Bhorse").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    // Who asks by another name is led to the one that the provider knows.
    let page = site.get("/login", None).await;
    let token = cookie(&page, "__Host-daicho-entry").unwrap();
    let body = format!("csrf={}&next=/scans", form_token(&token));
    let request = Request::post("/login/oidc")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::HOST, "192.0.2.1:8443")
        .header(header::COOKIE, format!("__Host-daicho-entry={token}"))
        .body(Body::from(body))
        .unwrap();
    let answer = site.send(request).await;
    assert_eq!(leads_to(&answer), format!("https://{HOST}/login?next=%2Fscans"));
    assert!(cookie(&answer, "__Host-daicho-flow").is_none());
    // The usual port is none in what a browser asks by.
    let usual = provider.configuration("").replace(HOST, "localhost:443");
    let usual = Site::with(&usual).await;
    let page = usual.get("/login", None).await;
    let own = cookie(&page, "__Host-daicho-entry").unwrap();
    let request = form("/login/oidc", None)
        .header(header::COOKIE, format!("__Host-daicho-entry={own}"))
        .header(header::HOST, "localhost");
    let mut request = request.body(Body::from(format!("csrf={}", form_token(&own)))).unwrap();
    request.headers_mut().insert(header::ORIGIN, "https://localhost".parse().unwrap());
    let answer = usual.send(request).await;
    assert!(cookie(&answer, "__Host-daicho-flow").is_some(), "{}", answer.text);
    provider.with(|state| state.asked.clear());
    // A form of another site begins nothing, nor does a visit.
    let forged = form("/login/oidc", None).body(Body::from("csrf=x")).unwrap();
    assert_eq!(site.send(forged).await.status, StatusCode::FORBIDDEN);
    assert_eq!(provider.with(|state| state.asked.len()), 0);
    // Where nobody is configured, there is nothing.
    let without = Site::new().await;
    assert!(!without.get("/login", None).await.text.contains("/login/oidc"));
    assert_eq!(without.come_back(None, "state=x").await.status, StatusCode::NOT_FOUND);
}
