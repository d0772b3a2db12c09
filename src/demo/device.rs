//! What a device of the simulated organisation shows on a day.

use std::net::IpAddr;

use anyhow::Result;
use model::{
    DiscoveryProtocol, Endpoint, Fact, HostKey, MacAddr, Method, NameSource, Neighbor, NetworkRole,
    Observation, PortState, RouterProtocol, Service, Subject, Timestamp, TlsVersion, Use, Vantage,
};

use super::{
    DAYS,
    certificate::{Authority, Flaw},
    models::{Habit, Model},
    plan::{Stand, Zone, address_in, gateways},
};

/// A number that looks random and is always the same (the finalizer of SplitMix64).
pub(super) fn draw(seed: u64, one: u64, other: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ one << 24 ^ other;
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A device.
pub(super) struct Device {
    pub(super) model: &'static Model,
    pub(super) site: usize,
    /// Which of its model, and which of all.
    pub(super) number: u32,
    pub(super) place: u64,
    pub(super) seed: u64,
    pub(super) stand: Stand,
}

/// A day, and when the scan of it looks.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) day: u64,
    pub(super) at: Timestamp,
    pub(super) vantage: &'a Vantage,
}

impl Device {
    pub(super) fn name(&self) -> String {
        let site = ["tyo", "ngo"].get(self.site).unwrap_or(&"");
        format!("{}-{}-{:03}", self.model.name, site, self.number)
    }

    fn draw(&self, what: u64) -> u64 {
        draw(self.seed, self.place, what)
    }

    /// From which day on it is there, and on which it is gone for good.
    pub(super) fn time(&self) -> (u64, u64) {
        // Without the core there is nobody.
        let chance = if self.model.name == "core" { 99 } else { self.draw(1) % 100 };
        let comes = if chance < 12 { self.draw(2) % DAYS } else { 0 };
        let goes = if (12..15).contains(&chance) { self.draw(3) % DAYS } else { u64::MAX };
        (comes, goes)
    }

    /// Whether it is there. Some are new, some go for good, people are at home.
    pub(super) fn is_there(&self, day: u64) -> bool {
        let (comes, goes) = self.time();
        let today = self.draw(1_000 + day) % 100;
        // The last day is a Tuesday.
        let is_weekend = (day + 3) % 7 >= 5;
        let most = match (self.model.habit, is_weekend) {
            (Habit::Fixed, _) => 100,
            (Habit::Leased, false) => 94,
            (Habit::Leased, true) => 40,
            (Habit::Rotating, false) => 45,
            (Habit::Rotating, true) => 5,
        };
        (comes..goes).contains(&day) && today < most
    }

    /// Whether it takes another hardware address every week.
    pub(super) fn rotates(&self) -> bool {
        self.model.habit == Habit::Rotating && self.number.is_multiple_of(20)
    }

    pub(super) fn mac(&self, day: u64) -> MacAddr {
        let [.., b, c, d] = match self.model.habit {
            // One for each network, as telephones have it; some take another every week.
            Habit::Rotating if self.rotates() => self.draw(5_000 + day / 7),
            Habit::Rotating | Habit::Fixed | Habit::Leased => self.place,
        }
        .to_be_bytes();
        let [x, y, z] = self.model.maker;
        MacAddr([x, y, z, b, c, d])
    }

    /// What a sweep sees of it.
    pub(super) fn answers(
        &self,
        look: Look<'_>,
        authority: &Authority,
    ) -> Result<Vec<Observation>> {
        let address = IpAddr::from(self.address(look.day));
        let mut seen = Vec::new();
        let mut see = |seconds, method, subject, fact| {
            seen.push(Observation {
                observed_at: look.at.plus_seconds(seconds),
                vantage: look.vantage.clone(),
                method,
                subject,
                fact,
                evidence: Vec::new(),
            });
        };
        let subject = Subject::Address(address);
        see(1, Method::Arp, subject, Fact::LinkAddress(self.mac(look.day)));
        let ttl = Some(if self.model.system.is_some_and(|(name, _)| name.starts_with("Windows")) {
            128
        } else {
            64
        });
        see(2, Method::Echo, subject, Fact::Alive { ttl });
        if self.model.name == "core" {
            for gateway in gateways(self.site) {
                let subject = Subject::Address(gateway.into());
                see(1, Method::Arp, subject, Fact::LinkAddress(self.mac(look.day)));
                see(2, Method::Echo, subject, Fact::Alive { ttl });
            }
        }
        if self.model.habit == Habit::Rotating {
            return Ok(seen);
        }
        let name = format!("{}.demo.example", self.name());
        see(
            3,
            Method::Resolver,
            subject,
            Fact::HostName { name: name.clone(), source: NameSource::Dns },
        );
        if let Some((system, version)) = self.model.system {
            let version = Some(version.to_owned());
            see(
                4,
                Method::Dialogue,
                subject,
                Fact::OperatingSystem { name: system.to_owned(), version, cpe: None },
            );
        }
        for line in self.model.services {
            let mut words = line.split(' ');
            let port = words.next().and_then(|port| port.parse().ok()).unwrap_or_default();
            let protocol = words.next().unwrap_or_default();
            let (product, versions) = (words.next(), words.collect::<Vec<_>>());
            // Updated one day, most of them.
            let updated = usize::from(look.day > 20 + self.draw(6) % 60);
            let version =
                versions.get(updated).or(versions.last()).map(|version| (*version).to_owned());
            let endpoint = Subject::Endpoint(Endpoint::tcp(address, port));
            see(5, Method::TcpSyn, endpoint, Fact::PortState(PortState::Open));
            let tls = protocol == "https";
            let mut service = Service::of(if tls { "http" } else { protocol });
            service.tls = tls;
            service.product = product.map(str::to_owned);
            service.version = version;
            see(6, Method::Dialogue, endpoint, Fact::Service(service));
            if protocol == "ssh" {
                let digest = ring::digest::digest(&ring::digest::SHA256, &self.place.to_be_bytes());
                let key = HostKey {
                    algorithm: "ssh-ed25519".to_owned(),
                    sha256: crate::report::hex(digest.as_ref()),
                };
                see(7, Method::Dialogue, endpoint, Fact::HostKey(key));
            }
            if tls {
                let chain = self.chain(look, &name, authority)?;
                let served = model::CertificateChain {
                    chain,
                    server_name: None,
                    protocol_version: TlsVersion(0x0303),
                    starttls: None,
                };
                see(8, Method::Tls, endpoint, Fact::Certificates(served));
            }
        }
        if self.draw(7).is_multiple_of(60) {
            let (protocol, problem) = ("http".to_owned(), "a header without a colon".to_owned());
            see(9, Method::Dialogue, subject, Fact::Anomaly { protocol, problem });
        }
        Ok(seen)
    }

