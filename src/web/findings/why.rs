//! What a finding was concluded from, down to what was observed: of its asset, of the product, the
//! endpoint or the certificate that it is about, and of the entry of the register. Nothing is
//! concluded here.

use inventory::{
    asset::AssetId,
    query::Kind,
    register::{DeviceEntry, Entry as _, RegisterKind, columns},
    store::{CertificateDossier, Portrait, StoreError, StoredFinding, StoredObservation},
    subject::{Subject as About, is_product},
};
use model::{Endpoint, Fact, Subject, Use};

use super::Texts;
use crate::{
    clock,
    report::hex,
    web::{
        Scarce, Shared, certificates,
        entries::heading,
        language::Language,
        lists::{address, called},
        page::{encoded, moment, shown, spoken},
        registers,
        trouble::Trouble,
    },
};

/// Observations that are looked through for those that matter, and rows of a table.
const LOOK: u32 = 500;
const SHOWN: usize = 20;

/// A cell of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) link: Option<String>,
    /// For `<time>`.
    pub(super) moment: Option<String>,
}

impl Cell {
    fn text(text: impl AsRef<str>) -> Self {
        Self { text: shown(text.as_ref()), ..Self::default() }
    }

    fn link(text: impl AsRef<str>, link: String) -> Self {
        Self { link: Some(link), ..Self::text(text) }
    }

    fn at(at: model::Timestamp) -> Self {
        Self { text: spoken(at), moment: Some(moment(at)), link: None }
    }
}

pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) headings: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// Where there is more: an address and what it is called.
    pub(super) more: Option<(String, &'static str)>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Why {
    /// What it is about: a name and what it leads to.
    pub(super) subject: Vec<(&'static str, Cell)>,
    pub(super) tables: Vec<Table>,
    /// What can be decided: an address and what it is called.
    pub(super) acts: Vec<(String, &'static str)>,
}

pub(super) async fn of(
    shared: &Shared,
    stored: &StoredFinding,
    language: Language,
    may_decide: bool,
) -> Result<Why, Trouble> {
    let texts = Texts::of(language);
    let finding = &stored.finding;
    let about = finding.key.about();
    let mut why = Why::default();
    let certificate = match about {
        About::Certificate(sha256) => dossier(shared, sha256).await?,
        _ => None,
    };
    let served_by = certificate.as_ref().and_then(|found| {
        let place = found.certificate.endpoints.iter().find(|(_, place)| place.current);
        place.map(|(asset, _)| *asset)
    });
    let asset = finding.asset.or(match about {
        About::Asset(id) | About::Software(id, _) | About::Cleartext(id, _) => Some(id),
        _ => served_by,
    });
    let portrait = match asset {
        Some(id) => portrait(shared, id).await?,
        None => None,
    };
    why.subject(&about, portrait.as_ref(), certificate.as_ref(), texts, language);
    if let Some(known) = &portrait
        && let Some(entry) = shared.store.listed_asset(known.asset.id).await?
    {
        let registration = language.value(Kind::Assets, "registration", &entry.registration);
        let text = format!("{registration}: {}", language.said(&entry.reason));
        why.subject.push((texts.registration, Cell::text(text)));
    }
    if let About::Entry(reference) = about {
        why.entry(shared, reference, language).await?;
    }
    if let Some(known) = &portrait {
        why.tables.extend(of_asset(&about, known, texts, language));
    }
    if let Some(found) = &certificate {
        why.tables.extend(of_certificate(found, texts, language));
    }
    if let Some(known) = &portrait {
        why.tables.extend(observed(&finding.key.rule, &about, known, texts, language));
    }
    if may_decide {
        let back = encoded(&super::path(stored.id));
        let known = (portrait.as_ref(), certificate.as_ref());
        why.acts.extend(act(&finding.key.rule, &about, known, &back, texts));
    }
    Ok(why)
}

/// `None` for one that is no more: a finding outlives what it is about.
async fn portrait(shared: &Shared, id: AssetId) -> Result<Option<Portrait>, Trouble> {
    match shared.store.portrait(id, LOOK).await {
        Ok(portrait) => Ok(Some(portrait)),
        Err(StoreError::NoAsset(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn dossier(shared: &Shared, sha256: &str) -> Result<Option<CertificateDossier>, Trouble> {
    match shared.store.certificate(sha256, LOOK, clock::now()).await {
        Ok(dossier) => Ok(Some(dossier)),
        Err(StoreError::NoCertificate(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Why {
    /// What it is about, with where that can be looked at.
    fn subject(
        &mut self,
        about: &About<'_>,
        portrait: Option<&Portrait>,
        certificate: Option<&CertificateDossier>,
        texts: &'static Texts,
        language: Language,
    ) {
        let own = match about {
            About::Asset(_) => None,
            About::Software(_, product) => Some((texts.product, {
                let product = product_name(product, portrait);
                match product.contains('"') {
                    true => Cell::text(product),
                    false => {
                        let list = address("/software", &format!("product=\"{product}\""));
                        Cell::link(product, list)
                    }
                }
            })),
            About::Cleartext(_, protocol) => Some((texts.protocol, Cell::text(protocol))),
            About::Entry(reference) => Some((
                texts.entry,
                Cell::link(reference, registers::path(RegisterKind::Device, reference)),
            )),
            About::Certificate(sha256) => {
                let name = certificate.map_or(*sha256, |found| {
                    let one = &found.certificate;
                    one.names.first().unwrap_or(&one.subject).as_str()
                });
                let name = if name.is_empty() { sha256 } else { name };
                let path = certificates::path_of_subject(&format!("certificate:{sha256}"));
                Some((texts.certificate, Cell { link: path, ..Cell::text(name) }))
            }
            About::Endpoint(site, endpoint) => {
                let list = portrait.map(|known| services(known.asset.id, endpoint));
                let text = format!("{endpoint} ({site})");
                Some((texts.endpoint, Cell { link: list, ..Cell::text(text) }))
            }
            About::File(file) => Some((texts.file, Cell::text(file))),
            About::RevocationList(list) => Some((texts.list, Cell::text(list))),
            About::Other(text) => Some((texts.subject, Cell::text(text))),
        };
        self.subject.extend(own);
        if let Some(known) = portrait {
            let name = called(&known.asset, language);
            let link = format!("/assets/{}", known.asset.id);
            self.subject.push((texts.asset, Cell::link(name, link)));
        }
        if let Some(found) = certificate {
            let issuer = &found.certificate.issuer;
            // A quotation mark cannot be asked for.
            let list = (!issuer.is_empty() && !issuer.contains('"'))
                .then(|| address("/certificates", &format!("issuer=\"{issuer}\"")));
            self.subject.push((texts.issuer, Cell { link: list, ..Cell::text(issuer) }));
        }
    }

    /// What the register says of a device.
    async fn entry(
        &mut self,
        shared: &Shared,
        reference: &str,
        language: Language,
    ) -> Result<(), Trouble> {
        let texts = Texts::of(language);
        // The whole register is in memory for it.
        let _place = shared.place(Scarce::Searches).await?;
        let register = shared.store.register::<DeviceEntry>().await?;
        let entries = register.map(|register| register.entries).unwrap_or_default();
        let Some(entry) = entries.iter().find(|entry| entry.reference == reference) else {
            return Ok(());
        };
        let headings = columns(DeviceEntry::KIND).iter().map(|one| heading(one, language));
        let known = headings.zip(entry.cells()).map(|(heading, (_, text))| (heading, text));
        let other = entry.extra().iter().map(|(heading, text)| (heading.as_str(), text.clone()));
        let rows = known
            .chain(other)
            .filter(|(_, text)| !text.is_empty())
            .map(|(heading, text)| vec![Cell::text(heading), Cell::text(text.replace('\n', ", "))]);
        self.tables.push(Table {
            title: texts.cells,
            headings: vec![texts.heading, texts.value],
            rows: rows.collect(),
            more: None,
        });
        Ok(())
    }
}

fn services(asset: AssetId, endpoint: &Endpoint) -> String {
    let query = format!(
        "asset:{asset} and address={} and port:{}/{}",
        endpoint.address, endpoint.port, endpoint.transport
    );
    address("/services", &query)
}

/// A product as it tells its name, which a subject has folded.
fn product_name(folded: &str, portrait: Option<&Portrait>) -> String {
    let known = portrait.into_iter().flat_map(|known| {
        let services = known.asset.services.iter().filter_map(|one| one.product.as_ref());
        known.asset.software.iter().map(|one| &one.product).chain(services)
    });
    let mut known = known.filter(|product| is_product(folded, product));
    known.next().map_or_else(|| folded.to_owned(), Clone::clone)
}

/// What is known of the asset that led to it.
fn of_asset(
    about: &About<'_>,
    known: &Portrait,
    texts: &'static Texts,
    language: Language,
) -> Vec<Table> {
    let asset = &known.asset;
    match about {
        About::Software(_, product) => {
            let is_it =
                |name: &Option<String>| name.as_ref().is_some_and(|name| is_product(product, name));
            let software = asset.software.iter().filter(|one| is_product(product, &one.product));
            let software = software.map(|one| {
                vec![
                    Cell::text(&one.product),
                    Cell::text(one.version.as_deref().unwrap_or_default()),
                    Cell::text(&one.source),
                    Cell::at(one.last_seen),
                ]
            });
            let served = asset.services.iter().filter(|one| is_it(&one.product)).map(|one| {
                let (address, transport, port) = (one.address, one.transport, one.port);
                let endpoint = Endpoint { address, transport, port };
                vec![
                    Cell::text(one.product.as_deref().unwrap_or_default()),
                    Cell::text(one.version.as_deref().unwrap_or_default()),
                    Cell::link(endpoint.to_string(), services(asset.id, &endpoint)),
                    Cell::at(one.last_seen),
                ]
            });
            let rows: Vec<_> = software.chain(served).take(SHOWN).collect();
            let headings = vec![texts.product, texts.version, texts.told_by, texts.last_seen];
            vec![Table { title: texts.software, headings, rows, more: None }]
        }
        About::Endpoint(_, endpoint) => {
            let own = asset.services.iter().filter(|one| {
                (one.address, one.transport, one.port)
                    == (endpoint.address, endpoint.transport, endpoint.port)
            });
            let rows = own.map(|one| {
                vec![
                    Cell::link(endpoint.to_string(), services(asset.id, endpoint)),
                    Cell::text(language.port_state(one.state)),
                    Cell::text(one.protocol.as_deref().unwrap_or_default()),
                    Cell::text(one.product.as_deref().unwrap_or_default()),
                    Cell::text(one.version.as_deref().unwrap_or_default()),
                    Cell::at(one.last_seen),
                ]
            });
            vec![Table {
                title: texts.service,
                headings: vec![
                    texts.endpoint,
                    texts.state,
                    texts.protocol,
                    texts.product,
                    texts.version,
                    texts.last_seen,
                ],
                rows: rows.collect(),
                more: None,
            }]
        }
        About::Asset(_) | About::Entry(_) => {
            let current = asset.identifiers.iter().filter(|one| one.current);
            let rows = current.take(SHOWN).map(|one| {
                vec![
                    Cell::text(language.name(one.identifier.kind())),
                    Cell::text(one.identifier.value()),
                    Cell::text(language.strength(one.strength)),
                    Cell::text(language.said(&one.because)),
                    Cell::at(one.last_seen),
                ]
            });
            vec![Table {
                title: texts.identifiers,
                headings: vec![
                    texts.kind,
                    texts.value,
                    texts.strength,
                    texts.reason,
                    texts.last_seen,
                ],
                rows: rows.collect(),
                more: Some((format!("/assets/{}/events", asset.id), texts.all_events)),
            }]
        }
        _ => Vec::new(),
    }
}

/// Where a certificate is served, and what was said of its chains.
fn of_certificate(
    found: &CertificateDossier,
    texts: &'static Texts,
    language: Language,
) -> Vec<Table> {
    let places = found.certificate.endpoints.iter().take(SHOWN).map(|(asset, place)| {
        let (address, transport, port) = (place.address, place.transport, place.port);
        vec![
            Cell::link(asset.0.to_string(), format!("/assets/{}", asset.0)),
            Cell::text(Endpoint { address, transport, port }.to_string()),
            Cell::at(place.first_seen),
            Cell::at(place.last_seen),
        ]
    });
    let more = (certificates::path(&found.certificate.sha256), texts.certificate);
    let mut tables = vec![Table {
        title: texts.places,
        headings: vec![texts.asset, texts.place, texts.first_seen, texts.last_seen],
        rows: places.collect(),
        more: Some(more),
    }];
    let reasons = found.chains.iter().filter_map(|(_, judged)| judged.as_ref());
    let reasons = reasons.flat_map(|judged| &judged.reasons).take(SHOWN);
    let said = reasons.map(|reason| language.said(&reason.to_string()));
    let rows: Vec<_> = said.map(|reason| vec![Cell::text(reason)]).collect();
    if !rows.is_empty() {
        let (title, headings) = (texts.clients, vec![texts.reason]);
        tables.push(Table { title, headings, rows, more: None });
    }
    tables
}

/// Whether an observation is one from which such a thing is concluded.
fn matters(rule: &str, about: &About<'_>, seen: &StoredObservation) -> bool {
    let (subject, fact) = (&seen.observation.subject, &seen.observation.fact);
    let hash = |der: &[u8]| hex(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
    match about {
        About::Endpoint(_, endpoint) => *subject == Subject::Endpoint(*endpoint),
        About::Software(_, product) => match fact {
            Fact::Service(service) => {
                service.product.as_ref().is_some_and(|name| is_product(product, name))
            }
            Fact::OperatingSystem { name, .. } => is_product(product, name),
            _ => false,
        },
        About::Cleartext(_, protocol) => matches!(
            fact,
            Fact::Use(Use::Cleartext { protocol: own, .. }) if own == protocol
        ),
        About::Certificate(sha256) => match fact {
            Fact::Certificates(chain) => chain.chain.iter().any(|der| hash(der) == *sha256),
            Fact::OcspResponse { certificate } => certificate == sha256,
            _ => false,
        },
        About::Asset(_) if !rule.starts_with("device.") => {
            matches!(fact, Fact::Role(_) | Fact::Use(_))
        }
        _ => matches!(
            fact,
            Fact::LinkAddress(_)
                | Fact::HostName { .. }
                | Fact::HostKey(_)
                | Fact::HostCertificate(_)
                | Fact::MachineId { .. }
        ),
    }
}

/// What was observed: what it was concluded from, or where that is too long ago to be among the
/// latest, the latest.
fn observed(
    rule: &str,
    about: &About<'_>,
    known: &Portrait,
    texts: &'static Texts,
    language: Language,
) -> Option<Table> {
    let all = &known.observations.rows;
    let own: Vec<_> = all.iter().filter(|seen| matters(rule, about, seen)).take(SHOWN).collect();
    let shown = if own.is_empty() { all.iter().take(SHOWN).collect() } else { own };
    let row = |stored: &&StoredObservation| {
        let seen = &stored.observation;
        let scan = stored.last_scan.0;
        vec![
            Cell::text(language.method(seen.method)),
            Cell::text(seen.subject.to_string()),
            Cell::text(language.said(&crate::cli::assets::told(&seen.fact))),
            Cell::text(stored.times.to_string()),
            Cell::at(seen.observed_at),
            Cell::link(scan.to_string(), format!("/scans/{scan}")),
        ]
    };
    let rows: Vec<_> = shown.iter().map(row).collect();
    let more = (format!("/assets/{}/observations", known.asset.id), texts.all_observations);
    (!rows.is_empty()).then(|| Table {
        title: texts.observations,
        headings: vec![
            texts.how,
            texts.subject,
            texts.fact,
            texts.times,
            texts.last_seen,
            texts.scan,
        ],
        rows,
        more: Some(more),
    })
}

/// Where it can be decided of what it is about, with the form filled in.
fn act(
    rule: &str,
    about: &About<'_>,
    (portrait, certificate): (Option<&Portrait>, Option<&CertificateDossier>),
    back: &str,
    texts: &'static Texts,
) -> Option<(String, &'static str)> {
    match about {
        About::Asset(_) if rule.starts_with("device.") => {
            let id = portrait?.asset.id;
            Some((format!("/decide?asset={id}&back={back}"), texts.decide_asset))
        }
        About::Software(_, product) => {
            let product = encoded(&product_name(product, portrait));
            let address = format!("/decide?kind=software&product={product}&back={back}");
            Some((address, texts.decide_product))
        }
        About::Certificate(_) if rule == "cert.unapproved-issuer" => {
            let found = certificate?;
            let issuer = encoded(&found.certificate.issuer);
            let hash = issued_by(found).unwrap_or_default();
            let address =
                format!("/decide?kind=issuer&issuer={issuer}&certificate={hash}&back={back}");
            Some((address, texts.decide_issuer))
        }
        _ => None,
    }
}

/// The certificate of the issuer, by its hash, where it was served as well.
fn issued_by(found: &CertificateDossier) -> Option<String> {
    let own = &found.certificate;
    if own.self_signed {
        return Some(own.sha256.clone());
    }
    let above = found.chains.iter().flat_map(|(chain, _)| &chain.above);
    let mut above = above.filter(|sha256| found.names.get(*sha256) == Some(&own.issuer));
    above.next().cloned()
}
