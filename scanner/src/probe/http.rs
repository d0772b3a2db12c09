//! HTTP/1: server, title, icon, and where it sends us.
//!
//! Up to three questions: the front page, the page to which it redirects if that is on
//! the same endpoint, and the icon. Every one is a GET of a public page. What only looks
//! like the service's state (cookies, dates, tags) is left out of the facts.

use model::{Fact, Service, Transport};
use wire::{
    Problem, http,
    http::{End, Response},
};

use super::{Probe, Reading, Step, Talk, favicon, product};

/// The probe.
pub struct Http;

/// How much of a page is read for the sake of its title.
const MAX_PAGE: usize = 32 * 1_024;

/// What the question after so many messages was.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Asked {
    Front,
    /// The page of a redirect, by its path.
    Redirect(String),
    Icon,
}

impl Probe for Http {
    fn protocol(&self) -> &'static str {
        "http"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[
            80, 443, 8080, 8443, 8000, 8888, 81, 8008, 8081, 3000, 5000, 9000, 9090, 9443, 10000,
            4443, 10443, 7080, 7443, 8001, 8006, 8010, 8082, 8083, 8085, 8086, 8088, 8089, 8090,
            8123, 8161, 8180, 8200, 8291, 8300, 8500, 8600, 8800, 8834, 8843, 8880, 9080, 9091,
            9093, 9200, 9300, 9999, 2375, 2376, 2379, 2381, 1311, 3128, 5601, 5985, 5986, 6443,
            7547, 7001, 7002, 16992, 16993, 32400, 49152, 50000, 591, 280, 2082, 2083, 2086, 2087,
            5357, 15672, 5480, 8530, 8531, 631,
        ]
    }

    fn recognises(&self, banner: &[u8]) -> bool {
        banner.starts_with(b"HTTP/")
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let said = talk.said();
        if said == 0 {
            return Step::Say(get(talk, "/", true));
        }
        let heard = talk.heard(said);
        let asked = asked(talk);
        let Some(last) = asked.get(said - 1) else {
            return Step::Finish;
        };
        if !heard.is_empty() && !http::looks_like_response(heard) {
            return Step::Finish;
        }
        let response = match http::response(heard) {
            Ok(response) => response,
            Err(error) if error.problem == Problem::Truncated && !talk.ended => {
                return Step::Listen;
            }
            Err(_) => return Step::Finish,
        };
        let whole = response.end == End::Complete || response.broken.is_some() || talk.ended;
        let enough = match last {
            Asked::Icon => whole,
            // The body of a redirect is nothing to wait for.
            _ if said < asked.len() && matches!(asked[said], Asked::Redirect(_)) => true,
            _ => whole || http::is_past_title(&response.body) || response.body.len() >= MAX_PAGE,
        };
        if !enough {
            return Step::Listen;
        }
        let (path, keep) = match asked.get(said) {
            None => return Step::Finish,
            Some(Asked::Redirect(path)) => (path.as_str(), true),
            Some(Asked::Front | Asked::Icon) => ("/favicon.ico", false),
        };
        let message = get(talk, path, keep);
        match response.keeps_alive() && !talk.ended {
            true => Step::Say(message),
            false => Step::Reconnect(message),
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let first = if talk.heard(0).is_empty() { talk.heard(1) } else { talk.heard(0) };
        let Ok(front) = http::response(first) else {
            return Reading::default();
        };
        if front.protocol != "HTTP" {
            return Reading::default();
        }
        let mut page = None;
        let mut icon = None;
        for (n, asked) in asked(talk).iter().enumerate() {
            let response = http::response(talk.heard(n + 1)).ok();
            match asked {
                Asked::Front => {}
                Asked::Redirect(_) => page = response,
                Asked::Icon => icon = response,
            }
        }
        let page = page.filter(|page| page.protocol == "HTTP");
        let mut facts = vec![Fact::Service(service(&front, page.as_ref(), icon.as_ref()))];
        facts.extend(front.field("server").and_then(system));
        facts.extend(
            front
                .broken
                .map(|error| Fact::Anomaly { protocol: "http".into(), problem: error.to_string() }),
        );
        Reading { facts, evidence: first.to_vec() }
    }
}

