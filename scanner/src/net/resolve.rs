//! Names to addresses and back, through the name servers that the system is configured
//! for (resolv.conf(5), hosts(5)).
//!
//! That a name does not exist is an answer; that nobody answered is not, and the two
//! are never told in the same words. Every name costs bounded time.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData},
    },
};
use model::Gap;
use thiserror::Error;
use tokio::{task::JoinSet, time::timeout};

/// The longest that one name may take, however many servers are configured.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that one server is waited for, and how often it is asked again.
const SERVER_PATIENCE: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;

/// How many names are asked for at once: a name server is somebody's, too.
const AT_ONCE: usize = 16;

/// How many names are taken for one address. Some zones give hundreds.
const MOST_NAMES: usize = 16;

/// Why a name did not lead to an address, or an address not to a name.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The text cannot be a name.
    #[error("this cannot be a host name")]
    NotAName {
        /// What is wrong with it.
        source: Box<NetError>,
    },
    /// The name server says that there is no such name.
    #[error("there is no such name")]
    NoSuchName,
    /// The name exists and has no record of that kind.
    #[error("the name has no address")]
    NoRecord,
    /// No name server answered.
    #[error("no name server answered")]
    NoAnswer {
        /// What happened last; `None` where only time ran out.
        source: Option<Box<NetError>>,
    },
    /// The name server answered that it cannot or will not tell.
    #[error("the name server answers {code}")]
    ServerFailed {
        /// Its reason (IANA, "DNS RCODEs"), such as `Server Failure`.
        code: String,
    },
    /// No name server is configured on this machine.
    #[error("no name server is configured here ({problem})")]
    NoServer {
        /// What is wrong with the system's configuration.
        problem: Arc<str>,
    },
}

impl ResolveError {
    /// Whether this is an answer about the name, rather than the lack of one.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::NoSuchName | Self::NoRecord | Self::NotAName { .. })
    }
}

/// What became of names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Resolved {
    /// Each name that led somewhere, with all its addresses, in the order asked for.
    pub found: Vec<(String, Vec<IpAddr>)>,
    /// The names that did not, and those of which only one family could be asked for.
    pub gaps: Vec<Gap>,
}

/// Asks name servers.
#[derive(Clone)]
pub struct Resolver {
    resolver: TokioResolver,
    /// What is wrong with the system's configuration, if something is.
    problem: Option<Arc<str>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("problem", &self.problem).finish_non_exhaustive()
    }
}

impl Resolver {
    /// As the system is configured. Where /etc/resolv.conf is missing or names no server,
    /// only the names of /etc/hosts lead anywhere, and others to
    /// [`ResolveError::NoServer`].
    ///
    /// # Errors
    ///
    /// [`ResolveError::NoServer`] where not even that can be set up.
    pub fn system() -> Result<Self, ResolveError> {
        match TokioResolver::builder_tokio() {
            Ok(mut builder) => {
                let options = builder.options_mut();
                options.timeout = options.timeout.min(SERVER_PATIENCE);
                options.attempts = options.attempts.min(ATTEMPTS);
                Ok(Self { resolver: builder.build().map_err(|e| no_server(&e))?, problem: None })
            }
            Err(error) => {
                let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
                let mut resolver = Self::build(nobody, SERVER_PATIENCE)?;
                resolver.problem = Some(format!("/etc/resolv.conf: {error}").into());
                Ok(resolver)
            }
        }
    }

    /// With one name server, asked over UDP and over TCP, and given so long to answer.
    ///
    /// # Errors
    ///
    /// [`ResolveError::NoServer`] if the resolver cannot be set up.
    pub fn with_server(server: SocketAddr, patience: Duration) -> Result<Self, ResolveError> {
        let mut config = NameServerConfig::udp_and_tcp(server.ip());
        for connection in &mut config.connections {
            connection.port = server.port();
        }
        Self::build(ResolverConfig::from_parts(None, Vec::new(), vec![config]), patience)
    }

    fn build(config: ResolverConfig, patience: Duration) -> Result<Self, ResolveError> {
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = patience;
        options.attempts = 1;
        Ok(Self { resolver: builder.build().map_err(|e| no_server(&e))?, problem: None })
    }

