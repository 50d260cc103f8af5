//! TCP with TLS 1.3: both ends prove that they have the key that the other was told to trust.
//!
//! There are no certificates and no authorities, only keys `[RFC7250]`: who the peer is, its public
//! key says, and nothing that somebody else could issue. An [`Identity`] is that key's BLAKE3
//! digest, short enough to be copied by hand.

mod listen;

pub use listen::TlsListen;

use super::lobby::{ENTER_MAX, Enter, too_slow};
use super::tcp::dial;
use super::{ready_within, set_wait};
use crate::driver::{Dial, Link};
use crate::token::PeerId;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustix::event::{PollFd, PollFlags};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct,
    DistinguishedName, SignatureScheme,
};
use std::fmt::Write as _;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How much is read at once, in bytes: the library itself asks for a part of a record at a time.
const READ_LEN: usize = 128 << 10;
/// How much is encrypted before it is sent, in bytes: half a chunk of pages. The library would stop
/// at half of that, and wake the peer twice as often.
const WRITE_LEN: usize = 128 << 10;
/// How many reads and writes that may take at a time; it takes some ten in all.
const STEPS_MAX: usize = 64;
/// What a key's text begins with.
const KEY_WORD: &str = "abide-private-key-1 ";

/// Why keys cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The text is no key.
    #[error("this is no key of `abide keygen`: {KEY_WORD:?} and hexadecimal digits are needed")]
    Key,
    /// The text is no identity.
    #[error("{found:?} is no identity: 64 hexadecimal digits are needed, as `abide keygen` prints")]
    Identity {
        /// What was found.
        found: String,
    },
    /// The host has no random numbers.
    #[error("the host gives no random numbers for a key")]
    Random,
    /// The library.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Who somebody is: the BLAKE3 digest of a public key.
pub type Identity = PeerId;

/// Reads an identity as [`Key::identity`] is shown.
///
/// # Errors
/// [`TlsError::Identity`].
pub fn identity(text: &str) -> Result<Identity, TlsError> {
    let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
    bytes.map(PeerId).ok_or_else(|| TlsError::Identity { found: text.to_owned() })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8; 2]| Some((digit(pair[0])? << 4) | digit(pair[1])?);
    let (pairs, rest) = digits.as_chunks::<2>();
    if rest.is_empty() { pairs.iter().map(pair).collect() } else { None }
}

/// A private key.
pub struct Key {
    certified: Arc<CertifiedKey>,
    identity: Identity,
    pkcs8: Vec<u8>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn identity_of(key: &[u8]) -> Identity {
    PeerId(blake3::hash(key).into())
}

impl Key {
    /// A key that nobody else has.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn generate() -> Result<Self, TlsError> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        Self::of(made.map_err(|_| TlsError::Random)?.as_ref().to_vec())
    }

    /// The key that [`Self::text`] wrote.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(text: &str) -> Result<Self, TlsError> {
        let digits = text.trim().strip_prefix(KEY_WORD.trim_end()).map(str::trim);
        Self::of(digits.and_then(unhex).ok_or(TlsError::Key)?)
    }

    fn of(pkcs8: Vec<u8>) -> Result<Self, TlsError> {
        let der = PrivatePkcs8KeyDer::from(pkcs8.clone());
        let key = provider().key_provider.load_private_key(der.into())?;
        let public = key.public_key().ok_or(TlsError::Key)?.to_vec();
        let identity = identity_of(&public);
        let certified = CertifiedKey::new(vec![CertificateDer::from(public)], key);
        Ok(Self { certified: Arc::new(certified), identity, pkcs8 })
    }

    /// It, for a file that only its owner can read.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = KEY_WORD.to_owned();
        for byte in &self.pkcs8 {
            // A string takes whatever is written.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        text
    }

    /// Who has it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

