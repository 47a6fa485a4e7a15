//! Owns what TLS is done with: certificates, keys and authorities as the configuration names them.
//!
//! Must not know a socket: that is `stream`.

use crate::{
    certificates::{Identity, authorities},
    config::Settings,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, ParsedCertificate, ServerSessionMemoryCache, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use std::sync::Arc;

/// Versions by their names in the configuration; none for those that are not spoken here.
const PROTOCOLS: &[(&str, Option<&SupportedProtocolVersion>)] =
    &[("TLSv1", None), ("TLSv1.1", None), ("TLSv1.2", Some(&TLS12)), ("TLSv1.3", Some(&TLS13))];

const NO_AUTHORITY: &str = "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, \
    tls-replication or tls-auth-clients are enabled!";

/// What TLS is done with.
#[derive(Clone, Debug)]
pub struct Tls {
    /// With clients, who are asked for a certificate if the configuration says so.
    pub clients: Arc<ServerConfig>,
    /// Between nodes; none without an authority, whose certificate every node must show.
    nodes: Option<Nodes>,
    is_for_bus: bool,
    is_for_replication: bool,
}

#[derive(Clone, Debug)]
struct Nodes {
    inbound: Arc<ServerConfig>,
    outbound: Arc<ClientConfig>,
}

impl Tls {
    /// What the settings name; none if they ask for no TLS.
    pub fn load(settings: &Settings) -> Result<Option<Self>, String> {
        let (is_for_bus, is_for_replication) = (settings.flag("tls-cluster"), settings.flag("tls-replication"));
        if settings.port("tls-port") == 0 && !is_for_bus && !is_for_replication {
            return Ok(None);
        }
        let material = Material::load(settings)?;
        let asks_clients = settings.text("tls-auth-clients");
        if material.roots.is_empty() && (asks_clients != "no" || is_for_bus || is_for_replication) {
            return Err(NO_AUTHORITY.into());
        }
        let nodes = if material.roots.is_empty() {
            None
        } else {
            Some(Nodes { inbound: material.inbound("yes")?, outbound: material.outbound()? })
        };
        Ok(Some(Self { clients: material.inbound(asks_clients)?, nodes, is_for_bus, is_for_replication }))
    }

    /// For links that other nodes open; none if the bus is plain.
    #[must_use]
    pub fn inbound_links(&self) -> Option<Arc<ServerConfig>> {
        self.nodes.as_ref().filter(|_| self.is_for_bus).map(|nodes| Arc::clone(&nodes.inbound))
    }

    /// For links to other nodes, and for keys that migrate to them; none if the bus is plain.
    #[must_use]
    pub fn outbound_links(&self) -> Option<Arc<ClientConfig>> {
        self.nodes.as_ref().filter(|_| self.is_for_bus).map(|nodes| Arc::clone(&nodes.outbound))
    }

    /// For the connection to the primary; none if replication is plain.
    #[must_use]
    pub fn to_primary(&self) -> Option<Arc<ClientConfig>> {
        self.nodes.as_ref().filter(|_| self.is_for_replication).map(|nodes| Arc::clone(&nodes.outbound))
    }
}

/// What the files hold.
struct Material {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    roots: Arc<RootCertStore>,
    own: Identity,
    /// What this node shows to those that it connects to.
    as_client: Identity,
    /// How many sessions may be resumed.
    sessions_max: usize,
}

impl Material {
    fn load(settings: &Settings) -> Result<Self, String> {
        let own = Identity::load(settings, "tls-cert-file", "tls-key-file")?;
        let has_other = !settings.text("tls-client-cert-file").is_empty();
        let as_client = if has_other {
            Identity::load(settings, "tls-client-cert-file", "tls-client-key-file")?
        } else {
            own.copy()
        };
        let sessions_max = settings.number("tls-session-cache-size");
        Ok(Self {
            provider: Arc::new(ring::default_provider()),
            versions: versions(settings.text("tls-protocols"))?,
            roots: Arc::new(authorities(settings)?),
            own,
            as_client,
            sessions_max: usize::try_from(sessions_max)
                .ok()
                .filter(|_| settings.flag("tls-session-caching"))
                .unwrap_or(0),
        })
    }

    fn inbound(&self, asks_for_certificate: &str) -> Result<Arc<ServerConfig>, String> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)
            .map_err(unusable)?;
        let builder = if asks_for_certificate == "no" {
            builder.with_no_client_auth()
        } else {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(&self.provider));
            let is_optional = asks_for_certificate == "optional";
            let verifier = if is_optional { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(unusable)?)
        };
        let Identity { chain, key } = self.own.copy();
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.session_storage = match self.sessions_max {
            0 => Arc::new(NoServerSessionStorage {}),
            most => ServerSessionMemoryCache::new(most),
        };
        Ok(Arc::new(config))
    }

    fn outbound(&self) -> Result<Arc<ClientConfig>, String> {
        let Identity { chain, key } = self.as_client.copy();
        let verifier = Membership { roots: Arc::clone(&self.roots), provider: Arc::clone(&self.provider) };
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(chain, key)
            .map_err(unusable)?;
        // Sessions are remembered by address, which nodes on one machine share.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

fn versions(names: &str) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let mut versions = Vec::new();
    for name in names.split(' ').filter(|name| !name.is_empty()) {
        let known = PROTOCOLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, version) = known.ok_or(
            "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.",
        )?;
        versions.extend(*version);
    }
    match (names.trim().is_empty(), versions.is_empty()) {
        (true, _) => Ok(vec![&TLS13, &TLS12]),
        (false, true) => Err(format!("None of tls-protocols '{names}' is spoken here: only TLSv1.2 and TLSv1.3 are")),
        (false, false) => Ok(versions),
    }
}

fn unusable(error: impl ToString) -> String {
    format!("Failed to configure TLS: {}", error.to_string())
}

/// Takes everybody with a certificate of the authorities for a node. Which one it is its certificate
/// does not say: nodes are known by addresses, which come and go, and say their names on the bus.
#[derive(Debug)]
struct Membership {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Membership {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
