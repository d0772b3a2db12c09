//! The settings of signing in by OpenID Connect.

use std::{path::PathBuf, time::Duration};

use crate::{ConfigError, Layers, route::Secret, units, web::Secrecy};

/// A provider whose people may sign in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Oidc {
    /// Who it is, exactly as it calls itself.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// By what it knows us; `None` for a client without a secret.
    pub secret: Option<Secret>,
    /// How browsers ask for the page: scheme, name and port, without a slash at the end.
    pub address: String,
    /// What is asked for; has `openid`.
    pub scopes: Vec<String>,
    /// In which claims the name is looked for, the best first.
    pub name_claims: Vec<String>,
    /// In which claim there is what gives a role.
    pub roles_claim: String,
    /// What makes somebody a viewer, an operator, an approver, an admin.
    pub roles: [Vec<String>; 4],
    /// Roots to trust instead of the system's.
    pub roots: Option<PathBuf>,
    /// A proxy that leads there, as an address of http.
    pub proxy: Option<String>,
    /// How long the provider may take for an answer, from 1 to 30 seconds.
    pub time_limit: Duration,
    /// What the button says in English and in Japanese; "" for the usual words.
    pub buttons: [String; 2],
    /// Whether local users may sign in by password beside.
    pub passwords: bool,
}

/// The lists, the least role first.
const LISTS: [&str; 4] =
    ["web.oidc.viewers", "web.oidc.operators", "web.oidc.approvers", "web.oidc.admins"];

/// The longest text of a button.
const BUTTON: usize = 60;

pub(crate) fn read(
    layers: &Layers,
    secrecy: &Secrecy,
    page: Option<&str>,
) -> Result<Option<Oidc>, ConfigError> {
    let text = |key| layers.read(key, units::text);
    let optional = |key| Ok(Some(text(key)?).filter(|text: &String| !text.is_empty()));
    let roles = LISTS.map(|key| layers.read(key, units::texts));
    let [viewers, operators, approvers, admins] = roles;
    let roles = [viewers?, operators?, approvers?, admins?];
    let passwords = layers.read("web.oidc.passwords", units::switch)?;
    let secret = secret(layers)?;
    let (client_id, time_limit) = (text("web.oidc.client_id")?, time_limit(layers)?);
    let Some(issuer) = optional("web.oidc.issuer")? else {
        let lonely = "of no use without web.oidc.issuer: set that, or take this away";
        if !passwords {
            let problem = "without web.oidc.issuer nobody could sign in: set that, or true here";
            return Err(layers.refuse("web.oidc.passwords", problem));
        }
        if !client_id.is_empty() {
            return Err(layers.refuse("web.oidc.client_id", lonely));
        }
        let used = LISTS.iter().zip(&roles).find(|(_, list)| !list.is_empty());
        return match used {
            Some((key, _)) => Err(layers.refuse(key, lonely)),
            None => Ok(None),
        };
    };
    layers.read("web.oidc.issuer", |_| check(&issuer, "https://login.office.example"))?;
    if client_id.is_empty() {
        let problem = "expected the name under which the provider knows this page";
        return Err(layers.refuse("web.oidc.client_id", problem));
    }
    if roles.iter().all(Vec::is_empty) {
        let problem = "without a value in web.oidc.viewers, operators, approvers or admins \
                       everybody who comes from the provider would be refused";
        return Err(layers.refuse("web.oidc.issuer", problem));
    }
    let scopes = layers.read("web.oidc.scopes", |value| {
        let scopes = units::texts(value)?;
        if let Some(odd) = scopes.iter().find(|scope| !scope.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(format!("{odd:?} is no scope: expected letters without blanks"));
        }
        match scopes.iter().any(|scope| scope == "openid") {
            true => Ok(scopes),
            false => Err("\"openid\" has to be among them".to_owned()),
        }
    })?;
    let button = |key| {
        layers.read(key, |value| {
            let text = units::text(value)?;
            let fits = text.chars().count() <= BUTTON && !text.chars().any(char::is_control);
            fits.then_some(text).ok_or_else(|| format!("expected up to {BUTTON} letters"))
        })
    };
    Ok(Some(Oidc {
        issuer,
        client_id,
        secret,
        address: address(layers, secrecy, page)?,
        scopes,
        name_claims: layers.read("web.oidc.name_claims", units::texts)?,
        roles_claim: layers.read("web.oidc.roles_claim", units::name)?,
        roles,
        roots: optional("web.oidc.roots")?.map(PathBuf::from),
        proxy: optional("web.oidc.proxy")?,
        time_limit,
        buttons: [button("web.oidc.button")?, button("web.oidc.button_ja")?],
        passwords,
    }))
}

fn time_limit(layers: &Layers) -> Result<Duration, ConfigError> {
    let second = Duration::from_secs(1);
    layers.read("web.oidc.time_limit", |value| units::duration(value, second, 30 * second))
}

/// The first line of a file, or an environment variable: configuration files are copied into
/// tickets.
fn secret(layers: &Layers) -> Result<Option<Secret>, ConfigError> {
    let file = layers.read("web.oidc.client_secret_file", units::text)?;
    let variable = layers.read("web.oidc.client_secret_variable", units::text)?;
    let refuse = |problem: &str| layers.refuse("web.oidc.client_secret_variable", problem);
    match (file.is_empty(), variable.is_empty()) {
        (true, true) => Ok(None),
        (false, true) => Ok(Some(Secret::File(PathBuf::from(file)))),
        // All those are settings, and one that is none is refused.
        (true, false) if variable.starts_with("DAICHO_") => {
            Err(refuse("the name must not begin with DAICHO_"))
        }
        (true, false) => Ok(Some(Secret::Variable(variable))),
        (false, false) => {
            Err(refuse("expected one of web.oidc.client_secret_file and this, not both"))
        }
    }
}