/// Lets in who has one of these keys.
#[derive(Debug)]
struct Pinned {
    trusted: Vec<Identity>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn check(&self, key: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.trusted.contains(&identity_of(key)) {
            return Ok(());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// There is no TLS 1.2 here.
fn too_old() -> rustls::Error {
    rustls::Error::General("TLS 1.3 is needed".to_owned())
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(key).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _more: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(key).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A connection to somebody who is known.
pub struct TlsLink {
    connection: Connection,
    socket: BufReader<TcpStream>,
    own: Identity,
    peer: Identity,
    address: SocketAddr,
}

impl TlsLink {
    /// A connection on which nothing was proved yet.
    fn begin(mut connection: Connection, socket: TcpStream, own: Identity) -> io::Result<Self> {
        let (address, peer) = (socket.peer_addr()?, Identity::default());
        connection.set_buffer_limit(Some(WRITE_LEN));
        socket.set_nonblocking(true)?;
        let socket = BufReader::with_capacity(READ_LEN, socket);
        Ok(Self { connection, socket, own, peer, address })
    }

    fn process(&mut self) -> io::Result<()> {
        if let Err(error) = self.connection.process_new_packets() {
            // It is told why, if it still listens.
            let _ = self.connection.write_tls(self.socket.get_mut());
            let text = match error {
                rustls::Error::InvalidCertificate(_) => {
                    "the peer has another key than those that are trusted (--trust)".to_owned()
                }
                rustls::Error::AlertReceived(alert) => {
                    format!("the peer refuses the connection ({alert:?}): does it trust this key?")
                }
                other => format!("TLS: {other}; is it abide with --key, and this port?"),
            };
            return Err(io::Error::new(ErrorKind::PermissionDenied, text));
        }
        Ok(())
    }

    /// Sends what is encrypted already.
    fn drain(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(self.socket.get_mut())? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

impl Enter for TlsLink {
    const MISSED: &'static str = "it has not proved who it is";

    fn peer(&self) -> String {
        self.address.to_string()
    }

    fn awaited(&self) -> PollFd<'_> {
        let out = self.connection.wants_write();
        PollFd::new(self.socket.get_ref(), if out { PollFlags::OUT } else { PollFlags::IN })
    }

    /// Proves both ends to each other as far as that goes; whether it is done.
    fn go_on(&mut self) -> io::Result<bool> {
        let is_over = |error: &io::Error| error.kind() != ErrorKind::WouldBlock;
        for _ in 0..STEPS_MAX {
            let step = if self.connection.wants_write() {
                self.connection.write_tls(self.socket.get_mut())
            } else if self.connection.is_handshaking() {
                self.connection.read_tls(&mut self.socket)
            } else {
                let keys = self.connection.peer_certificates().and_then(<[_]>::first);
                let key = keys.ok_or_else(|| io::Error::other("the peer has shown no key"))?;
                self.peer = identity_of(key);
                self.socket.get_ref().set_nonblocking(false)?;
                return Ok(true);
            };
            match step {
                Ok(0) => return Err(io::Error::other("the peer closed the connection")),
                Ok(_) => self.process()?,
                Err(error) if is_over(&error) => return Err(error),
                Err(_) => return Ok(false),
            }
        }
        Err(io::Error::other("the peer says more than it takes to prove itself"))
    }
}

impl Read for TlsLink {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            // An end without TLS's own word for it is reported as such by the next round.
            self.connection.read_tls(&mut self.socket)?;
            self.process()?;
            self.drain()?;
        }
    }
}

impl Write for TlsLink {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        // What was encrypted before must leave first, so that little waits here.
        self.drain()?;
        let len = self.connection.writer().write(from)?;
        match self.drain() {
            // It is encrypted, and leaves with the next.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => other?,
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.connection.writer().flush()?;
        self.drain()
    }
}

impl Link for TlsLink {
    fn set_wait(&mut self, wait: Duration) -> io::Result<()> {
        set_wait(self.socket.get_ref(), wait)
    }

    fn identities(&self) -> (PeerId, PeerId) {
        (self.own, self.peer)
    }

    /// Every record has a tag of 128 bits.
    fn is_sealed(&self) -> bool {
        true
    }

    fn address(&self) -> String {
        format!("tls:{} ({})", self.address, self.peer)
    }
}

/// Connects to a host and port, and to who is trusted there.
pub struct TlsDial {
    to: String,
    config: Arc<ClientConfig>,
    own: Identity,
}

impl TlsDial {
    /// To `HOST:PORT`, with this key, if one of these is there.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(to: &str, key: &Key, trusted: &[Identity]) -> Result<Self, TlsError> {
        let provider = provider();
        let pinned =
            Arc::new(Pinned { trusted: trusted.to_vec(), provider: Arc::clone(&provider) });
        let keys = AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&key.certified));
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_client_cert_resolver(Arc::new(keys));
        Ok(Self { to: to.to_owned(), config: Arc::new(config), own: key.identity })
    }

    fn link(&self, socket: TcpStream) -> io::Result<TlsLink> {
        // No name is checked, since keys are; one is sent by the protocol only if it is a name.
        let name = ServerName::from(socket.peer_addr()?.ip());
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        let connection = connection.map_err(io::Error::other)?;
        let mut link = TlsLink::begin(connection.into(), socket, self.own)?;
        let begun = Instant::now();
        while !link.go_on()? {
            let left = ENTER_MAX.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(too_slow::<TlsLink>());
            }
            ready_within(link.awaited(), left)?;
        }
        Ok(link)
    }
}

