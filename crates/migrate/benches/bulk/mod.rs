//! What rustls alone encrypts and decrypts, with the cipher suite that it prefers: the one that
//! abide's connections have too. It reads as much memory as guests have, not one piece over and
//! over, which would be in the cache.

use super::{Begin, Kept, Spent, sockets};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection,
    SignatureScheme,
};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How much is encrypted at once, in bytes.
const PIECE_LEN: usize = 64 << 10;

/// Without any socket: the time that the slower of the two ends takes for so many bytes, and the
/// CPU time of both.
pub fn in_memory(bytes: &[u8]) -> Spent {
    let (mut near, mut far) = connected();
    assert_eq!(near.negotiated_cipher_suite(), far.negotiated_cipher_suite());
    let (mut encrypting, mut decrypting) = (Duration::ZERO, Duration::ZERO);
    let (mut wire, mut room) = (Vec::with_capacity(2 * PIECE_LEN), vec![0; PIECE_LEN]);
    let both = Begin::now();
    for piece in bytes.chunks(PIECE_LEN) {
        let begin = Instant::now();
        wire.clear();
        encrypt(&mut near, piece, &mut wire);
        encrypting += begin.elapsed();
        let begin = Instant::now();
        decrypt(&mut far, &mut &wire[..], &mut room[..piece.len()]);
        decrypting += begin.elapsed();
    }
    Spent { time: encrypting.max(decrypting), ..both.spent() }
}

/// Over a TCP connection, with a thread at each end that does nothing else.
pub fn over_tcp(bytes: &[u8], kept: Kept) -> Spent {
    let (mut near, mut far) = connected();
    let (mut to, from) = sockets();
    // It reads four KiB at a time.
    let mut from = BufReader::with_capacity(2 * PIECE_LEN, from);
    let memory = kept.memory(bytes.len());
    let begin = Begin::now();
    thread::scope(|scope| {
        let pieces = || bytes.chunks(PIECE_LEN);
        scope.spawn(move || pieces().for_each(|piece| encrypt(&mut near, piece, &mut to)));
        let (mut at, mut room) = (0, vec![0; PIECE_LEN]);
        for piece in pieces() {
            let room = &mut room[..piece.len()];
            decrypt(&mut far, &mut from, room);
            if let Some(memory) = &memory {
                memory.write_all_at(room, at).expect("room");
            }
            at += room.len() as u64;
        }
    });
    begin.spent()
}

fn encrypt(near: &mut ClientConnection, piece: &[u8], to: &mut impl Write) {
    near.writer().write_all(piece).expect("room for a piece");
    while near.wants_write() {
        near.write_tls(to).expect("who takes all");
    }
}

/// Until `room` was filled once.
fn decrypt(far: &mut ServerConnection, from: &mut impl Read, room: &mut [u8]) {
    let mut at = 0;
    while at < room.len() {
        match far.reader().read(&mut room[at..]) {
            Ok(len) => at += len,
            Err(_) => {
                far.read_tls(from).expect("who gives all");
                far.process_new_packets().expect("good records");
            }
        }
    }
}

/// Both ends, who have shaken hands.
fn connected() -> (ClientConnection, ServerConnection) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("random numbers");
    let der = PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec());
    let key = provider.key_provider.load_private_key(der.into()).expect("a good key");
    let public = key.public_key().expect("it has one").to_vec();
    let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], key));
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let name = ServerName::try_from("bench").expect("a name");
    let mut near = ClientConnection::new(Arc::new(client), name).expect("a good configuration");
    let mut far = ServerConnection::new(Arc::new(server)).expect("a good configuration");
    while near.is_handshaking() || far.is_handshaking() {
        let mut wire = Vec::new();
        near.write_tls(&mut wire).expect("memory takes all");
        far.read_tls(&mut &wire[..]).expect("memory gives all");
        far.process_new_packets().expect("a good client");
        wire.clear();
        while far.wants_write() {
            far.write_tls(&mut wire).expect("memory takes all");
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            near.read_tls(&mut rest).expect("memory gives all");
            near.process_new_packets().expect("a good server");
        }
    }
    (near, far)
}

/// Takes any key: nothing secret is said.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _key: &CertificateDer<'_>,
        _more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 is needed".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
