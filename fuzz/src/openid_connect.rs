//! What a provider of OpenID Connect says, and what a browser brings back from it.

use std::hint::black_box;

use openid::{Expected, Flow, Keys, Seal, ask, id_token, provider};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "openid/token", run: run_token, seeds: seeds_token },
    Target { name: "openid/keys", run: run_keys, seeds: seeds_keys },
    Target { name: "openid/provider", run: run_provider, seeds: seeds_provider },
    Target { name: "openid/flow", run: run_flow, seeds: seeds_flow },
    Target { name: "openid/answer", run: run_answer, seeds: seeds_answer },
];

const ISSUER: &str = "https://login.office.example";

/// The key and the token of RFC 7515, A.3, which was signed by it.
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "use": "sig",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    {"kty": "OKP", "crv": "Ed25519", "kid": "2", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "RSA", "alg": "RS256", "e": "AQAB", "n": "AMVQ"}]}"#;
const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l\
                     eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmX\
                     FCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn run_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(keys) = Keys::read(KEYS.as_bytes()) else { return };
    let expected = Expected { issuer: "joe", client: "daicho", nonce: "n", now: 1_300_819_370 };
    if let Ok(claims) = id_token(&text, &keys, &expected) {
        black_box((claims.texts("groups"), claims.texts("a.b"), claims.is_elsewhere("groups")));
    }
}

fn seeds_token() -> Vec<Vec<u8>> {
    vec![TOKEN.into(), b"e30.e30.e30".to_vec()]
}

fn run_keys(bytes: &[u8]) {
    if let Ok(keys) = Keys::read(bytes) {
        let expected = Expected { issuer: "joe", client: "daicho", nonce: "n", now: 0 };
        let _ = black_box(id_token(TOKEN, &keys, &expected));
    }
}

fn seeds_keys() -> Vec<Vec<u8>> {
    vec![KEYS.into()]
}

fn run_provider(bytes: &[u8]) {
    if let Ok(provider) = provider(bytes, ISSUER) {
        let client = ask::Client { id: "daicho", redirect: "https://daicho.office.example" };
        let flow = Flow::begin([7; 32], "/", 0);
        black_box(ask::authorization(&provider, client, &["openid".to_owned()], &flow));
        black_box(ask::token(&provider, client, Some("hush"), "code", &flow));
        black_box(ask::end_session(&provider, "daicho", "https://daicho.office.example"));
    }
}

fn seeds_provider() -> Vec<Vec<u8>> {
    vec![
        br#"{"issuer": "https://login.office.example",
            "authorization_endpoint": "https://login.office.example/auth?x=1",
            "token_endpoint": "https://[2001:db8::7]:8443/token",
            "jwks_uri": "http://127.0.0.1/keys", "end_session_endpoint": "https://a.example/end",
            "token_endpoint_auth_methods_supported": ["client_secret_post"]}"#
            .to_vec(),
    ]
}

fn run_flow(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = black_box(Flow::open(&text, "state", &Seal::new(&[1; 32]), 0));
}

fn seeds_flow() -> Vec<Vec<u8>> {
    vec![Flow::begin([7; 32], "/scans", 0).sealed(&Seal::new(&[1; 32])).into()]
}

fn run_answer(bytes: &[u8]) {
    let _ = black_box(ask::id_token(200, bytes));
}

fn seeds_answer() -> Vec<Vec<u8>> {
    vec![
        br#"{"access_token": "a", "token_type": "Bearer", "id_token": "a.b.c"}"#.to_vec(),
        br#"{"error": "invalid_grant", "error_description": "no"}"#.to_vec(),
    ]
}
