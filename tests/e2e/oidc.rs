//! Signing in by OpenID Connect at a real provider: Debian's Glewlwyd, with an RSA key, over TLS with
//! a certificate of its own, its pages used in a real browser. In a namespace that has nothing but
//! its own loopback. Needs root; `tests/setup.sh` installs the rest.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::home::{Home, Run, must, program};

const PASSWORD: &str = "correct horse";
const PROVIDER: &str = "https://localhost:4593";
const PAGE: &str = "https://127.0.0.1:8443";

/// A provider and a page that believes it.
struct Office {
    home: Home,
    namespace: String,
    provider: Child,
    page: Option<Child>,
}

/// Where Debian's package has the tables of an empty provider, and its pages.
const TABLES: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
const PAGES: &str = "/usr/share/glewlwyd/webapp";
const PAGES_SETTINGS: &str = "/usr/share/glewlwyd/templates/config.json";

impl Office {
    fn new() -> Self {
        let home = Home::new();
        let namespace = format!("oidc-{}", std::process::id());
        must(&format!("ip netns add {namespace}"));
        must(&format!("ip -n {namespace} link set lo up"));
        let folder = home.path(".").canonicalize().unwrap();
        let folder = folder.to_str().unwrap();

        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        home.write("tls.pem", certificate.pem());
        home.write("tls-key.pem", key.serialize_pem());
        must(&format!("openssl genrsa -out {folder}/signing.pem 2048"));
        must(&format!("openssl rsa -in {folder}/signing.pem -pubout -out {folder}/public.pem"));
        make_database(&home.path("glewlwyd.db"));
        // Its server follows no links out of its folder.
        must(&format!("cp -rL {PAGES} {folder}/webapp"));
        let _ = fs::remove_dir_all(home.path("webapp/config.json"));
        fs::copy(PAGES_SETTINGS, home.path("webapp/config.json")).unwrap();
        home.write("glewlwyd.conf", GLEWLWYD.replace("FOLDER", folder));
        let log = fs::File::create(home.path("glewlwyd.log")).unwrap();
        let mut command = within(&namespace, "glewlwyd");
        command.arg("-c").arg(home.path("glewlwyd.conf"));
        let command = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let provider = command.spawn().expect("glewlwyd is needed: sh tests/setup.sh");

        home.write("secret", "hush-hush\n");
        home.write("daicho.toml", DAICHO.replace("FOLDER", folder));
        let office = Self { home, namespace, provider, page: None };
        office.furnish();
        office
    }