/// The questions of a conversation, as far as the answers to the first ones decide them.
fn asked(talk: &Talk<'_>) -> Vec<Asked> {
    let mut asked = vec![Asked::Front];
    let Ok(front) = http::response(talk.heard(1)) else {
        return asked;
    };
    if front.protocol != "HTTP" {
        return asked;
    }
    if matches!(front.status, 301 | 302 | 303 | 307 | 308)
        && let Some(path) = front.field("location").and_then(|to| path_here(talk, to))
    {
        asked.push(Asked::Redirect(path));
    }
    asked.push(Asked::Icon);
    asked
}

/// The path of a location, if it is on this very endpoint.
fn path_here(talk: &Talk<'_>, location: &str) -> Option<String> {
    let scheme = if talk.tls { "https" } else { "http" };
    let path = match location.split_once("://") {
        None if location.starts_with("//") => return None,
        None if location.starts_with('/') => location.to_owned(),
        None => format!("/{location}"),
        Some((theirs, rest)) => {
            if !theirs.eq_ignore_ascii_case(scheme) {
                return None;
            }
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let here = authority.eq_ignore_ascii_case(&host(talk))
                || authority.eq_ignore_ascii_case(&format!("{}:{}", bare_host(talk), talk.port));
            if !here {
                return None;
            }
            format!("/{path}")
        }
    };
    let path = path.split('#').next().unwrap_or("/").to_owned();
    (path.len() <= 1_024 && path != "/" && path.bytes().all(|byte| byte.is_ascii_graphic()))
        .then_some(path)
}

fn bare_host(talk: &Talk<'_>) -> String {
    match (talk.server_name, talk.address) {
        (Some(name), _) => name.to_owned(),
        (None, std::net::IpAddr::V6(v6)) => format!("[{v6}]"),
        (None, v4) => v4.to_string(),
    }
}

/// The Host field: with the port, unless it is the scheme's own (RFC 9110, section 7.2).
fn host(talk: &Talk<'_>) -> String {
    let usual = if talk.tls { 443 } else { 80 };
    match talk.port == usual {
        true => bare_host(talk),
        false => format!("{}:{}", bare_host(talk), talk.port),
    }
}

