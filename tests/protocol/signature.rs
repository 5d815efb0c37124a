//! The signed bytes and the encoding of signatures, compared with test vectors of other implementations (Ed25519 of
//! libsodium and OpenSSL, base32 and base64 of Python), so that the wire format cannot change unnoticed.

use homelab_deploy::nats::Nkey;
use homelab_deploy::protocol::{
    KEY_HEADER, Name, PublicKey, Purpose, SIGNATURE_HEADER, decode_signature, encode_signature, signed_bytes,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The key from the bytes 0 to 31.
const SEED: &str = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
const PUBLIC: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";

/// A message with its signature.
struct Vector {
    purpose: Purpose,
    fleet: Option<&'static str>,
    subject: &'static str,
    payload: &'static [u8],
    signed: &'static [u8],
    signature: &'static str,
}

const VECTORS: [Vector; 8] = [
    Vector {
        purpose: Purpose::Request,
        fleet: None,
        subject: "deploy.test.web1",
        payload: br#"{"action":"switch","revision":"master","reply_to":"deploy.responses.v-1","issued_at":"2026-01-02T03:04:05Z","expires_at":"2026-01-02T03:05:05Z"}"#,
        signed: b"homelab-deploy-v2\xff\nrequest\n\ndeploy.test.web1\n{\"action\":\"switch\",\"revision\":\"master\",\"reply_to\":\"deploy.responses.v-1\",\"issued_at\":\"2026-01-02T03:04:05Z\",\"expires_at\":\"2026-01-02T03:05:05Z\"}",
        signature: "q_QyHSNGAxJ90-87MRI7xJcHzvpCyln-KKlhdImO5qoRkTjfvcJYvviqixiaKiEL03__ttJV7bA5KyEtVftxDg",
    },
    Vector {
        purpose: Purpose::Request,
        fleet: Some("home"),
        subject: "deploy.prod.role.dns",
        payload: b"\x00\xff\n\n",
        signed: b"homelab-deploy-v2\xff\nrequest\nhome\ndeploy.prod.role.dns\n\x00\xff\n\n",
        signature: "ORY4yDBb7SJQ_tp91wP5XxZ-llrPtWAyMJpFkBqx0akxVluYIVD7twj-Yc1Qz-TrPnES3BSf7c4M2_y-e2AtDQ",
    },
    Vector {
        purpose: Purpose::Report,
        fleet: Some("home"),
        subject: "deploy.responses.v-1.web1",
        payload: b"{}",
        signed: b"homelab-deploy-v2\xff\nreport\nhome\ndeploy.responses.v-1.web1\n{}",
        signature: "re_JDB_AwgLsIJc-pmJiXnsmz4vMG8d0tOPHqero62Nsc9ynQzXQ-g0hXoMzxoCDGl5pEDS07zurD13i-RG_Ag",
    },
    Vector {
        purpose: Purpose::Reply,
        fleet: None,
        subject: "deploy.responses.ask.q.web1",
        payload: b"",
        signed: b"homelab-deploy-v2\xff\nreply\n\ndeploy.responses.ask.q.web1\n",
        signature: "WxNmF_20tMbGVSVPwBxVMyORZnvutGCWVgDUY6LPM2T5O4mPtukjQ8TYqLg6UfXNkt1GZdkyfLBVGF0QTxbTCA",
    },
    Vector {
        purpose: Purpose::Presence,
        fleet: None,
        subject: "deploy.responses.presence",
        payload: b"{}",
        signed: b"homelab-deploy-v2\xff\npresence\n\ndeploy.responses.presence\n{}",
        signature: "dBoytZS16AprrXkhSCgLSwYClLwG5zOghGq20MLwAUe8DF8ZeWS6uJFjXxnCEpJgXyZIjSMDFOqAb4vPSZWmBA",
    },
    Vector {
        purpose: Purpose::Log,
        fleet: None,
        subject: "deploy.responses.v-1.log.web1",
        payload: b"{}",
        signed: b"homelab-deploy-v2\xff\nlog\n\ndeploy.responses.v-1.log.web1\n{}",
        signature: "fOabkuFHnKTHS5nSeJcPtgGPpzfn0S4eOeSsmHApHVPSYdlUBI7nAvXTgvfbFiEq4cxcVai2RVbN4jB3OqXBAw",
    },
    Vector {
        purpose: Purpose::Query,
        fleet: None,
        subject: "deploy.discover",
        payload: b"{}",
        signed: b"homelab-deploy-v2\xff\nquery\n\ndeploy.discover\n{}",
        signature: "MbQ5ZpaQG1i6R7nmh6Enu8oLc7kpdt7RalR_a-aqRgrH5y1Z7R8J9YxvDxV5XQLT-xxT2m1_wXEEybZxAhjCDw",
    },
    Vector {
        purpose: Purpose::Build,
        fleet: Some("home"),
        subject: "build.all",
        payload: b"{}",
        signed: b"homelab-deploy-v2\xff\nbuild\nhome\nbuild.all\n{}",
        signature: "IaYcU4F1Hk4DbQDYjQPJlFHgaMFasuq1U8Aks7gn2OjbGysodErrml_ac7EgcqzartVO297S49gS89guo4KRDw",
    },
];

fn seed() -> Nkey {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("seed");
    fs::write(&file, SEED).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Nkey::read_private(&file).unwrap()
}

#[test]
fn a_message_is_signed_like_other_implementations_sign_it() {
    assert_eq!((KEY_HEADER, SIGNATURE_HEADER), ("Homelab-Deploy-Key", "Homelab-Deploy-Signature"));
    let seed = seed();
    assert_eq!(seed.public_key(), PUBLIC);
    for vector in VECTORS {
        let fleet = vector.fleet.map(|name| Name::new(name).unwrap());
        let signed = signed_bytes(vector.purpose, fleet.as_ref(), vector.subject, vector.payload);
        assert_eq!(signed, vector.signed);
        assert_eq!(seed.sign(&signed).unwrap(), vector.signature);
        if ![Purpose::Request, Purpose::Query, Purpose::Build].contains(&vector.purpose) {
            assert_eq!(Purpose::of_response(vector.subject), vector.purpose);
        }
    }
}

#[test]
fn signatures_of_other_implementations_verify_and_nothing_else_does() {
    let key = PublicKey::parse(PUBLIC).unwrap();
    for (n, vector) in VECTORS.iter().enumerate() {
        let (signed, text) = (vector.signed, vector.signature);
        let signature = decode_signature(text).unwrap();
        assert!(key.has_signed(signed, &signature), "{text}");
        let other = &VECTORS[(n + 1) % VECTORS.len()];
        assert!(!key.has_signed(other.signed, &signature));
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(!key.has_signed(signed, &changed), "byte {at}");
        }
        for wrong in [&signature[..63], &[], &[&signature[..], &[0]].concat()] {
            assert!(!key.has_signed(signed, wrong), "{} bytes", wrong.len());
        }
    }
}

#[test]
fn a_signature_has_exactly_one_encoding() {
    let text = VECTORS[0].signature;
    assert_eq!(encode_signature(&decode_signature(text).unwrap()), text);
    // The last character has unused bits.
    let other_end = format!("{}B", &text[..text.len() - 1]);
    let plain = text.replace('_', "/").replace('-', "+");
    for wrong in [&format!("{text}=="), &plain, &other_end, &format!("{text} "), "ä", "\u{0}", "A"] {
        assert_eq!(decode_signature(wrong), None, "{wrong}");
    }
    assert_eq!(decode_signature(""), Some(Vec::new()));
}