    /// Tells the provider of the client and of people, as its administrator does.
    fn furnish(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.curl("jar", "POST", "auth/", &sign_in("admin", "password")).is_err() {
            assert!(Instant::now() < until, "it did not begin: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        let read = |name: &str| fs::read_to_string(self.home.path(name)).unwrap();
        let groups = json!({"multiple": true, "read": true, "write": true});
        let users = json!({"display_name": "users", "order_rank": 0, "enabled": true,
            "readonly": false, "multiple_passwords": false,
            "parameters": {"use-glewlwyd-connection": true, "data-format": {"groups": groups}}});
        let person = |name: &str, called: &str, groups: &[&str]| {
            json!({"username": name, "name": called, "password": PASSWORD, "enabled": true,
                   "scope": ["openid", "g_profile"], "groups": groups})
        };
        let client = json!({"client_id": "daicho", "name": "Daicho", "client_secret": "hush-hush",
            "confidential": true, "enabled": true, "scope": [], "authorization_type": ["code"],
            "redirect_uri": [format!("{PAGE}/login/oidc")],
            "token_endpoint_auth_method": ["client_secret_basic"]});
        for (method, path, body) in [
            ("PUT", "mod/user/database", users),
            ("PUT", "mod/user/database/reset", json!({})),
            ("POST", "mod/plugin/", plugin(&read("signing.pem"), &read("public.pem"))),
            ("POST", "user/", person("sato", "Sato Kenji", &["staff", "net-ops"])),
            ("POST", "user/", person("abe", "Abe <b>Shinobu", &["guests"])),
            ("POST", "client/", client),
        ] {
            self.curl("jar", method, path, &body).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        // They agreed already that the page learns who they are.
        for name in ["sato", "abe"] {
            self.curl(name, "POST", "auth/", &sign_in(name, PASSWORD)).unwrap();
            self.curl(name, "PUT", "auth/grant/daicho", &json!({"scope": "openid"})).unwrap();
        }
    }

    /// Asks the provider's interface for administrators, with the cookies in that jar.
    fn curl(&self, jar: &str, method: &str, path: &str, body: &Value) -> Result<(), String> {
        let mut command = within(&self.namespace, "curl");
        command.args(["--silent", "--show-error", "--fail-with-body", "--max-time", "20"]);
        command.arg("--cacert").arg(self.home.path("tls.pem"));
        let jar = self.home.path(jar);
        command.arg("-b").arg(&jar).arg("-c").arg(&jar).args(["-X", method]);
        command.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        let output = command.arg(format!("{PROVIDER}/api/{path}")).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path("glewlwyd.log")).unwrap_or_default()
    }

    /// A command of ours in the namespace.
    fn daicho(&self, arguments: &[&str]) -> Command {
        let mut command = within(&self.namespace, program());
        command.args(["--config", "daicho.toml"]).args(arguments).current_dir(self.home.path("."));
        command.env_clear();
        for (name, value) in self.home.command(&[]).get_envs() {
            command.env(name, value.unwrap());
        }
        command.stdin(Stdio::null());
        command
    }

    fn serve(&mut self) {
        let mut command = self.daicho(&["serve"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        self.page = Some(child);
        let mut said = String::new();
        while !said.contains("page: at https://") {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}"));
            said.push_str(&line.unwrap());
            said.push('\n');
        }
        // What it says later is read, so that it need not wait to say it.
        std::thread::spawn(move || lines.for_each(drop));
    }

    /// Runs the checks in a browser; returns how many held.
    fn look(&self, gone: &str) -> usize {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut command = within(&self.namespace, "node");
        command.arg(format!("{root}/tests/browser/oidc.mjs"));
        command.env("PAGE_URL", PAGE).env("PROVIDER_URL", PROVIDER).env("PASSWORD", PASSWORD);
        command.env("PLAYWRIGHT", format!("{root}/target/browser/node_modules")).env("GONE", gone);
        if let Some(folder) = std::env::var_os("DAICHO_PICTURES") {
            command.env("PICTURES", folder);
        }
        let run = Run::of(command.output().expect("node is needed: sh tests/setup.sh"));
        let failed = run.stdout.lines().any(|line| line.starts_with("not ok"));
        let log = self.log();
        assert!(run.code == Some(0) && !failed, "{}\n{}\n{log}", run.stdout, run.stderr);
        run.stdout.lines().filter(|line| line.starts_with("ok ")).count()
    }

    /// What the diagnosis says of the provider.
    fn doctor(&self) -> Value {
        let run = Run::of(self.daicho(&["doctor", "--format", "json"]).output().unwrap()).json();
        let mut checks = run["checks"].as_array().unwrap().iter();
        checks.find(|check| check["what"] == "sign-in").unwrap().clone()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        for child in self.page.iter_mut().chain([&mut self.provider]) {
            // What is gone already need not go.
            if !matches!(child.try_wait(), Ok(None)) {
                continue;
            }
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
        let _ = Command::new("ip").args(["netns", "delete", &self.namespace]).output();
    }
}

fn within(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

fn sign_in(name: &str, password: &str) -> Value {
    json!({"username": name, "password": password})
}

fn make_database(path: &Path) {
    let script = fs::read_to_string(TABLES).expect("glewlwyd is needed: sh tests/setup.sh");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let options = options.create_if_missing(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// The provider's part that speaks OpenID Connect.
fn plugin(key: &str, public: &str) -> Value {
    let mut parameters: Value = serde_json::from_str(PLUGIN).unwrap();
    parameters["iss"] = format!("{PROVIDER}/api/oidc").into();
    parameters["key"] = key.into();
    parameters["cert"] = public.into();
    json!({"module": "oidc", "name": "oidc", "display_name": "oidc", "order_rank": 0,
           "readonly": false, "parameters": parameters})
}

/// Each of these it wants to be told.
const PLUGIN: &str = r#"{
    "jwt-type": "rsa", "jwt-key-size": "256", "jwks-show": true, "subject-type": "public",
    "access-token-duration": 3600, "refresh-token-duration": 3600, "code-duration": 600,
    "refresh-token-rolling": false, "refresh-token-one-use": "never", "allow-non-oidc": false,
    "auth-type-code-enabled": true, "auth-type-code-revoke-replayed": true,
    "auth-type-token-enabled": false, "auth-type-id-token-enabled": true,
    "auth-type-none-enabled": false, "auth-type-password-enabled": false,
    "auth-type-client-enabled": false, "auth-type-device-enabled": false,
    "auth-type-refresh-enabled": false, "pkce-allowed": true, "pkce-method-plain-allowed": false,
    "pkce-required": true, "name-claim": "mandatory", "name-claim-scope": [], "email-claim": "no",
    "email-claim-scope": [], "scope-claim": "no", "scope-claim-scope": [], "scope": [],
    "claims": [
        {"name": "preferred_username", "user-property": "username", "type": "string",
         "mandatory": true, "scope": []},
        {"name": "groups", "user-property": "groups", "type": "string", "mandatory": true,
         "scope": []}
    ],
    "additional-parameters": [], "address-claim": {"type": "no"}, "request-parameter-allow": false,
    "session-management-allowed": true, "session-cookie-name": "OIDC_SID",
    "session-cookie-expiration": 3600, "oauth-rar-allowed": false, "oauth-par-allowed": false
}"#;

const GLEWLWYD: &str = r#"
port=4593
bind_address="127.0.0.1"
external_url="https://localhost:4593"
login_url="login.html"
api_prefix="api"
static_files_path="FOLDER/webapp/"
log_mode="console"
log_level="DEBUG"
cookie_domain="localhost"
cookie_secure=1
cookie_same_site="lax"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
user_middleware_module_path="/usr/lib/glewlwyd/user_middleware"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
use_secure_connection=true
secure_connection_key_file="FOLDER/tls-key.pem"
secure_connection_pem_file="FOLDER/tls.pem"
hash_algorithm="SHA512"
database = { type = "sqlite3"; path = "FOLDER/glewlwyd.db"; };
static_files_mime_types = (
  { extension = ".html"; mime_type = "text/html"; compress = 0; },
  { extension = ".css"; mime_type = "text/css"; compress = 0; },
  { extension = ".js"; mime_type = "application/javascript"; compress = 0; },
  { extension = ".json"; mime_type = "application/json"; compress = 0; }
)
"#;

const DAICHO: &str = r#"
[web]
listen = "127.0.0.1:8443"

[web.oidc]
issuer = "https://localhost:4593/api/oidc"
client_id = "daicho"
client_secret_file = "FOLDER/secret"
address = "https://127.0.0.1:8443"
scopes = ["openid"]
viewers = ["staff"]
operators = ["net-ops"]
roots = "FOLDER/tls.pem"
button = "Sign in with the office's account"
"#;

#[test]
fn a_real_provider_signs_people_in_and_its_absence_keeps_nobody_out() {
    let mut office = Office::new();
    let mut command = office.daicho(&["user", "add", "admin", "--role", "admin"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let added = child.wait_with_output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let there = office.doctor();
    assert_eq!(there["state"], "ok", "{there}");
    assert_eq!(there["detail"], "https://localhost:4593/api/oidc: 1 key");

    office.serve();
    assert_eq!(office.look(""), 3);
    let run = Run::of(office.daicho(&["user", "list", "--format", "json"]).output().unwrap());
    let users = run.json();
    let sato = users.as_array().unwrap().iter().find(|user| user["name"] == "oidc:sato").unwrap();
    assert_eq!(sato["role"], "operator");
    assert_eq!(sato["issuer"], "https://localhost:4593/api/oidc");
    assert!(sato["password_at"].is_null() && !sato["subject"].as_str().unwrap().is_empty());
    assert_eq!(users.as_array().unwrap().len(), 2, "{users}");
    let run = Run::of(office.daicho(&["audit", "list", "--format", "json"]).output().unwrap());
    let failed = run.stdout.matches("failed_sign_in").count();
    // Who comes back from nothing that was begun is in the log alone.
    assert!(run.stdout.contains("nothing that it says gives a role") && failed == 1, "{run:?}");
    assert!(!run.stdout.contains("hush-hush"), "{run:?}");

    office.provider.kill().unwrap();
    office.provider.wait().unwrap();
    let gone = office.doctor();
    assert_eq!(gone["state"], "limited", "{gone}");
    let detail = gone["detail"].as_str().unwrap();
    assert!(detail.contains("cannot connect to localhost port 4593"), "{detail}");
    assert!(detail.contains("local users sign in by password all the same"), "{detail}");
    // What it said of itself is known for an hour: begun anew, the page has to ask.
    let page = office.page.as_mut().unwrap();
    must(&format!("kill -TERM {}", page.id()));
    page.wait().unwrap();
    office.serve();
    assert_eq!(office.look("1"), 1);
}