    /// All addresses of a name, IPv4 and IPv6, sorted; and a gap where one family could
    /// not be asked for although the other answered.
    ///
    /// # Errors
    ///
    /// Neither family has an address: why not.
    pub async fn addresses(&self, name: &str) -> Result<(Vec<IpAddr>, Option<Gap>), ResolveError> {
        let parsed = parse(name)?;
        let (v4, v6) = tokio::join!(
            self.within(self.resolver.ipv4_lookup(parsed.clone())),
            self.within(self.resolver.ipv6_lookup(parsed)),
        );
        let mut found: Vec<IpAddr> = [&v4, &v6]
            .into_iter()
            .flatten()
            .flat_map(Lookup::answers)
            .filter_map(|record| match &record.data {
                RData::A(v4) => Some(IpAddr::V4(v4.0)),
                RData::AAAA(v6) => Some(IpAddr::V6(v6.0)),
                _ => None,
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        let failure = [("IPv4", v4.err()), ("IPv6", v6.err())]
            .into_iter()
            .filter_map(|(family, error)| Some((family, error?)))
            // The worst first: no answer says less than an answer.
            .min_by_key(|(_, error)| error.is_answer());
        match failure {
            None if found.is_empty() => Err(ResolveError::NoRecord),
            Some((_, error)) if found.is_empty() => Err(error),
            Some((family, error))
                if !error.is_answer() && !matches!(error, ResolveError::NoServer { .. }) =>
            {
                let reason = format!("its {family} addresses are not known: {}", chain(&error));
                Ok((found, Some(Gap { target: name.to_owned(), reason })))
            }
            _ => Ok((found, None)),
        }
    }

    /// Resolves names, some at once. A name that leads nowhere is a gap with the reason.
    pub async fn all(&self, names: &[String]) -> Resolved {
        let mut resolved = Resolved::default();
        for some in names.chunks(AT_ONCE) {
            let mut tasks = JoinSet::new();
            for (place, name) in some.iter().enumerate() {
                let (resolver, name) = (self.clone(), name.clone());
                tasks.spawn(async move { (place, resolver.addresses(&name).await) });
            }
            let mut results = tasks.join_all().await;
            results.sort_unstable_by_key(|(place, _)| *place);
            for (name, (_, result)) in some.iter().zip(results) {
                match result {
                    Ok((addresses, gap)) => {
                        resolved.found.push((name.clone(), addresses));
                        resolved.gaps.extend(gap);
                    }
                    Err(error) => {
                        resolved.gaps.push(Gap { target: name.clone(), reason: chain(&error) });
                    }
                }
            }
        }
        resolved
    }

    /// The names of an address (PTR), lower case, without a trailing dot, sorted, 16 at
    /// most. This tells a name server whom we look at: ask only where the configuration
    /// allows it.
    ///
    /// # Errors
    ///
    /// There is none, or nobody answered.
    pub async fn names_of(&self, address: IpAddr) -> Result<Vec<String>, ResolveError> {
        let lookup = self.within(self.resolver.reverse_lookup(Name::from(address))).await?;
        let mut names: Vec<String> = lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::PTR(name) => Some(name.0.to_lowercase().to_ascii()),
                _ => None,
            })
            .map(|name| name.trim_end_matches('.').to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(MOST_NAMES);
        if names.is_empty() { Err(ResolveError::NoRecord) } else { Ok(names) }
    }

    async fn within(
        &self,
        lookup: impl Future<Output = Result<Lookup, NetError>>,
    ) -> Result<Lookup, ResolveError> {
        match timeout(PATIENCE, lookup).await {
            Ok(result) => result.map_err(|error| self.classify(error)),
            Err(_elapsed) => Err(ResolveError::NoAnswer { source: None }),
        }
    }

    fn classify(&self, error: NetError) -> ResolveError {
        if let Some(problem) = &self.problem {
            return ResolveError::NoServer { problem: Arc::clone(problem) };
        }
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NXDomain => ResolveError::NoSuchName,
                ResponseCode::NoError => ResolveError::NoRecord,
                code => ResolveError::ServerFailed { code: code.to_string() },
            },
            NetError::Dns(DnsError::ResponseCode(code)) => {
                ResolveError::ServerFailed { code: code.to_string() }
            }
            other => ResolveError::NoAnswer { source: Some(Box::new(other)) },
        }
    }
}

fn parse(name: &str) -> Result<Name, ResolveError> {
    Name::from_utf8(name)
        .map_err(|error| ResolveError::NotAName { source: Box::new(NetError::from(error)) })
}

fn no_server(error: &NetError) -> ResolveError {
    ResolveError::NoServer { problem: error.to_string().into() }
}