impl Dial for TlsDial {
    fn dial(&mut self, wait: Duration) -> io::Result<Box<dyn Link>> {
        dial("tls", &self.to, wait, |socket| self.link(socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Listen;

    const WAIT: Duration = Duration::from_secs(10);

    type Linked = Box<dyn Link>;

    /// Both ends of a connection, if both prove themselves to each other.
    fn connect(
        near: (&Key, Identity),
        far: (&Key, Identity),
    ) -> (io::Result<Linked>, Option<Linked>) {
        let mut listen = TlsListen::bind("127.0.0.1:0", far.0, &[far.1]).unwrap();
        let to = listen.address().unwrap().to_string();
        let mut dial = TlsDial::new(&to, near.0, &[near.1]).unwrap();
        std::thread::scope(|scope| {
            let accepting = scope.spawn(move || listen.accept(WAIT).unwrap());
            // In TLS 1.3 a client is done before it is known whether the server takes it.
            let dialled = dial.dial(WAIT).and_then(|mut link| {
                link.set_wait(WAIT)?;
                Ok(link)
            });
            (dialled, accepting.join().unwrap())
        })
    }

    #[test]
    fn those_who_trust_each_other_talk() {
        let (near, far) = (Key::generate().unwrap(), Key::generate().unwrap());
        let (dialled, accepted) = connect((&near, far.identity()), (&far, near.identity()));
        let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!(dialled.identities(), (near.identity(), far.identity()));
        assert_eq!(accepted.identities(), (far.identity(), near.identity()));
        let text: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let (sent, echo) = (text.clone(), &mut accepted);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut bytes = vec![0; 1 << 20];
                echo.set_wait(WAIT).unwrap();
                echo.read_exact(&mut bytes).unwrap();
                echo.write_all(&bytes).unwrap();
                echo.flush().unwrap();
            });
            dialled.write_all(&sent).unwrap();
            dialled.flush().unwrap();
            let mut bytes = vec![0; 1 << 20];
            dialled.read_exact(&mut bytes).unwrap();
            assert!(bytes == text);
        });
        dialled.set_wait(Duration::ZERO).unwrap();
        let waited = dialled.read(&mut [0]).unwrap_err();
        assert_eq!(waited.kind(), ErrorKind::WouldBlock, "a wait ends, and breaks nothing");
        accepted.write_all(b"!").unwrap();
        accepted.flush().unwrap();
        dialled.set_wait(WAIT).unwrap();
        let mut byte = [0];
        dialled.read_exact(&mut byte).unwrap();
        drop(accepted);
        assert!(dialled.read(&mut byte).is_err(), "an end that nobody announced is none");
    }

    #[test]
    fn whoever_is_not_trusted_is_refused_by_either_end() {
        let [near, far, other] = [(); 3].map(|()| Key::generate().unwrap());
        let (dialled, _) = connect((&near, other.identity()), (&far, near.identity()));
        let error = dialled.err().unwrap().to_string();
        assert!(error.contains("--trust"), "{error}");
        let (dialled, accepted) = connect((&other, far.identity()), (&far, near.identity()));
        assert!(accepted.is_none());
        // It learns of it at the latest when it reads.
        if let Ok(mut link) = dialled {
            assert!(link.read(&mut [0]).is_err());
        }
    }

    #[test]
    fn what_speaks_no_tls_is_refused() {
        let key = Key::generate().unwrap();
        let mut listen = TlsListen::bind("127.0.0.1:0", &key, &[key.identity()]).unwrap();
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"ABIDEHO\n", b""] {
            let mut socket = TcpStream::connect(listen.address().unwrap()).unwrap();
            socket.write_all(bytes).unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(listen.accept(WAIT).unwrap().is_none());
        }
    }

    #[test]
    fn who_says_nothing_keeps_nobody_out() {
        let (near, far) = (Key::generate().unwrap(), Key::generate().unwrap());
        let mut listen = TlsListen::bind("127.0.0.1:0", &far, &[near.identity()]).unwrap();
        let to = listen.address().unwrap();
        // More than are waited for at once; some have begun to speak.
        let silent: Vec<TcpStream> = (0..100u8)
            .map(|n| {
                let mut socket = TcpStream::connect(to).unwrap();
                socket.write_all(&[0x16, 3, 1][..usize::from(n % 4)]).unwrap();
                socket
            })
            .collect();
        let mut dial = TlsDial::new(&to.to_string(), &near, &[far.identity()]).unwrap();
        std::thread::scope(|scope| {
            let dialled = scope.spawn(move || dial.dial(WAIT).unwrap());
            let accepted = std::iter::repeat_with(|| listen.accept(WAIT).unwrap());
            let accepted = accepted.flatten().next().unwrap();
            assert_eq!(accepted.identities().1, near.identity());
            dialled.join().unwrap();
        });
        drop(silent);
    }

    #[test]
    fn keys_and_identities_are_read_as_they_are_written() {
        let key = Key::generate().unwrap();
        let again = Key::read(&key.text()).unwrap();
        assert_eq!(again.identity(), key.identity());
        assert_eq!(identity(&key.identity().to_string()).unwrap(), key.identity());
        let cut = &key.text()[..60];
        for bad in ["", "abide-private-key-1", "abide-private-key-1 zz", cut] {
            assert!(Key::read(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(66)] {
            assert!(identity(bad).is_err(), "{bad:?}");
        }
    }
}
