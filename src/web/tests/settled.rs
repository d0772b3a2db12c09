//! What is told of one asset and of one certificate by what the last review left is what comparing
//! the whole inventory says.

use axum::{
    body::Body,
    http::{Request, header},
};
use inventory::{
    asset::AssetId,
    file::FoundFile,
    user::{Scope, token_hash},
};
use model::{CertificateChain, Endpoint, Fact, Method, Observation, Subject, TlsVersion, Vantage};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

use super::Site;
use crate::{
    cli::{assets, certs as certificates},
    clock,
};

/// Somebody's authority, and what it signed, as DER: its root, what stands between, and leaves
/// that are good, over, and of nobody.
struct Authority {
    root: Vec<u8>,
    between: Vec<u8>,
    leaves: Vec<Vec<u8>>,
}

fn params(name: &str, days: (i64, i64)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = clock::now().0.div_euclid(1_000_000);
    let moment = |days: i64| time::OffsetDateTime::from_unix_timestamp(now + days * 86_400);
    params.not_before = moment(-days.0).unwrap();
    params.not_after = moment(days.1).unwrap();
    params
}

impl Authority {
    fn new() -> Self {
        let key = || KeyPair::generate().unwrap();
        let authority = |name: &str| {
            let mut params = params(name, (400, 4_000));
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root_key = key();
        let root = authority("root").self_signed(&root_key).unwrap().der().to_vec();
        let root_issuer = Issuer::new(authority("root"), root_key);
        let between_key = key();
        let between = authority("between").signed_by(&between_key, &root_issuer).unwrap();
        let issuer = Issuer::new(authority("between"), between_key);
        let signed = |name: &str, days: (i64, i64)| {
            params(name, days).signed_by(&key(), &issuer).unwrap().der().to_vec()
        };
        let alone = params("alone", (30, 30)).self_signed(&key()).unwrap().der().to_vec();
        let leaves = vec![signed("good", (30, 60)), signed("over", (60, 3)), alone];
        Self { root, between: between.der().to_vec(), leaves }
    }

    /// Each served by a device of its own, some with what stands above them.
    fn served(&self) -> Vec<Observation> {
        let vantage = Vantage { site: model::Site("default".into()), name: "test".into() };
        let chains = [
            (1, vec![&self.leaves[0], &self.between]),
            (2, vec![&self.leaves[1]]),
            (3, vec![&self.leaves[2]]),
            (2, vec![&self.leaves[0]]),
        ];
        let one = |(at, (device, chain)): (u16, (u8, Vec<&Vec<u8>>))| Observation {
            observed_at: clock::now(),
            vantage: vantage.clone(),
            method: Method::Tls,
            subject: Subject::Endpoint(Endpoint::tcp([192, 0, 2, device].into(), 443 + at)),
            fact: Fact::Certificates(CertificateChain {
                chain: chain.into_iter().cloned().collect(),
                server_name: None,
                protocol_version: TlsVersion(0x0304),
                starttls: None,
            }),
            evidence: Vec::new(),
        };
        (0..).zip(chains).map(one).collect()
    }
}

#[tokio::test]
async fn what_is_told_of_one_is_what_comparing_all_says() {
    let site = Site::new().await;
    let (settings, store) = (&site.shared.settings, &site.shared.store);
    let end = Some(clock::now().plus_seconds(3_600));
    let hash = token_hash("key");
    store.add_api_token("key", &hash, &[Scope::Manage], end, clock::now()).await.unwrap();
    let import = async |kind: &str, file: String| {
        let request = Request::post(format!("/api/v1/registers/{kind}"))
            .header(header::AUTHORIZATION, "Bearer key");
        let answer = site.send(request.body(Body::from(file)).unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    let authority = Authority::new();
    let sha256 = |der: &[u8]| certs::parse(der).sha256;
    site.sweep(4).await;
    import("issuer", format!("Issuer,SHA-256\nroot,{}\n", sha256(&authority.root))).await;
    let devices = "Reference,MAC,Owner,Department\nPC-1,00:00:5e:00:53:01,Sato,Sales\n\
                   PC-2,00:00:5e:00:53:02,,IT\nPC-9,00:00:5e:00:53:09,Abe,\n";
    import("device", devices.to_owned()).await;
    let held = |der: &Vec<u8>| certs::store::Held { der: der.clone(), entry: None };
    let file = |path: &str, ders: &[&Vec<u8>]| FoundFile {
        path: path.to_owned(),
        format: certs::store::Format::Pem,
        private_key: certs::store::PrivateKey::None,
        mode: 0o644,
        certificates: ders.iter().map(|der| held(der)).collect(),
    };
    let files = [
        file("/etc/all.pem", &[&authority.leaves[1], &authority.between, &authority.root]),
        file("/etc/other.pem", &[&authority.leaves[0], &authority.leaves[2]]),
    ];
    let vantage = Vantage { site: model::Site("default".into()), name: "test".into() };
    store.write_files(&vantage, &files, &[], clock::now()).await.unwrap();
    site.see(authority.served()).await;

    let mut told = 0;
    for id in 1..=4 {
        assert!(store.listed_asset(AssetId(id)).await.unwrap().is_some());
        let listed = assets::whole_json(settings, store, AssetId(id), 1_000).await.unwrap();
        let compared = assets::compared_json(settings, store, AssetId(id), 1_000).await.unwrap();
        assert_eq!(listed, compared);
        let owned = |one: &&Value| one["owners"].as_array().is_some_and(|all| !all.is_empty());
        told += listed["findings"].as_array().unwrap().iter().filter(owned).count();
    }
    assert!(told > 2, "{told} findings had an owner");
    let all = [&authority.root, &authority.between].into_iter().chain(&authority.leaves);
    let mut seen = Vec::new();
    for der in all {
        let name = sha256(der);
        let dossier = store.certificate(&name, 1_000, clock::now()).await.unwrap();
        assert!(dossier.settled().is_some(), "{dossier:?}");
        let listed = certificates::told(settings, store, &name, 1_000).await.unwrap();
        let compared = certificates::compared_json(settings, store, &name, 1_000).await.unwrap();
        assert_eq!(listed, compared);
        let chains = listed["chains"].as_array().unwrap().len();
        seen.push(format!("{} {} {chains}", listed["trust"], listed["root"]));
    }
    assert_eq!(
        seen,
        [
            "\"private\" \"private\" 0",
            "\"private\" \"private\" 0",
            // Somewhere it is served without what stands between.
            "\"untrusted\" \"private\" 2",
            "\"untrusted\" \"private\" 2",
            "\"untrusted\" null 1",
        ]
    );
}
