//! Certificates of an authority of one's own, servers that use them, and a client that speaks TLS.

use super::{PATIENCE, Server, free_port, reply_length, request, text};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    fs,
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::Arc,
};
use tempfile::TempDir;

/// Who signs certificates, with the files of all that it has signed.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// An authority that has signed a certificate for nodes, one for clients, and one that has expired.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        // An authority is looked up by its name.
        params.distinguished_name.push(DnType::CommonName, folder.path().display().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(folder.path().join("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        let authority = Self { folder, issuer: Issuer::new(params, key) };
        authority.sign("node", 2100);
        authority.sign("client", 2100);
        authority.sign("expired", 2020);
        authority
    }

    /// Signs a certificate that is good until a year begins. No node has the name in it.
    pub(crate) fn sign(&self, name: &str, until: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.crt")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn file(&self, file: &str) -> String {
        self.path(file).to_str().unwrap().to_owned()
    }

    /// What a server is to be told.
    pub(crate) fn directives(&self) -> Vec<String> {
        let pairs = [("--tls-cert-file", "node.crt"), ("--tls-key-file", "node.key"), ("--tls-ca-cert-file", "ca.crt")];
        pairs.into_iter().flat_map(|(name, file)| [name.to_owned(), self.file(file)]).collect()
    }

    /// What redis-cli is to be told.
    pub(crate) fn cli_options(&self) -> Vec<String> {
        let pairs = [("--cert", "client.crt"), ("--key", "client.key"), ("--cacert", "ca.crt")];
        let options = pairs.into_iter().flat_map(|(name, file)| [name.to_owned(), self.file(file)]);
        std::iter::once("--tls".to_owned()).chain(options).collect()
    }

    /// How a client speaks that trusts this authority, and shows this certificate of it, if any.
    fn client(&self, name: Option<&str>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.crt")).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = vec![CertificateDer::from_pem_file(self.path(&format!("{name}.crt"))).unwrap()];
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

/// A server with a port for TLS beside the plain one.
pub(crate) struct Secured {
    pub(crate) server: Server,
    pub(crate) tls_port: u16,
}

impl Secured {
    pub(crate) fn start(program: &str, authority: &Authority, more: &[&str]) -> Self {
        let tls_port = free_port();
        let (port, own) = (tls_port.to_string(), authority.directives());
        let mut directives = vec!["--tls-port", &port];
        directives.extend(own.iter().map(String::as_str).chain(more.iter().copied()));
        Self { server: Server::start(program, &directives), tls_port }
    }

    /// A member of a cluster whose bus and replication are in TLS.
    pub(crate) fn clustered(program: &str, authority: &Authority, more: &[&str]) -> Self {
        let mut directives = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        directives.extend(["--tls-cluster", "yes", "--tls-replication", "yes", "--repl-diskless-sync-delay", "0"]);
        directives.extend(more);
        Self::start(program, authority, &directives)
    }

    pub(crate) fn client(&self, authority: &Authority) -> TlsClient<TcpStream> {
        TlsClient::connect(self.tls_port, authority, Some("client"))
    }
}

/// A client in TLS, over anything that carries bytes.
pub(crate) struct TlsClient<S: Read + Write> {
    stream: StreamOwned<ClientConnection, S>,
    pending: Vec<u8>,
}

impl TlsClient<TcpStream> {
    pub(crate) fn connect(port: u16, authority: &Authority, name: Option<&str>) -> Self {
        Self::over(socket(port), authority, name)
    }
}

/// A connection on which no wait is endless.
pub(crate) fn socket(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

impl<S: Read + Write> TlsClient<S> {
    pub(crate) fn over(carrier: S, authority: &Authority, name: Option<&str>) -> Self {
        let session = ClientConnection::new(authority.client(name), "localhost".try_into().unwrap()).unwrap();
        Self { stream: StreamOwned::new(session, carrier), pending: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The bytes of the next reply.
    pub(crate) fn reply(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(length) = reply_length(&self.pending) {
                return Ok(self.pending.drain(..length).collect());
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => self.pending.extend_from_slice(&chunk[..count]),
            }
        }
    }

    pub(crate) fn try_ask(&mut self, line: &str) -> io::Result<String> {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.send(&request(&args))?;
        self.reply().map(|reply| text(&reply))
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.try_ask(line).unwrap_or_else(|error| panic!("no answer to {line:?}: {error}"))
    }

    /// The certificate that the server showed.
    pub(crate) fn shown(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().unwrap()[0].to_vec()
    }
}
