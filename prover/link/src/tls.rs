//! TLS 1.3 with raw public keys (RFC 7250): both sides show an Ed25519 key, and prove that it is
//! theirs. There are no certificates, no dates, no names.

use crate::key::{LinkId, LinkKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::ring;
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerMisbehaved, ServerConfig, SignatureScheme,
};
use std::sync::Arc;

/// What is spoken once two sides know each other: node and prover, as on the local socket.
pub(crate) const LINK: &[u8] = b"postmesh-link/1";
/// What a prover speaks that has an invitation.
pub(crate) const PAIRING: &[u8] = b"postmesh-pairing/1";

/// What stands before the 32 bytes of an Ed25519 key in its SPKI (RFC 8410, section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The node's side. Any key may knock; who it belongs to is asked after the handshake.
pub(crate) fn server(key: &LinkKey) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(RawKeys { expected: None }))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown(key)?)));
    config.alpn_protocols = vec![LINK.to_vec(), PAIRING.to_vec()];
    // Each connection shows its key.
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The prover's side: nobody but `expected` is talked to.
pub(crate) fn client(
    key: &LinkKey,
    expected: Expected,
    alpn: &[u8],
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(RawKeys { expected: Some(expected) }))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(shown(key)?)));
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The key of a raw public key as TLS carries it; `None` for anything else.
pub(crate) fn id_of(spki: &[u8]) -> Option<LinkId> {
    spki.strip_prefix(&SPKI)?.try_into().ok().map(LinkId)
}

fn shown(key: &LinkKey) -> Result<Arc<CertifiedKey>, Error> {
    let spki = [&SPKI[..], &key.id().0].concat();
    let signer = ring::sign::any_eddsa_type(&key.pkcs8())?;
    Ok(Arc::new(CertifiedKey::new(vec![spki.into()], signer)))
}

/// Who is expected.
pub(crate) type Expected = Box<dyn Fn(LinkId) -> bool + Send + Sync>;

/// Takes raw Ed25519 keys only: the expected one, or any.
struct RawKeys {
    expected: Option<Expected>,
}

impl core::fmt::Debug for RawKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RawKeys")
    }
}

impl RawKeys {
    fn check(&self, shown: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<(), Error> {
        let id = id_of(shown).filter(|_| more.is_empty());
        let id = id.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.expected.as_ref().is_none_or(|expected| expected(id)) {
            return Ok(());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    /// That the other side has the key that it shows.
    fn signed(
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let spki = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signature, &algorithms)
    }

    fn too_old() -> Error {
        PeerMisbehaved::SelectedUnofferedCipherSuite.into()
    }
}

impl ServerCertVerifier for RawKeys {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(shown, more).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Self::too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signed(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for RawKeys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(shown, more).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Self::too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signed(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
