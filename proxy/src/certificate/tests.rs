//! Pairs that are made here, by `rcgen`.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, date_time_ymd};

use super::*;
use crate::tls::provider;

/// The contents of two PEM files.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Made {
    /// Valid from 2020 to the year that is given.
    pub(crate) fn until(names: &[&str], year: i32) -> Self {
        Self::by(&PKCS_ECDSA_P256_SHA256, names, year)
    }

    pub(crate) fn new(names: &[&str]) -> Self {
        Self::until(names, 2100)
    }

    fn by(algorithm: &'static rcgen::SignatureAlgorithm, names: &[&str], year: i32) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate_for(algorithm).unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn judged(&self) -> Certificate {
        judge(&self.certificate, &self.key).unwrap()
    }

    /// Writes both into a folder, as `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let paths = (
            folder.join(format!("{name}.pem")),
            folder.join(format!("{name}.key")),
        );
        std::fs::write(&paths.0, &self.certificate).unwrap();
        std::fs::write(&paths.1, &self.key).unwrap();
        paths
    }
}

fn judge(certificate: &str, key: &str) -> Result<Certificate, Unusable> {
    Certificate::from_pem(certificate.as_bytes(), key.as_bytes(), None, &provider())
}

/// 2026-06-15.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_619 * DAY
}

#[test]
fn a_certificate_says_for_whom_it_is() {
    let certificate = Made::new(&["Chat.example.com", "*.example.org"]).judged();
    assert_eq!(certificate.names, ["chat.example.com", "*.example.org"]);
    assert_eq!(certificate.label(), "chat.example.com");
    assert_eq!(certificate.not_after_seconds(), 4_102_444_800);
}

#[test]
fn names_that_are_given_take_the_place_of_its_own() {
    let made = Made::new(&["a.example.com"]);
    let names = Some(vec!["b.example.com".to_owned()]);
    let certificate = Certificate::from_pem(
        made.certificate.as_bytes(),
        made.key.as_bytes(),
        names,
        &provider(),
    );
    assert_eq!(certificate.unwrap().names, ["b.example.com"]);
}

#[test]
fn what_is_no_pair_is_told_by_its_file() {
    let (one, other) = (Made::new(&["a"]), Made::new(&["b"]));
    let check = |certificate: &str, key: &str, expected: Unusable, is_about_key: bool| {
        let unusable = judge(certificate, key).unwrap_err();
        assert_eq!(unusable.is_about_key(), is_about_key, "{unusable}");
        assert_eq!(unusable, expected);
    };
    check("", &one.key, Unusable::NoCertificate, false);
    check(&one.key, &one.key, Unusable::NoCertificate, false);
    check(&one.certificate, "", Unusable::NoKey, true);
    check(&one.certificate, &one.certificate, Unusable::NoKey, true);
    check(&one.certificate, &other.key, Unusable::OtherKey, true);
    let swapped = format!("{}{}", other.certificate, one.certificate);
    check(&swapped, &one.key, Unusable::WrongOrder, false);
    let encrypted = one.key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    check(&one.certificate, &encrypted, Unusable::EncryptedKey, true);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
    check(&one.certificate, old, Unusable::EncryptedKey, true);
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    check(&one.certificate, nonsense, Unusable::BadKey, true);
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unusable = judge(nonsense, &one.key).unwrap_err();
    assert!(matches!(unusable, Unusable::BadCertificate(_)));
}

#[track_caller]
fn check_choice(name: Option<&str>, expected: &str) {
    let certificates: Vec<Certificate> = [
        &["default.example.com"][..],
        &["*.example.com"],
        &["chat.example.com"],
    ]
    .iter()
    .map(|names| Made::new(names).judged())
    .collect();
    let chosen = choose(&certificates, name, |_| true).unwrap();
    assert_eq!(chosen.label(), expected, "{name:?}");
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    check_choice(Some("chat.example.com"), "chat.example.com");
    check_choice(Some("CHAT.example.com."), "chat.example.com");
    check_choice(Some("www.example.com"), "*.example.com");
}

#[test]
fn a_wildcard_is_one_label() {
    check_choice(Some("a.b.example.com"), "default.example.com");
    check_choice(Some("example.com"), "default.example.com");
}

#[test]
fn whoever_asks_for_nobody_gets_the_first() {
    check_choice(None, "default.example.com");
    check_choice(Some("example.net"), "default.example.com");
}

#[test]
fn of_two_for_one_name_a_client_gets_what_it_can_verify() {
    let certificates = [
        Made::by(&PKCS_ED25519, &["a"], 2100).judged(),
        Made::by(&PKCS_ECDSA_P256_SHA256, &["a"], 2100).judged(),
    ];
    let can_verify = |algorithm| {
        move |certificate: &Certificate| certificate.pair().key.algorithm() == algorithm
    };
    use tokio_rustls::rustls::SignatureAlgorithm::{ECDSA, ED25519, RSA};
    for (algorithm, expected) in [(ED25519, Some(0)), (ECDSA, Some(1)), (RSA, None)] {
        let chosen = choose(&certificates, Some("a"), can_verify(algorithm));
        let place = chosen.and_then(|chosen| certificates.iter().position(|one| one == chosen));
        assert_eq!(place, expected);
    }
}

#[test]
fn dates_are_told_before_they_hurt() {
    let check = |days_left: i64, expected: Option<&str>| {
        let mut certificate = Made::new(&["a"]).judged();
        let distance = u32::try_from(days_left.abs()).unwrap() * DAY;
        certificate.not_after = if days_left < 0 {
            now() - distance
        } else {
            now() + distance
        };
        assert_eq!(certificate.concern(now()).as_deref(), expected);
    };
    check(60, None);
    check(14, None);
    check(13, Some("expires in 13 days"));
    check(1, Some("expires in 1 day"));
    check(0, Some("expires in less than a day"));
    check(-3, Some("expired 3 days ago"));
    let early = Made::new(&["a"]).judged().concern(SystemTime::UNIX_EPOCH);
    assert_eq!(early.unwrap(), "is not valid yet, for 18262 days");
}
