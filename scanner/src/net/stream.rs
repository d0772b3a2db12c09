//! TCP connections of conversations, in the clear or inside TLS.
//!
//! Every packet that a connection makes us or our kernel send is paced, its
//! acknowledgements too: the receive buffer is so small that the kernel acknowledges no
//! faster than we read. TLS here carries application data only and believes everybody;
//! what a certificate is worth is judged elsewhere, from a handshake of its own.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::{DownloadPermit, Permit, dialogue::Pace};

/// What the kernel may hold for us unread. It doubles the number for its own books.
const RECEIVE_BUFFER: u32 = 16 * 1_024;

/// The same of a download, which may come from far away and be large.
const DOWNLOAD_BUFFER: u32 = 256 * 1_024;

/// Bytes in a segment, for charging what we write.
const SEGMENT: usize = 1_400;

/// How long we wait for the other side's FIN before we leave.
const FAREWELL: Duration = Duration::from_millis(300);

/// Why the other side does not speak TLS with us.
#[derive(Debug, Error)]
pub enum TlsError {
    /// It speaks TLS, but not with us: an alert, or nothing in common.
    #[error("the server speaks TLS but refuses our handshake")]
    Refused(#[source] rustls::Error),
    /// It does not speak TLS.
    #[error("the server does not speak TLS")]
    NotTls(#[source] io::Error),
}

/// A connection.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    host: IpAddr,
    pace: Pace,
    tls: Option<Box<ClientConnection>>,
    /// How many more bytes are read, those of TLS counted.
    allowance: usize,
}

impl Stream {
    /// Connects. Waits for its turn first, then for as long as the kernel tries: give it a
    /// time limit. Reads `allowance` bytes at most.
    pub async fn connect(
        to: Permit,
        port: u16,
        pace: &Pace,
        allowance: usize,
        limit: Duration,
    ) -> io::Result<Self> {
        Self::open(to.address(), port, pace, allowance, limit, RECEIVE_BUFFER).await
    }

    /// The same to fetch something from an address that need not be a target.
    pub(super) async fn connect_for_download(
        from: DownloadPermit,
        port: u16,
        pace: &Pace,
        allowance: usize,
        limit: Duration,
    ) -> io::Result<Self> {
        Self::open(from.address(), port, pace, allowance, limit, DOWNLOAD_BUFFER).await
    }

    async fn open(
        host: IpAddr,
        port: u16,
        pace: &Pace,
        allowance: usize,
        limit: Duration,
        buffer: u32,
    ) -> io::Result<Self> {
        let socket = match host {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_recv_buffer_size(buffer)?;
        // SYN, and the ACK that completes the handshake.
        pace.wait(host, 2).await;
        let connecting = socket.connect(SocketAddr::new(host, port));
        let socket = tokio::time::timeout(limit, connecting)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        socket.set_nodelay(true)?;
        Ok(Self { socket, host, pace: pace.clone(), tls: None, allowance })
    }

    /// Whether it ran out of what may be read.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.allowance == 0
    }

