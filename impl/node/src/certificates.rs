//! Owns how certificates and keys are read from the files that the configuration names.
//!
//! Must not know what they are used for.

use crate::{config::Settings, log::reason};
use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use std::{fs, path::Path};

/// What somebody shows to prove who it is: certificates, its own first, and the key of that.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(crate) fn load(settings: &Settings, certificate: &'static str, key: &'static str) -> Result<Self, String> {
        for name in [certificate, key] {
            if settings.text(name).is_empty() {
                return Err(format!("No {name} configured!"));
            }
        }
        let path = settings.path(certificate);
        let chain = certificates(&path).map_err(|why| format!("Failed to load certificate: {}: {why}", path.display()));
        let path = settings.path(key);
        let key = private_key(&path).map_err(|why| format!("Failed to load private key: {}: {why}", path.display()));
        Ok(Self { chain: chain?, key: key? })
    }

    pub(crate) fn copy(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Those whose signature makes a certificate good.
pub(crate) fn authorities(settings: &Settings) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let mut add = |path: &Path| {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    let failed = |path: &Path, why: String| format!("Failed to configure CA certificate(s): {}: {why}", path.display());
    if !settings.text("tls-ca-cert-file").is_empty() {
        let path = settings.path("tls-ca-cert-file");
        add(&path).map_err(|why| failed(&path, why))?;
    }
    if !settings.text("tls-ca-cert-dir").is_empty() {
        let path = settings.path("tls-ca-cert-dir");
        let entries = fs::read_dir(&path).map_err(|error| failed(&path, reason(&error)))?;
        for file in entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file()) {
            // Such a folder may hold other things as well.
            let _: Result<(), String> = add(&file);
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found.map_err(unreadable)? {
        none if none.is_empty() => Err("no certificate in it".into()),
        found => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];
    let text = fs::read(path).map_err(|error| reason(&error))?;
    let shown = String::from_utf8_lossy(&text);
    if ENCRYPTED.iter().any(|mark| shown.contains(mark)) {
        return Err("the key is encrypted, which is not supported: decrypt it with 'openssl pkey'".into());
    }
    match PrivateKeyDer::from_pem_slice(&text) {
        Err(pem::Error::NoItemsFound) => Err("no private key in it".into()),
        found => found.map_err(unreadable),
    }
}

fn unreadable(error: pem::Error) -> String {
    if let pem::Error::Io(error) = &error { reason(error) } else { error.to_string() }
}