fn get(talk: &Talk<'_>, path: &str, keep: bool) -> Vec<u8> {
    let connection = if keep { "keep-alive" } else { "close" };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (compatible; Daicho)\r\n\
         Accept: */*\r\nConnection: {connection}\r\n\r\n",
        host(talk)
    )
    .into_bytes()
}

/// Fields that say what the service is, and the attributes they become.
const FIELDS: [(&str, &str); 5] = [
    ("server", "server"),
    ("x-powered-by", "powered_by"),
    ("x-aspnet-version", "aspnet_version"),
    ("x-generator", "generator"),
    ("via", "via"),
];

fn service(front: &Response, page: Option<&Response>, icon: Option<&Response>) -> Service {
    let mut service = Service::of("http");
    let field = |name: &str| {
        front.field(name).or_else(|| page?.field(name)).filter(|value| !value.is_empty())
    };
    for (name, attribute) in FIELDS {
        if let Some(value) = field(name) {
            service.attributes.insert(attribute.into(), value.to_owned());
        }
    }
    service.attributes.insert("status".into(), front.status.to_string());
    let title = page
        .and_then(|page| http::title(&page.body, page.field("content-type")))
        .or_else(|| http::title(&front.body, front.field("content-type")));
    // Where a redirect leads, without parameters: they carry session ids.
    if let Some(to) = front.field("location").filter(|_| (300..400).contains(&front.status)) {
        let to = to.split(['?', '#', ';']).next().unwrap_or(to);
        service.attributes.insert("redirect".into(), to.to_owned());
    }
    if let Some(realm) = front.field("www-authenticate").and_then(realm) {
        service.attributes.insert("auth_realm".into(), realm);
    }
    if let Some(icon) = icon
        && icon.status == 200
        && icon.broken.is_none()
        && icon.end != End::More
        && let Some(hash) = favicon::mmh3(&icon.body)
    {
        service.attributes.insert("favicon_mmh3".into(), hash.to_string());
    }
    let software = field("server")
        .and_then(software)
        .or_else(|| field("x-powered-by").and_then(software))
        .or_else(|| page_software(front, title.as_deref()));
    product::put(&mut service, software);
    if let Some(title) = title {
        service.attributes.insert("title".into(), title);
    }
    service
}

/// The realm of a challenge (RFC 7235, section 4.1): devices write their model there.
fn realm(challenge: &str) -> Option<String> {
    let at = challenge.to_ascii_lowercase().find("realm=")?;
    let rest = challenge.get(at + 6..)?;
    let realm = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(',').next()?,
    };
    let realm = super::stable(realm)?;
    Some(realm)
}

/// Servers that name themselves only on the pages that they write themselves.
fn page_software(front: &Response, title: Option<&str>) -> Option<product::Product> {
    if let Some(title) = title
        && title.starts_with("Apache Tomcat/")
    {
        return product::find(title);
    }
    let body = String::from_utf8_lossy(&front.body);
    if let Some((_, rest)) = body.split_once("<h3>Apache Tomcat/") {
        return Some(product::named("tomcat", rest.split('<').next()));
    }
    if let Some((_, rest)) = body.split_once("Powered by Jetty:// ") {
        return Some(product::named("jetty", rest.split('<').next()));
    }
    // The page that HAProxy compiles in for want of a server, word for word.
    let haproxy =
        "<h1>503 Service Unavailable</h1>\nNo server is available to handle this request.";
    body.contains(haproxy).then(|| product::named("haproxy", None))
}

/// Words that are not the server: platforms, and protocols that it also speaks.
const PLATFORMS: &[&str] = &[
    "linux",
    "unknown",
    "upnp",
    "dlnadoc",
    "debian",
    "ubuntu",
    "fedora",
    "fedoracore",
    "freebsd",
    "darwin",
    "windows",
    "isos",
    "nucleus",
    "ipos",
    "http",
    "webaccess",
    "python",
    "openwrt",
    "tbs",
    "netgear",
    "java",
    "unix",
];

/// The product in a Server field (RFC 9110, section 10.2.4), or in what passes for one.
#[must_use]
pub fn software(server: &str) -> Option<product::Product> {
    // UPnP's form is `system UPnP/1.0 product/version` (Device Architecture 1.0, 1.1.2).
    if let Some((_, rest)) = server.split_once("UPnP/")
        && let Some((_, product)) = rest.split_once([' ', ','])
        && let Some(product) = software(product)
    {
        return Some(product);
    }
    let mut fallback = None;
    for part in parts(server) {
        let (name, version) = name_and_version(&part);
        let name = name.trim().trim_end_matches(',').trim();
        if !name.chars().any(char::is_alphabetic) {
            continue;
        }
        let product = product::named(name, version);
        let first = name.split([' ', '-', '_']).next().unwrap_or(name).to_ascii_lowercase();
        if product.cpe.is_none() && PLATFORMS.contains(&first.as_str()) {
            fallback = fallback.or(Some(product));
            continue;
        }
        return Some(product);
    }
    // A name in brackets may be all there is: `Jetty(9.4)`, `NetCache appliance (NetApp/6.0)`.
    product::find(server).or(fallback)
}

/// The field cut into names with their versions: at blanks behind a version, at commas and
/// at comments.
fn parts(server: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    let mut ended = false;
    for word in server.split_inclusive([' ', '(', ')', ',', ';']) {
        let (text, mark) = match word.char_indices().next_back() {
            Some((at, c @ (' ' | '(' | ')' | ',' | ';'))) => (&word[..at], Some(c)),
            _ => (word, None),
        };
        if depth == 0 && !text.is_empty() {
            if ended {
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                if !part.is_empty() {
                    part.push(' ');
                }
                part.push_str(text);
            }
            let version = text.rsplit('/').next().unwrap_or(text);
            ended = text.contains('/') && !version.is_empty() || product::is_version(text);
        }
        match mark {
            // `Jetty(9.4.48)`: the only thing in the brackets is the version.
            Some('(') if depth == 0 => {
                depth = 1;
                // `NetCache appliance (NetApp/6.0)`: or the maker and the version.
                let inside = server_inside(server, word);
                let inside = inside.split_once('/').map_or(inside, |(_, version)| version);
                if !ended
                    && product::is_version(inside)
                    && let Some(part) = parts.last_mut()
                {
                    part.push('/');
                    part.push_str(inside);
                }
                ended = true;
            }
            Some('(') => depth += 1,
            Some(')') => depth = depth.saturating_sub(1),
            Some(',' | ';') if depth == 0 => ended = true,
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// What stands between the bracket that `word` (a piece of `server`) ends with and the next.
fn server_inside<'a>(server: &'a str, word: &'a str) -> &'a str {
    let start = word.as_ptr() as usize - server.as_ptr() as usize + word.len();
    server.get(start..).and_then(|rest| rest.split(')').next()).unwrap_or("").trim()
}

/// `nginx/1.22.1` or `Some Server 1.2`.
fn name_and_version(part: &str) -> (&str, Option<&str>) {
    if let Some((name, version)) = part.split_once('/') {
        let version = version.trim().split([' ', '(', ',']).next().unwrap_or("");
        let digit = version.chars().any(|c| c.is_ascii_digit());
        return (name, Some(version).filter(|_| digit));
    }
    match part.rsplit_once(' ') {
        Some((name, version)) if product::is_version(version) => (name, Some(version)),
        _ => (part, None),
    }
}

/// The operating system that a Server field names.
#[must_use]
pub fn system(server: &str) -> Option<Fact> {
    if server.starts_with("Microsoft-IIS") || server.starts_with("Microsoft-HTTPAPI") {
        return Some(product::system("Windows", None, Some(("microsoft", "windows"))));
    }
    // UPnP servers begin with `OS/version` (UPnP Device Architecture 1.0, section 1.1.2).
    let (name, rest) = server.split_once('/')?;
    if name.eq_ignore_ascii_case("linux") && server.contains("UPnP/") {
        let version = rest.split([' ', ',']).next().filter(|v| product::is_version(v));
        return Some(product::system("Linux", version, Some(("linux", "linux_kernel"))));
    }
    product::operating_system(server)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing::{heard, talk};

    #[track_caller]
    fn check(server: &str, expected: Option<(&str, Option<&str>)>) {
        let got = software(server);
        let got = got.as_ref().map(|p| (p.name.as_str(), p.version.as_deref()));
        assert_eq!(got, expected, "{server}");
    }

    #[test]
    fn server_fields() {
        check("nginx/1.22.1", Some(("nginx", Some("1.22.1"))));
        check("nginx", Some(("nginx", None)));
        check("Apache/2.4.57 (Debian) OpenSSL/3.0.9", Some(("Apache httpd", Some("2.4.57"))));
        check("Microsoft-IIS/10.0", Some(("IIS", Some("10.0"))));
        check("Jetty(9.4.48.v20220622)", Some(("Jetty", Some("9.4.48.v20220622"))));
        check("Linux/5.4, UPnP/1.0, Portable SDK for UPnP devices/1.6.25", {
            Some(("Portable SDK for UPnP devices", Some("1.6.25")))
        });
        check("Python/3.8 aiohttp/3.7.4", Some(("aiohttp", Some("3.7.4"))));
        check("Some Odd Server 2.1 build 7", Some(("Some Odd Server", Some("2.1"))));
        check("Vendor/Model9 UPnP/1.0 MiniUPnPd/2.2.1", Some(("MiniUPnPd", Some("2.2.1"))));
        check("Cache appliance (Maker/6.0.2P1)", Some(("Cache appliance", Some("6.0.2P1"))));
        check("CUPS/2.4 IPP/2.1", Some(("CUPS", Some("2.4"))));
        check("", None);
    }

    const FRONT: &str = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nX-Powered-By: PHP/8.2.7\r\n\
        Content-Type: text/html\r\nContent-Length: 30\r\n\r\n<title>Hello &amp; bye</title>";

    fn server(reading: &Reading) -> Service {
        match &reading.facts[0] {
            Fact::Service(service) => service.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_front_page_and_the_icon() {
        let mut turns = heard(&[""]);
        let Step::Say(first) = Http.request(&talk(&turns, false)) else { panic!() };
        let first = String::from_utf8(first).unwrap();
        assert!(first.starts_with("GET / HTTP/1.1\r\nHost: 192.0.2.1:7\r\n"), "{first}");
        turns.extend(heard(&[FRONT]));
        let Step::Say(second) = Http.request(&talk(&turns, false)) else { panic!() };
        assert!(second.starts_with(b"GET /favicon.ico HTTP/1.1\r\n"));
        turns.extend(heard(&["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nicon"]));
        assert_eq!(Http.request(&talk(&turns, false)), Step::Finish);
        let service = server(&Http.read(&talk(&turns, true)));
        assert_eq!(service.product.as_deref(), Some("nginx"));
        assert_eq!(service.attributes["title"], "Hello & bye");
        assert_eq!(service.attributes["powered_by"], "PHP/8.2.7");
        assert_eq!(service.attributes["favicon_mmh3"], favicon::mmh3(b"icon").unwrap().to_string());
    }

    #[test]
    fn every_cut_of_the_front_page_is_waited_for() {
        for len in 0..FRONT.len() - 1 {
            let turns = heard(&["", &FRONT[..len]]);
            let step = Http.request(&talk(&turns, false));
            assert_eq!(step, Step::Listen, "{len}");
            let _ = Http.read(&talk(&turns, true));
        }
    }

    #[test]
    fn a_redirect_is_followed_on_this_endpoint_only() {
        let redirect = |to: &str| {
            heard(&["", &format!("HTTP/1.1 302 F\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")])
        };
        let path = |turns: &[Vec<u8>]| match Http.request(&talk(turns, false)) {
            Step::Say(said) | Step::Reconnect(said) => {
                String::from_utf8(said).unwrap().split(' ').nth(1).unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(path(&redirect("/login;id=7?x=1#top")), "/login;id=7?x=1");
        assert_eq!(path(&redirect("http://192.0.2.1:7/ui")), "/ui");
        assert_eq!(path(&redirect("login.html")), "/login.html");
        assert_eq!(path(&redirect("https://192.0.2.1/ui")), "/favicon.ico");
        assert_eq!(path(&redirect("http://elsewhere.example/")), "/favicon.ico");
        assert_eq!(path(&redirect("//elsewhere.example/")), "/favicon.ico");
        let service = server(&Http.read(&talk(&redirect("/login;id=7?x=1"), true)));
        assert_eq!(service.attributes["redirect"], "/login");
    }

    #[test]
    fn a_server_that_closes_is_called_again() {
        let turns = heard(&["", "HTTP/1.0 200 OK\r\n\r\n<title>x</title>"]);
        assert!(matches!(Http.request(&talk(&turns, true)), Step::Reconnect(_)));
        assert!(matches!(Http.request(&talk(&turns, false)), Step::Reconnect(_)));
    }

    #[test]
    fn what_is_not_http_is_left_to_others() {
        for bytes in ["SSH-2.0-x\r\n", "RTSP/1.0 200 OK\r\n\r\n", "\x15\x03"] {
            let turns = heard(&["", bytes]);
            assert!(Http.read(&talk(&turns, true)).facts.is_empty());
        }
        assert_eq!(Http.request(&talk(&heard(&["", "SSH-"]), false)), Step::Finish);
    }

    #[test]
    fn realms_and_error_pages_tell_the_product() {
        assert_eq!(realm("Basic realm=\"NETGEAR R7000\"").as_deref(), Some("NETGEAR R7000"));
        assert_eq!(realm("Digest nonce=\"1\", realm=x, a=b").as_deref(), Some("x"));
        let turns =
            heard(&["", "HTTP/1.1 404\r\nContent-Length: 29\r\n\r\n<h3>Apache Tomcat/9.0.71</h3>"]);
        let service = server(&Http.read(&talk(&turns, true)));
        assert_eq!(service.product.as_deref(), Some("Apache Tomcat"));
        assert_eq!(service.version.as_deref(), Some("9.0.71"));
    }

    #[test]
    fn agrees_with_the_corpus() {
        crate::probe::corpus::measure_versions("http_servers", 0.91, software);
    }

    proptest! {
        #[test]
        fn nothing_panics(turns in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..80), 1..4), field in "\\PC{0,60}", ended: bool) {
            let mut all = vec![Vec::new(), format!("HTTP/1.1 302 x\r\nLocation: {field}\r\n\
                Server: {field}\r\nWWW-Authenticate: {field}\r\nContent-Length: 0\r\n\r\n").into_bytes()];
            all.extend(turns);
            for len in 1..=all.len() {
                let _ = Http.request(&talk(&all[..len], ended));
                let _ = Http.read(&talk(&all[..len], ended));
            }
            let _ = software(&field);
            let _ = system(&field);
        }
    }
}
