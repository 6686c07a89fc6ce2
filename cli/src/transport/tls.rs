//! TLS to a server of the internet, which proves who it is by a certificate of an authority that this machine trusts.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rustls_native_certs::{load_certs_from_paths, load_native_certs};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, Error, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use super::{TransportError, dial};

/// How long both sides may take to agree on keys, and a name server to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a server is asked for in errors.
const HANDSHAKE: &str = "a TLS handshake";
/// Bytes of a file of authorities that are read.
const LONGEST_FILE: u64 = 4 << 20;

/// A server, and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsServer {
    /// Its name, which its certificate has to have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who is believed about it.
    pub authorities: Authorities,
}

/// Who vouches for a server: those whom the system trusts, and others. The process that keeps a connection has no other word of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorities {
    /// File with certificates of further authorities in PEM.
    pub further: Option<PathBuf>,
    /// File that is read in the place of what the system has.
    pub file: Option<PathBuf>,
    /// Folders that are, too.
    pub folders: Vec<PathBuf>,
}

/// Connects, and lets the server prove who it is before anything is said.
pub(super) async fn connect(server: &TlsServer) -> Result<TlsStream<TcpStream>, TransportError> {
    let peer = &server.host;
    let config = trusting(server).await?;
    let name = ServerName::try_from(peer.clone()).map_err(|error| unreachable(peer, error))?;
    let looked_up = timeout(PATIENCE, lookup_host((peer.as_str(), server.port)));
    let addresses = looked_up.await.map_err(|_| late(peer, "a name server"))?;
    let addresses: Vec<SocketAddr> = addresses
        .map_err(|error| unreachable(peer, error))?
        .collect();
    let (stream, _) = dial(peer, &addresses).await?;
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match timeout(PATIENCE, shaking).await {
        Ok(shaken) => shaken.map_err(|source| unshaken(peer, source)),
        Err(_elapsed) => Err(late(peer, HANDSHAKE)),
    }
}

/// A server that hangs up, or does not speak as we do, has not shown that it is another one.
fn unshaken(peer: &str, source: io::Error) -> TransportError {
    let told = source.get_ref().and_then(|error| error.downcast_ref());
    let (peer, operation) = (peer.to_owned(), HANDSHAKE.to_owned());
    let problem = source.to_string();
    match told {
        Some(Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => {
            TransportError::Untrusted { peer, problem }
        }
        Some(_) => TransportError::BadAnswer {
            peer,
            operation,
            problem,
        },
        None => TransportError::Gone {
            peer,
            operation,
            source: source.into(),
        },
    }
}

async fn trusting(server: &TlsServer) -> Result<ClientConfig, TransportError> {
    let authorities = server.authorities.clone();
    let read = tokio::task::spawn_blocking(move || roots(&authorities)).await;
    let roots = read.map_err(io::Error::other).and_then(|roots| roots);
    let roots = roots.map_err(|error| unreachable(&server.host, error))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unreachable(&server.host, error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// The system's authorities, or what stands in their place, and further ones.
fn roots(authorities: &Authorities) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let files = authorities.file.iter().map(|file| (Some(&**file), None));
    let folders = authorities.folders.iter();
    let folders = folders.map(|folder| (None, Some(&**folder)));
    let mut found: Vec<_> = files
        .chain(folders)
        .flat_map(|(file, folder)| load_certs_from_paths(file, folder).certs)
        .collect();
    if authorities.file.is_none() && authorities.folders.is_empty() {
        found = load_native_certs().certs;
    }
    // What the system has beside certificates that can be used is nothing that we could mend.
    let (_added, _ignored) = roots.add_parsable_certificates(found);
    if let Some(path) = &authorities.further {
        let broken = |problem: String| {
            let problem = format!("{}: {problem}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, problem)
        };
        let mut text = Vec::new();
        io::Read::read_to_end(
            &mut io::Read::take(fs_err::File::open(path)?, LONGEST_FILE),
            &mut text,
        )?;
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| broken(error.to_string()))?;
            let added = roots.add(certificate);
            added.map_err(|error| broken(error.to_string()))?;
            count += 1;
        }
        if count == 0 {
            return Err(broken("it has no certificate in PEM".to_owned()));
        }
    }
    if roots.is_empty() {
        return Err(io::Error::other(
            "this machine has no list of authorities that it trusts (Debian: ca-certificates; SSL_CERT_FILE and SSL_CERT_DIR name others)",
        ));
    }
    Ok(roots)
}

fn unreachable(
    peer: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> TransportError {
    TransportError::Unreachable {
        peer: peer.to_owned(),
        source: io::Error::other(source),
    }
}

fn late(peer: &str, operation: &str) -> TransportError {
    TransportError::Timeout {
        peer: peer.to_owned(),
        operation: operation.to_owned(),
        seconds: PATIENCE.as_secs(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio_rustls::rustls::{AlertDescription, InvalidMessage};

    use super::*;

    #[test]
    fn a_file_of_authorities_has_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let with = |further: &Path| Authorities {
            further: Some(further.to_owned()),
            ..Authorities::default()
        };
        let problem = |text: &str| {
            fs_err::write(&path, text).unwrap();
            roots(&with(&path)).map(|_| ()).unwrap_err()
        };
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
            let problem = problem(text).to_string();
            assert!(problem.contains("ca.pem"), "{problem}");
        }
        let made = rcgen::generate_simple_self_signed(vec!["x.test".to_owned()]).unwrap();
        fs_err::write(&path, made.cert.pem()).unwrap();
        let without = roots(&Authorities::default()).map_or(0, |roots| roots.len());
        assert_eq!(roots(&with(&path)).unwrap().len(), without + 1);
        roots(&with(&folder.path().join("none"))).unwrap_err();
        // In the place of the system's.
        let alone = Authorities {
            file: Some(path.clone()),
            ..Authorities::default()
        };
        assert_eq!(roots(&alone).unwrap().len(), 1);
        let alone = Authorities {
            folders: vec![folder.path().to_owned()],
            ..Authorities::default()
        };
        assert_eq!(roots(&alone).unwrap().len(), 1);
    }

    #[test]
    fn a_server_that_hangs_up_is_not_taken_for_another_one() {
        let gone = unshaken("x", io::ErrorKind::UnexpectedEof.into());
        assert!(matches!(gone, TransportError::Gone { .. }), "{gone}");
        let judged = io::Error::new(io::ErrorKind::InvalidData, Error::NoCertificatesPresented);
        let judged = unshaken("x", judged);
        assert!(
            matches!(judged, TransportError::Untrusted { .. }),
            "{judged}"
        );
        // One that speaks no TLS, or another version of it.
        for other in [
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::AlertReceived(AlertDescription::ProtocolVersion),
        ] {
            let other = unshaken("x", io::Error::new(io::ErrorKind::InvalidData, other));
            assert!(matches!(other, TransportError::BadAnswer { .. }), "{other}");
        }
    }
}