    /// Renewed after 60 of 90 days by those who do; the others let it expire.
    fn chain(&self, look: Look<'_>, name: &str, authority: &Authority) -> Result<Vec<Vec<u8>>> {
        let (chance, begun) = (self.draw(8) % 100, self.draw(9) % 60);
        let flaw = match chance {
            0..12 if self.model.system.is_none() => Flaw::SelfSigned,
            40..44 => Flaw::WeakKey,
            _ => Flaw::None,
        };
        let (lifetime, renewals) = match (flaw, chance % 10) {
            (Flaw::SelfSigned, _) => (3_650, 0),
            (_, 0) => (90, 0),
            (_, 1..7) => (90, (look.day + begun) / 60),
            _ => (365, 0),
        };
        let first = look.at.plus_seconds((-i64::try_from(look.day + begun)?) * 86_400);
        let from = first.plus_seconds(i64::try_from(renewals * 60)? * 86_400);
        authority.chain(name, (from, lifetime), flaw, self.draw(100 + renewals) >> 2)
    }

    /// What is heard of it by whoever listens.
    pub(super) fn tells(&self, look: Look<'_>) -> Vec<Observation> {
        let subject = Subject::Address(self.address(look.day).into());
        let hears = |seconds, fact| Observation {
            observed_at: look.at.plus_seconds(seconds),
            vantage: look.vantage.clone(),
            method: Method::Capture,
            subject,
            fact,
            evidence: Vec::new(),
        };
        let mut heard = vec![hears(1, Fact::LinkAddress(self.mac(look.day)))];
        let odd = self.draw(10).is_multiple_of(60);
        let resolver = match odd && self.model.habit != Habit::Rotating {
            true => address_in(0, Zone::Strays, 20),
            false => address_in(0, Zone::Servers, 0),
        };
        heard.push(hears(2, Fact::Use(Use::Resolver(resolver.into()))));
        heard.extend(self.parts().into_iter().map(|fact| hears(3, fact)));
        if self.model.habit == Habit::Rotating {
            let model = ["iphone", "pixel-8", "galaxy-s24", "iphone"][self.number as usize % 4];
            let whose = ["hanako", "ken", "yuki", "anna", "makoto"][self.number as usize % 5];
            let site = ["t", "n"].get(self.site).unwrap_or(&"");
            let name = format!("{model}-{whose}-{site}{}", self.number);
            heard.push(hears(3, Fact::HostName { name, source: NameSource::Dhcp }));
        }
        if self.model.name == "hmi" {
            let server = address_in(1, Zone::Production, self.number).into();
            heard.push(hears(
                4,
                Fact::Use(Use::Cleartext { protocol: "telnet".to_owned(), server }),
            ));
        }
        heard
    }

    /// What it is for the network, in its own words.
    fn parts(&self) -> Vec<Fact> {
        match (self.model.name, self.number) {
            ("core", _) => vec![Fact::Role(NetworkRole::Router(RouterProtocol::Ospf))],
            // At the other end of the sensor's cable.
            ("switch", 1) => vec![
                Fact::Role(NetworkRole::Switch),
                Fact::Neighbor(Neighbor {
                    port: Some("Gi1/0/24".to_owned()),
                    system_name: Some(self.name()),
                    system_description: Some("Cisco IOS, Catalyst 2960".to_owned()),
                    ..Neighbor::of(DiscoveryProtocol::Lldp)
                }),
            ],
            ("switch", _) => vec![Fact::Role(NetworkRole::Switch)],
            ("ap", _) => vec![Fact::Role(NetworkRole::AccessPoint)],
            ("dc", _) => vec![Fact::Role(NetworkRole::DhcpServer)],
            // One that somebody brought along gives out addresses as well.
            ("router", _) => vec![Fact::Role(NetworkRole::DhcpServer)],
            _ => Vec::new(),
        }
    }
}