/// An error and its causes on one line, for a gap.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, UdpSocket},
        str::FromStr,
        thread,
    };

    use hickory_resolver::proto::{
        op::Message,
        rr::{
            Record, RecordType,
            rdata::{A, AAAA, PTR},
        },
        serialize::binary::{BinDecodable, BinEncodable},
    };

    use super::*;

    /// A name server on loopback that knows these names and lives as long as the test's
    /// process. It does not answer for names that end in `silent.test`.
    fn server() -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let question = Message::from_bytes(&buffer[..len]).unwrap();
                if let Some(answer) = answer(&question) {
                    let _ = socket.send_to(&answer.to_bytes().unwrap(), from);
                }
            }
        });
        address
    }

    fn answer(question: &Message) -> Option<Message> {
        let query = question.queries.first()?;
        let name = query.name().to_ascii().to_lowercase();
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.add_query(query.clone());
        let data = |text: &str| match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => RData::A(A(v4)),
            Ok(IpAddr::V6(v6)) => RData::AAAA(AAAA(v6)),
            Err(_) => RData::PTR(PTR(Name::from_str(text).unwrap())),
        };
        let data: Vec<RData> = match (name.as_str(), query.query_type()) {
            (name, _) if name.ends_with("silent.test.") => return None,
            ("half.test.", RecordType::AAAA) => return None,
            ("both.test.", RecordType::A) => vec![data("192.0.2.9"), data("192.0.2.1")],
            ("both.test.", RecordType::AAAA) => vec![data("2001:db8::1")],
            ("half.test." | "only4.test.", RecordType::A) => vec![data("192.0.2.4")],
            ("1.2.0.192.in-addr.arpa.", RecordType::PTR) => {
                vec![data("Zeta.Test."), data("alpha.test.")]
            }
            ("empty.test." | "only4.test.", _) => Vec::new(),
            ("broken.test.", _) => {
                answer.metadata.response_code = ResponseCode::ServFail;
                Vec::new()
            }
            _ => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                Vec::new()
            }
        };
        answer.answers =
            data.into_iter().map(|d| Record::from_rdata(query.name().clone(), 60, d)).collect();
        Some(answer)
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    }

    #[track_caller]
    fn check(name: &str, expected: Result<&[&str], &str>) {
        let resolver = Resolver::with_server(server(), Duration::from_millis(300)).unwrap();
        let got = run(resolver.addresses(name));
        let got = got.map(|(all, _)| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{name}"),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected, "{name}"),
            (got, expected) => panic!("{name}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn all_addresses_of_both_families_are_found() {
        check("both.test", Ok(&["192.0.2.1", "192.0.2.9", "2001:db8::1"]));
        check("BOTH.test.", Ok(&["192.0.2.1", "192.0.2.9", "2001:db8::1"]));
        check("only4.test", Ok(&["192.0.2.4"]));
    }

    #[test]
    fn no_such_name_no_address_and_no_answer_are_told_apart() {
        check("missing.test", Err("there is no such name"));
        check("empty.test", Err("the name has no address"));
        check("silent.test", Err("no name server answered"));
        check("broken.test", Err("the name server answers Server Failure"));
        check("a..b", Err("this cannot be a host name"));
    }

    #[test]
    fn names_that_fail_do_not_hide_the_others() {
        let resolver = Resolver::with_server(server(), Duration::from_millis(300)).unwrap();
        let mut names: Vec<String> =
            ["missing.test", "both.test", "half.test"].map(str::to_owned).to_vec();
        names.extend((0..40).map(|n| format!("{n}.silent.test")));
        names.push("only4.test".to_owned());
        let resolved = run(resolver.all(&names));
        let found: Vec<&str> = resolved.found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, ["both.test", "half.test", "only4.test"]);
        assert_eq!(resolved.gaps.len(), 42);
        let gap = |name: &str| {
            let found = resolved.gaps.iter().find(|gap| gap.target == name);
            found.map(|gap| gap.reason.as_str()).unwrap_or_default()
        };
        assert_eq!(gap("missing.test"), "there is no such name");
        let half = gap("half.test");
        let expected = "its IPv6 addresses are not known: no name server answered";
        assert!(half.starts_with(expected), "{half}");
    }

    #[test]
    fn addresses_lead_back_to_names() {
        let resolver = Resolver::with_server(server(), Duration::from_millis(300)).unwrap();
        let names = run(resolver.names_of("192.0.2.1".parse().unwrap())).unwrap();
        assert_eq!(names, ["alpha.test", "zeta.test"]);
        let error = run(resolver.names_of("192.0.2.2".parse().unwrap())).unwrap_err();
        assert!(matches!(error, ResolveError::NoSuchName), "{error:?}");
    }

    #[test]
    fn a_server_that_is_not_there_is_no_answer() {
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let resolver = Resolver::with_server(nobody, Duration::from_millis(300)).unwrap();
        let error = run(resolver.addresses("both.test")).unwrap_err();
        assert!(matches!(error, ResolveError::NoAnswer { .. }), "{error:?}");
    }

    #[test]
    fn without_a_configured_server_the_reason_is_told_and_localhost_still_works() {
        let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        let mut resolver = Resolver::build(nobody, Duration::from_millis(300)).unwrap();
        resolver.problem = Some("/etc/resolv.conf: not found".into());
        let error = run(resolver.addresses("both.test")).unwrap_err();
        let expected = "no name server is configured here (/etc/resolv.conf: not found)";
        assert_eq!(error.to_string(), expected);
        let (found, gap) = run(resolver.addresses("localhost")).unwrap();
        assert!(found.contains(&Ipv4Addr::LOCALHOST.into()), "{found:?}");
        assert_eq!(gap, None);
    }
}
