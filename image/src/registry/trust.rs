//! Whose signatures under a certificate are believed.

use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::ErrorKind;
use super::config::read;

/// Where systems keep the authorities that their administrator trusts.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// The authorities in these files; without any those of the system, and on a system that has no
/// such file (a container, an initramfs) Mozilla's, which are compiled in.
pub(super) fn roots(files: &[PathBuf]) -> Result<RootCerts, ErrorKind> {
    if !files.is_empty() {
        let mut all = Vec::new();
        for file in files {
            all.extend(certificates(file)?);
        }
        return Ok(RootCerts::new_with_certs(&all));
    }
    match SYSTEM.map(Path::new).into_iter().find(|file| file.exists()) {
        Some(file) => Ok(RootCerts::new_with_certs(&certificates(file)?)),
        None => Ok(RootCerts::WebPki),
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, ErrorKind> {
    let wrong = |why: String| ErrorKind::Configuration(format!("{}: {why}", file.display()));
    let text = read(file, MAX_FILE).map_err(|error| wrong(error.to_string()))?;
    let mut all = Vec::new();
    for item in parse_pem(&text) {
        // Files that have a key too exist, and it is not for us.
        if let PemItem::Certificate(one) = item.map_err(|error| wrong(error.to_string()))? {
            all.push(one);
        }
    }
    if all.is_empty() { Err(wrong("no certificate in it".to_owned())) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificate_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n&\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&file, text).unwrap();
            let error = roots(std::slice::from_ref(&file)).unwrap_err();
            assert!(error.to_string().contains("ca.pem: "), "{error}");
        }
        assert!(roots(&[dir.path().join("missing")]).is_err());
    }
}
