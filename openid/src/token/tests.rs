use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::*;
use crate::base64::encode;

const NOW: i64 = 1_795_339_800;
const EXPECTED: Expected<'_> =
    Expected { issuer: "https://login.office.example", client: "daicho", nonce: "n-1", now: NOW };

/// A key with which a provider of our own signs.
struct Signer {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { pair, id }
    }

    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256",
               "x": encode(&point[1..33]), "y": encode(&point[33..])})
    }

    fn keys(&self) -> Keys {
        Keys::read(json!({"keys": [self.public()]}).to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims();
        change(&mut claims);
        self.sign(&json!({"alg": "ES256", "kid": self.id}), &claims)
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

fn claims() -> Value {
    json!({
        "iss": EXPECTED.issuer, "sub": "248289761001", "aud": "daicho", "nonce": "n-1",
        "iat": NOW - 5, "exp": NOW + 300, "preferred_username": "sato",
    })
}

#[test]
fn a_token_for_us_is_believed() {
    let signer = Signer::new("k1");
    let keys = signer.keys();
    let claims = id_token(&signer.token(|_| {}), &keys, &EXPECTED).unwrap();
    assert_eq!(claims.subject(), "248289761001");
    assert_eq!(claims.texts("preferred_username"), ["sato"]);
    for good in [
        json!({"aud": ["daicho"]}),
        json!({"aud": ["other", "daicho"], "azp": "daicho"}),
        json!({"azp": "daicho"}),
        // Clocks that differ by less than a minute, and a moment with a fraction.
        json!({"exp": NOW - 59}),
        json!({"iat": NOW + 59, "nbf": NOW + 59}),
        json!({"exp": 1_795_339_860.5}),
    ] {
        let token = signer.token(|claims| merge(claims, &good));
        assert!(id_token(&token, &keys, &EXPECTED).is_ok(), "{good}");
    }
}

fn merge(claims: &mut Value, change: &Value) {
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
}

#[test]
fn a_token_that_says_something_else_is_not_believed() {
    use TokenError::*;
    let signer = Signer::new("k1");
    let keys = signer.keys();
    for (change, expected) in [
        (json!({"iss": "https://evil.example"}), Issuer("https://evil.example".into())),
        (json!({"iss": "https://login.office.example/"}), Issuer(format!("{}/", EXPECTED.issuer))),
        (json!({"iss": null}), Issuer(String::new())),
        (json!({"aud": "other"}), Audience("other".into())),
        (json!({"aud": ["a", "b"]}), Audience("a, b".into())),
        (json!({"aud": null}), Audience(String::new())),
        (json!({"aud": {"daicho": true}}), Audience(String::new())),
        (json!({"aud": ["daicho", "other"]}), Party(String::new())),
        (json!({"aud": ["daicho", "other"], "azp": "other"}), Party("other".into())),
        (json!({"azp": "other"}), Party("other".into())),
        (json!({"azp": 7}), Party(String::new())),
        (json!({"exp": NOW - 60}), Expired(60)),
        (json!({"exp": null}), Malformed("no exp")),
        (json!({"exp": "1795339999"}), Malformed("no exp")),
        (json!({"exp": -1e300}), Expired(NOW + 1_000_000_000_000_000)),
        (json!({"iat": NOW - 601}), Age(601)),
        (json!({"iat": NOW + 61}), Age(-61)),
        (json!({"iat": null}), Malformed("no iat")),
        (json!({"nbf": NOW + 61}), Early(61)),
        (json!({"nonce": "n-2"}), Nonce),
        (json!({"nonce": null}), Nonce),
        (json!({"sub": null}), Subject),
        (json!({"sub": ""}), Subject),
        (json!({"sub": "x".repeat(256)}), Subject),
        (json!({"sub": "佐藤"}), Subject),
        (json!({"sub": 7}), Subject),
    ] {
        let token = signer.token(|claims| merge(claims, &change));
        assert_eq!(id_token(&token, &keys, &EXPECTED), Err(expected), "{change}");
    }
}

#[test]
fn what_the_provider_did_not_sign_is_not_believed() {
    let (signer, other) = (Signer::new("k1"), Signer::new("k1"));
    let keys = signer.keys();
    let check = |token: &str| id_token(token, &keys, &EXPECTED).unwrap_err();
    let named = TokenError::Signature { names_key: true };
    // By another key of that name, and with what was signed changed.
    assert_eq!(check(&other.token(|_| {})), named);
    let good = signer.token(|_| {});
    let parts: Vec<&str> = good.split('.').collect();
    let mut richer = claims();
    richer["groups"] = json!(["admins"]);
    let changed = format!("{}.{}.{}", parts[0], encode(richer.to_string().as_bytes()), parts[2]);
    assert_eq!(check(&changed), named);
    assert_eq!(check(&format!("{}.{}.", parts[0], parts[1])), named);
    // A signature of zeros, which some verifiers took.
    assert_eq!(check(&format!("{}.{}.{}", parts[0], parts[1], encode(&[0; 64]))), named);

    // By no key: `none` in every spelling, and without a signature.
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = unsigned(&json!({"alg": none}), &claims());
        for signature in ["", parts[2]] {
            let error = check(&format!("{unsigned}.{signature}"));
            assert_eq!(error, TokenError::Algorithm(none.into()));
        }
    }
    // By a secret that is no secret: the public key, in the forms in which it could be taken for
    // one.
    let public = signer.public();
    let point = signer.pair.public_key().as_ref().to_vec();
    for secret in [point.clone(), point[1..].to_vec(), public.to_string().into_bytes()] {
        for (name, how) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
            let unsigned = unsigned(&json!({"alg": name, "kid": "k1"}), &claims());
            let key = hmac::Key::new(how, &secret);
            let signature = encode(hmac::sign(&key, unsigned.as_bytes()).as_ref());
            let error = check(&format!("{unsigned}.{signature}"));
            assert_eq!(error, TokenError::Algorithm(name.into()));
        }
    }
    // By a key that the token brings along.
    let header = json!({"alg": "ES256", "jwk": other.public(), "x5u": "https://evil.example/c"});
    assert_eq!(check(&other.sign(&header, &claims())), TokenError::Signature { names_key: false });
    // In the name of an algorithm that the key is not for.
    for alg in ["ES384", "RS256", "PS512", "EdDSA"] {
        let token = signer.sign(&json!({"alg": alg, "kid": "k1"}), &claims());
        assert_eq!(check(&token), named, "{alg}");
    }
    // With something that has to be understood, and of another kind.
    let critical = signer.sign(&json!({"alg": "ES256", "crit": ["b64"], "b64": false}), &claims());
    assert_eq!(check(&critical), TokenError::Critical);
    for kind in ["at+jwt", "logout+jwt"] {
        let token = signer.sign(&json!({"alg": "ES256", "typ": kind}), &claims());
        assert_eq!(check(&token), TokenError::Malformed("of another type"));
    }
}

