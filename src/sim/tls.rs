//! HTTPS for the simulator: an authority and a certificate made on the spot, and a listener that speaks TLS.
//!
//! The authority signs one certificate and its key is forgotten, so that who trusts it trusts this server
//! alone. A certificate that signs itself would do for some clients only: strict ones want the two apart.

use super::fault::line::{Breakable, Line, Switch};
use crate::clock;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Days that the certificate is good for. Some systems believe none that lasts longer than 825.
const LIFE: i32 = 365;
/// Characters in a line of PEM.
const LINE: usize = 64;

/// What a server proves itself with, and what its clients need in order to believe it.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    authority: String,
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot make a certificate: {0}")]
    Made(#[from] rcgen::Error),
    #[error("cannot use the certificate: {0}")]
    Used(#[from] rustls::Error),
}

impl Identity {
    /// For a server at this address; `localhost` is good too.
    pub fn new(address: IpAddr) -> Result<Self, IdentityError> {
        let mut params = CertificateParams::default();
        name(&mut params, "sortie simulator authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut params =
            CertificateParams::new([address.to_string(), "localhost".to_owned()].to_vec())?;
        name(&mut params, "sortie simulator");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            authority: pem(authority.der()),
        })
    }

    /// The authority's certificate, as `ssl_cert_file` wants it.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn listen(&self, tcp: TcpListener) -> TlsListener {
        TlsListener {
            tcp: Breakable(tcp),
            acceptor: TlsAcceptor::from(self.config.clone()),
            handshakes: JoinSet::new(),
        }
    }
}

/// Says who it is and how long it lasts.
fn name(params: &mut CertificateParams, name: &str) {
    let midnight = |at: Timestamp| {
        let day = at.to_zoned(TimeZone::UTC).date();
        let (month, day_of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        date_time_ymd(day.year().into(), month, day_of_month)
    };
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = clock::now();
    // A client's clock may be a little behind ours.
    params.not_before = midnight(now - DAY);
    params.not_after = midnight(now + DAY * LIFE);
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines: Vec<&str> = (0..text.len())
        .step_by(LINE)
        .filter_map(|at| text.get(at..text.len().min(at + LINE)))
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// Shakes hands with several clients at once, so that a slow one holds up nobody.
pub(super) struct TlsListener {
    tcp: Breakable,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsStream<Line>, SocketAddr)>>,
}

impl Listener for TlsListener {
    type Io = TlsStream<Line>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (stream, from) = Listener::accept(&mut self.tcp) => {
                    let shaking = self.acceptor.accept(stream);
                    self.handshakes.spawn(async move {
                        let shaken = tokio::time::timeout(HANDSHAKE, shaking).await.ok()?;
                        shaken.ok().map(|stream| (stream, from))
                    });
                }
                // Who does not trust us, or speaks no TLS, is gone without a word.
                Some(shaken) = self.handshakes.join_next() => {
                    if let Ok(Some(ready)) = shaken {
                        return ready;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Switch {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.io().get_ref().0.switch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::server::{Extras, serve_with};
    use crate::sim::world::World;
    use reqwest::tls::Certificate;
    use tokio::net::TcpStream;

    fn client(trusted: Vec<Certificate>) -> reqwest::Client {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy();
        client.tls_certs_only(trusted).build().expect("a client")
    }

    #[tokio::test]
    async fn who_trusts_the_authority_is_served_and_nobody_else() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let identity = Identity::new(listen.ip()).expect("made");
        let authority = Certificate::from_pem(identity.authority().as_bytes()).expect("PEM");
        let extras = Extras {
            identity: Some(identity),
            ..Extras::default()
        };
        let world = World::new(Vec::new());
        let server = serve_with(world, listen, extras).await.expect("serves");
        assert!(server.url.starts_with("https://"), "{}", server.url);

        // A client that never says anything must not keep the others waiting.
        let _mute = TcpStream::connect(server.addr).await.expect("connects");
        let trusting = client(vec![authority]);
        let content = format!("https://{}/signed/x", server.content_addr);
        let by_name = format!("https://localhost:{}/", server.addr.port());
        for (url, status) in [(&server.url, 401), (&content, 403), (&by_name, 401)] {
            let answer = trusting.get(url).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), status, "{url}");
        }
        let other = Identity::new(listen.ip()).expect("made");
        let other = Certificate::from_pem(other.authority().as_bytes()).expect("PEM");
        for stranger in [client(vec![other]), client(Vec::new())] {
            let refused = stranger.get(&server.url).send().await;
            assert!(refused.is_err_and(|error| error.is_connect()));
        }
        server.shutdown().await;
    }
}
