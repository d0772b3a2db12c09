//! What a device of the simulated organisation shows on a day.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use model::{
    Endpoint, Fact, HostKey, MacAddr, Method, NameSource, Observation, PortState, Service, Subject,
    Timestamp, TlsVersion, Use, Vantage,
};

use super::{
    DAYS,
    certificate::{Authority, Flaw},
    models::{Habit, Model},
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

    /// Whether it is there. Some are new, some go for good, people are at home.
    pub(super) fn is_there(&self, day: u64) -> bool {
        let chance = self.draw(1) % 100;
        let comes = if chance < 12 { self.draw(2) % DAYS } else { 0 };
        let goes = if (12..18).contains(&chance) { self.draw(3) % DAYS } else { u64::MAX };
        let today = self.draw(1_000 + day) % 100;
        let is_weekend = day % 7 >= 5;
        let most = match (self.model.habit, is_weekend) {
            (Habit::Fixed, _) => 99,
            (Habit::Leased, false) => 85,
            (Habit::Leased, true) => 10,
            (Habit::Rotating, false) => 45,
            (Habit::Rotating, true) => 5,
        };
        (comes..goes).contains(&day) && today < most
    }

    pub(super) fn mac(&self, day: u64) -> MacAddr {
        let [.., b, c, d] = match self.model.habit {
            // Another each week.
            Habit::Rotating => self.draw(5_000 + day / 7),
            Habit::Fixed | Habit::Leased => self.place,
        }
        .to_be_bytes();
        let [x, y, z] = self.model.maker;
        MacAddr([x, y, z, b, c, d])
    }

    pub(super) fn address(&self, day: u64) -> Ipv4Addr {
        let base = if self.site == 0 { 0xc612_0000 } else { 0xc613_0000_u32 };
        let place = match self.model.habit {
            Habit::Fixed => self.place % 350,
            // A lease holds for some days; two of a pool never have the same.
            Habit::Leased | Habit::Rotating => self.place % 350 + 350 * (day / 9 % 2),
        };
        // The places of the plant are counted behind those of the head office.
        let within =
            if self.site == 0 { place + 10 } else { place % 350 % 240 + 250 * (day / 9 % 2) + 1 };
        let within = match (self.site, self.model.habit) {
            (1, Habit::Fixed) => place % 240 + 1,
            _ => within,
        };
        Ipv4Addr::from(base + u32::try_from(within).unwrap_or_default())
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
            0..40 if self.model.system.is_none() => Flaw::SelfSigned,
            40..47 => Flaw::WeakKey,
            _ => Flaw::None,
        };
        let (lifetime, renewals) = match (flaw, chance % 10) {
            (Flaw::SelfSigned, _) => (3_650, 0),
            (_, 0..3) => (90, 0),
            (_, 3..7) => (90, (look.day + begun) / 60),
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
        let resolver =
            if self.draw(10).is_multiple_of(25) { [198, 18, 3, 253] } else { [198, 18, 0, 53] };
        heard.push(hears(2, Fact::Use(Use::Resolver(Ipv4Addr::from(resolver).into()))));
        if self.model.habit == Habit::Rotating {
            let name =
                format!("{}s-phone", ["hanako", "ken", "yuki", "anna"][self.number as usize % 4]);
            let name = format!("{name}-{}", self.number);
            heard.push(hears(3, Fact::HostName { name, source: NameSource::Dhcp }));
        }
        if self.model.name == "hmi" {
            let server = Ipv4Addr::from([198, 19, 0, 1]).into();
            heard.push(hears(
                4,
                Fact::Use(Use::Cleartext { protocol: "telnet".to_owned(), server }),
            ));
        }
        heard
    }
}