    /// Whether it runs inside TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Begins TLS, with this server name if there is one.
    pub async fn begin_tls(&mut self, server_name: Option<&str>) -> Result<(), TlsError> {
        let name = server_name
            .and_then(|name| ServerName::try_from(name.to_owned()).ok())
            // An address is not sent as a server name (RFC 6066, section 3).
            .unwrap_or_else(|| ServerName::IpAddress(self.host.into()));
        let mut tls =
            Box::new(ClientConnection::new(everybodys_client(), name).map_err(TlsError::Refused)?);
        let mut records = Vec::new();
        loop {
            self.flush(&mut tls).await.map_err(TlsError::NotTls)?;
            if !tls.is_handshaking() {
                self.tls = Some(tls);
                return Ok(());
            }
            records.clear();
            if self.read_socket(&mut records).await.map_err(TlsError::NotTls)? == 0 {
                return Err(TlsError::NotTls(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Err(error) = take(&mut tls, &records) {
                // Whatever alert we owe goes out, so that the server knows why we leave.
                let _ = self.flush(&mut tls).await;
                return Err(match error {
                    rustls::Error::InvalidMessage(_) => {
                        TlsError::NotTls(io::Error::new(io::ErrorKind::InvalidData, error))
                    }
                    error => TlsError::Refused(error),
                });
            }
        }
    }

    /// Reads what comes next and appends it. Returns the number of bytes, 0 at the end:
    /// where the server closed, or nothing more may be read.
    pub async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let Some(mut tls) = self.tls.take() else {
            return self.read_socket(into).await;
        };
        let read = self.read_tls(&mut tls, into).await;
        self.tls = Some(tls);
        read
    }

    async fn read_tls(
        &mut self,
        tls: &mut ClientConnection,
        into: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let mut records = Vec::new();
        loop {
            match decrypted(tls, into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            records.clear();
            if self.read_socket(&mut records).await? == 0 {
                // A close without close_notify is common and says nothing.
                return Ok(0);
            }
            take(tls, &records)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.flush(tls).await?;
        }
    }

    /// One read of the socket, appended, and paced for the acknowledgement that it lets the
    /// kernel send.
    async fn read_socket(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        if self.allowance == 0 {
            return Ok(0);
        }
        loop {
            self.socket.readable().await?;
            self.pace.wait(self.host, 1).await;
            match received(&self.socket, self.allowance, into) {
                Ok(len) => {
                    self.allowance = self.allowance.saturating_sub(len);
                    return Ok(len);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until a message of so many bytes may go. Comes before [`Self::write`], which
    /// does not wait, so that a caller can tell its own pace from the server's.
    pub async fn turn(&self, bytes: usize) {
        let segments = bytes.div_ceil(SEGMENT).max(1);
        self.pace.wait(self.host, u32::try_from(segments).unwrap_or(u32::MAX)).await;
    }

    /// Sends a message whose [`Self::turn`] has come.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write_all(bytes).await;
        };
        tls.writer().write_all(bytes)?;
        let out = pending(tls)?;
        self.socket.write_all(&out).await
    }

    /// Sends what TLS has to send, in its turn.
    async fn flush(&mut self, tls: &mut ClientConnection) -> io::Result<()> {
        let out = pending(tls)?;
        if out.is_empty() {
            return Ok(());
        }
        self.turn(out.len()).await;
        self.socket.write_all(&out).await
    }

    /// Leaves politely: our FIN, then a moment for theirs, so that the kernel need not
    /// reset a connection on which something is still unread.
    pub async fn close(mut self) {
        if let Some(mut tls) = self.tls.take() {
            tls.send_close_notify();
            let _ = tokio::time::timeout(FAREWELL, self.flush(&mut tls)).await;
        }
        // Our FIN, and the ACK of theirs.
        self.pace.wait(self.host, 2).await;
        let farewell = async {
            self.socket.shutdown().await?;
            let mut rest = Vec::new();
            while self.read_socket(&mut rest).await? > 0 {
                rest.clear();
            }
            io::Result::Ok(())
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

// The buffers of the next two are on the stack of a call, and not in a conversation, of
// which many wait at once.

/// What the socket has now, appended.
fn received(socket: &TcpStream, most: usize, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut bytes = [0; 8_192];
    let most = most.min(bytes.len());
    let len = socket.try_read(&mut bytes[..most])?;
    into.extend_from_slice(&bytes[..len]);
    Ok(len)
}

/// What TLS has for us now, appended.
fn decrypted(tls: &mut ClientConnection, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut bytes = [0; 8_192];
    let len = tls.reader().read(&mut bytes)?;
    into.extend_from_slice(&bytes[..len]);
    Ok(len)
}

/// What TLS has to send.
fn pending(tls: &mut ClientConnection) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut out)?;
    }
    Ok(out)
}

/// Feeds bytes to TLS.
fn take(tls: &mut ClientConnection, mut bytes: &[u8]) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        let len =
            tls.read_tls(&mut bytes).map_err(|error| rustls::Error::General(error.to_string()))?;
        tls.process_new_packets()?;
        if len == 0 {
            break;
        }
    }
    Ok(())
}

/// A client that takes every certificate: we ask a server who it is, we tell it nothing.
fn everybodys_client() -> Arc<ClientConfig> {
    static CONFIG: std::sync::OnceLock<Arc<ClientConfig>> = std::sync::OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = Arc::new(Everybody(Arc::clone(&provider)));
            let builder = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(rustls::ALL_VERSIONS)
                .unwrap_or_else(|_| unreachable!("ring has suites for every version of rustls"));
            let mut config = builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth();
            // Sessions are not resumed: every sweep asks anew.
            config.resumption = rustls::client::Resumption::disabled();
            Arc::new(config)
        })
        .clone()
}

/// Believes everybody.
#[derive(Debug)]
struct Everybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Everybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Checking signatures would refuse servers whose certificate our decoder dislikes,
    // and those are among the most interesting ones.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
