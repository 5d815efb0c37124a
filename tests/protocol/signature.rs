//! What is signed and how that travels, against vectors that another implementation has made (Ed25519 of OpenSSL 3, base32 and
//! base64 of Python), so that the wire cannot change unseen.

use homelab_deploy::bus::Seed;
use homelab_deploy::keys::PublicKey;
use homelab_deploy::protocol::{
    KEY_HEADER, SIGNATURE_HEADER, decode_signature, encode_signature, signed_bytes,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The key of the bytes 0 to 31.
const SEED: &str = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
const PUBLIC: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";

/// Subject, payload, what is signed, and the signature.
const VECTORS: [(&str, &[u8], &[u8], &str); 3] = [
    (
        "deploy.test.web1",
        br#"{"action":"switch","revision":"master","reply_to":"deploy.responses.v-1","issued_at":"2026-01-02T03:04:05Z","expires_at":"2026-01-02T03:05:05Z"}"#,
        b"homelab-deploy-v1\ndeploy.test.web1\n{\"action\":\"switch\",\"revision\":\"master\",\"reply_to\":\"deploy.responses.v-1\",\"issued_at\":\"2026-01-02T03:04:05Z\",\"expires_at\":\"2026-01-02T03:05:05Z\"}",
        "I6zqbKpbcB_Bga12I8D5Eon6qT3QiNg5Oo-y61bXU4GjBWPYoMpmYmj_typ7r9CAUMdwLpvGK2MCZSyzOX-gDA",
    ),
    (
        "deploy.prod.role.dns",
        b"\x00\xff\n\n",
        b"homelab-deploy-v1\ndeploy.prod.role.dns\n\x00\xff\n\n",
        "6AUHFzzPtohEjmdXtqIoZFcx4tcU-R-0prckmtFVWJQGz1q_HNetFaImrSznpDnensmCt2phjCLKDYo53MGJAg",
    ),
    (
        "x",
        b"",
        b"homelab-deploy-v1\nx\n",
        "JOEVbQB_pj0MKmPJ4Cj_hm3fE5AoXyK0pilo9qGpbtVIBwtPeHtHwhmjbOjKynpREhrNH44GwVPeJtLnwe_zCQ",
    ),
];

fn seed() -> Seed {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("seed");
    fs::write(&file, SEED).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Seed::read_private(&file).unwrap()
}

#[test]
fn a_request_is_signed_as_others_do_it() {
    assert_eq!((KEY_HEADER, SIGNATURE_HEADER), ("Homelab-Deploy-Key", "Homelab-Deploy-Signature"));
    let seed = seed();
    assert_eq!(seed.public_key(), PUBLIC);
    for (subject, payload, signed, signature) in VECTORS {
        assert_eq!(signed_bytes(subject, payload), signed);
        assert_eq!(seed.sign(signed).unwrap(), signature);
    }
}

#[test]
fn what_others_have_signed_is_told_from_everything_else() {
    let key = PublicKey::parse(PUBLIC).unwrap();
    for (n, (_, _, signed, text)) in VECTORS.into_iter().enumerate() {
        let signature = decode_signature(text).unwrap();
        assert!(key.has_signed(signed, &signature), "{text}");
        let (_, _, other, _) = VECTORS[(n + 1) % VECTORS.len()];
        assert!(!key.has_signed(other, &signature));
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
fn a_signature_has_one_text_alone() {
    let (_, _, _, text) = VECTORS[0];
    assert_eq!(encode_signature(&decode_signature(text).unwrap()), text);
    // The last character carries bits that mean nothing.
    let other_end = format!("{}B", &text[..text.len() - 1]);
    let plain = text.replace('_', "/").replace('-', "+");
    for wrong in [&format!("{text}=="), &plain, &other_end, &format!("{text} "), "ä", "\u{0}", "A"] {
        assert_eq!(decode_signature(wrong), None, "{wrong}");
    }
    assert_eq!(decode_signature(""), Some(Vec::new()));
}