/// How browsers ask for the page: what the provider is told to send them back to.
fn address(layers: &Layers, secrecy: &Secrecy, page: Option<&str>) -> Result<String, ConfigError> {
    let given = layers.read("web.oidc.address", units::text)?;
    let (key, address) = match given.is_empty() {
        false => ("web.oidc.address", given),
        true => ("alerts.page", page.unwrap_or_default().to_owned()),
    };
    if address.is_empty() {
        let problem = "expected how browsers ask for this page, such as \
                       \"https://daicho.office.example:8443\", here or in alerts.page: the \
                       provider sends them back there";
        return Err(layers.refuse("web.oidc.address", problem));
    }
    layers.read(key, |_| {
        check(&address, "https://daicho.office.example:8443")?;
        let address = address.trim_end_matches('/').to_owned();
        let host = address.split_once("://").map_or("", |(_, rest)| rest);
        if host.contains('/') {
            return Err("expected an address without a path: the page is at the root of its \
                        server"
                .to_owned());
        }
        match address.starts_with("http://") && *secrecy != Secrecy::Plain {
            true => Err("the page speaks TLS, so it has to begin with https://".to_owned()),
            false => Ok(address),
        }
    })
}

/// Whether nobody on the way can read what is sent there. What of the rest is no address, the
/// program says that uses it.
fn check(address: &str, example: &str) -> Result<(), String> {
    let here = ["http://127.", "http://localhost", "http://[::1]"];
    let is_secret = address.starts_with("https://") && address.len() > "https://".len();
    if !is_secret && !here.iter().any(|here| address.starts_with(here)) {
        return Err(format!(
            "expected an address that begins with https://, such as {example:?} (http:// only \
             for this machine itself)"
        ));
    }
    match address.contains(['?', '#', '@', ' ', '"', '\\']) {
        true => Err(format!("expected an address such as {example:?}, and nothing behind it")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "issuer = \"https://login.office.example\"\nclient_id = \"daicho\"\n\
                         viewers = [\"everybody\"]\naddress = \"https://daicho.office.example/\"\n";

    fn load(file: &str) -> Result<Option<Oidc>, String> {
        let mut layers = Layers::defaults();
        layers.add_file("site.toml", file).map_err(|error| error.to_string())?;
        crate::Config::from_layers(&layers)
            .map(|config| config.web.oidc)
            .map_err(|error| error.to_string())
    }

    fn with(more: &str) -> Result<Oidc, String> {
        let mut file = "[web.oidc]\n".to_owned();
        for line in LEAST.lines() {
            let key = line.split(" = ").next().unwrap();
            if !more.lines().any(|line| line.starts_with(&format!("{key} = "))) {
                file.push_str(line);
                file.push('\n');
            }
        }
        load(&format!("{file}{more}")).map(Option::unwrap)
    }

    #[test]
    fn nobody_comes_from_elsewhere_unless_it_says_from_where() {
        assert_eq!(load(""), Ok(None));
        let oidc = with("").unwrap();
        assert_eq!(oidc.address, "https://daicho.office.example");
        assert_eq!(oidc.scopes, ["openid", "profile", "email"]);
        assert_eq!(oidc.name_claims, ["preferred_username", "email"]);
        assert_eq!(
            (oidc.roles_claim.as_str(), oidc.passwords, oidc.secret),
            ("groups", true, None)
        );
        assert_eq!(oidc.roles[0], ["everybody"]);
        let from_alerts = "[alerts]\npage = \"https://daicho.office.example:8443\"\n[web.oidc]\n";
        let least = LEAST.lines().filter(|line| !line.starts_with("address"));
        let file = format!("{from_alerts}{}", least.collect::<Vec<_>>().join("\n"));
        assert_eq!(load(&file).unwrap().unwrap().address, "https://daicho.office.example:8443");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_cure() {
        for (more, why) in [
            ("issuer = \"http://login.office.example\"", "web.oidc.issuer = \"http://login"),
            ("issuer = \"login.office.example\"", "begins with https://"),
            ("issuer = \"https://a.example?x=1\"", "nothing behind it"),
            ("client_id = \"\"", "web.oidc.client_id"),
            ("viewers = []", "would be refused"),
            ("scopes = [\"profile\"]", "\"openid\" has to be among them"),
            ("scopes = [\"openid profile\"]", "without blanks"),
            ("address = \"\"", "alerts.page"),
            ("address = \"http://localhost:8443\"", "https://"),
            ("address = \"https://daicho.office.example/page\"", "without a path"),
            ("roles_claim = \"\"", "web.oidc.roles_claim"),
            ("time_limit = \"2m\"", "web.oidc.time_limit"),
            ("client_secret = \"hush\"", "did you mean web.oidc.client_secret_file?"),
            ("client_secret_variable = \"DAICHO_SECRET\"", "must not begin with DAICHO_"),
            ("client_secret_file = \"/a\"\nclient_secret_variable = \"B\"", "not both"),
        ] {
            let error = with(more).unwrap_err();
            assert!(error.contains(why) && error.starts_with("site.toml"), "{more}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
        for (file, why) in [
            ("client_id = \"daicho\"", "web.oidc.client_id"),
            ("admins = [\"a\"]", "web.oidc.admins"),
            ("passwords = false", "nobody could sign in"),
        ] {
            let error = load(&format!("[web.oidc]\n{file}")).unwrap_err();
            assert!(error.contains(why) && error.contains("web.oidc.issuer"), "{error}");
        }
    }
}