#[test]
fn a_new_key_is_told_from_a_forged_token() {
    let (old, new) = (Signer::new("k1"), Signer::new("k2"));
    let error = id_token(&new.token(|_| {}), &old.keys(), &EXPECTED).unwrap_err();
    assert_eq!(error, TokenError::UnknownKey("k2".into()));
    assert!(error.may_be_a_new_key());
    assert!(!TokenError::Signature { names_key: true }.may_be_a_new_key());
    // Without a name, each of them may have signed.
    let both = json!({"keys": [old.public(), new.public()]}).to_string();
    let keys = Keys::read(both.as_bytes()).unwrap();
    let nameless = new.sign(&json!({"alg": "ES256", "typ": "JWT"}), &claims());
    assert!(id_token(&nameless, &keys, &EXPECTED).is_ok());
    let error = id_token(&nameless, &old.keys(), &EXPECTED).unwrap_err();
    assert!(error.may_be_a_new_key());
}

#[test]
fn what_is_no_token_says_so() {
    let keys = Signer::new("k1").keys();
    let long = format!("a.{}.c", "b".repeat(LONGEST));
    for text in ["", ".", "..", "...", "a.b", "a.b.c", "e30.e30.e30", "e30.e30.e30.e30.e30", &long]
    {
        let error = id_token(text, &keys, &EXPECTED).unwrap_err();
        assert!(matches!(error, TokenError::Malformed(_)), "{error}");
    }
}

/// Signatures that others made: RFC 7515 A.2 and A.3, RFC 8037 A.4.
#[test]
fn signatures_of_the_standards_are_known_and_no_others() {
    let message = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290\
                   Ijp0cnVlfQ";
    let cases = [
        (
            Algorithm::Rs256,
            format!("eyJhbGciOiJSUzI1NiJ9.{message}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W\
             2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS\
             jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv\
             Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
            json!({"kty": "RSA", "e": "AQAB", "n":
                "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEz\
                 P1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf6\
                 3kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw\
                 Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW\
                 yuXpoQ"}),
        ),
        (
            Algorithm::Es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{message}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                   "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
        ),
        (
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            json!({"kty": "OKP", "crv": "Ed25519",
                   "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        ),
    ];
    for (algorithm, message, signature, key) in cases {
        let keys = Keys::read(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        let signature = decode(signature).unwrap();
        let signed = |message: &str, signature: &[u8]| {
            keys.signed(algorithm, None, message.as_bytes(), signature)
        };
        assert!(signed(&message, &signature), "{algorithm:?}");
        assert!(!signed(&message[1..], &signature), "{algorithm:?}");
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut other = signature.clone();
            other[at] ^= 1;
            assert!(!signed(&message, &other), "{algorithm:?}");
        }
    }
}

#[test]
fn keys_that_are_none_are_left_out() {
    use crate::KeysError;
    let good = Signer::new("k1").public();
    let changed = |change: Value| {
        let mut key = good.clone();
        merge(&mut key, &change);
        key
    };
    let bad = [
        changed(json!({"use": "enc"})),
        changed(json!({"alg": "HS256"})),
        changed(json!({"crv": "secp256k1"})),
        changed(json!({"y": null})),
        changed(json!({"x": encode(&[1; 33])})),
        changed(json!({"key_ops": ["encrypt"]})),
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}),
        json!({"kty": "RSA", "e": "AQAB"}),
        json!("no key"),
    ];
    for key in &bad {
        let read = Keys::read(json!({"keys": [key]}).to_string().as_bytes());
        assert_eq!(read, Err(KeysError::None), "{key}");
    }
    let all: Vec<&Value> = bad.iter().chain([&good]).collect();
    let keys = Keys::read(json!({"keys": all}).to_string().as_bytes()).unwrap();
    assert_eq!(keys.count(), 1);
    // Some providers put a zero in front, or leave one away.
    let point = decode(good["x"].as_str().unwrap()).unwrap();
    let padded = changed(json!({"x": encode(&[&[0], &point[..]].concat())}));
    assert_eq!(Keys::read(json!({"keys": [padded]}).to_string().as_bytes()), Ok(keys));
    for none in ["", "[]", "{}", "{\"keys\": 7}"] {
        assert_eq!(Keys::read(none.as_bytes()), Err(KeysError::Malformed), "{none}");
    }
    let many = vec![&good; 1_000];
    let keys = Keys::read(json!({"keys": many}).to_string().as_bytes()).unwrap();
    assert_eq!(keys.count(), 64);
}
