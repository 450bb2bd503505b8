//! Encrypted connections, as strict as libpq's `sslmode` of the same name.

use std::sync::Arc;

use drdrill_core::postgres::{Server, Tls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::target::TargetError;

/// Makes the encrypted connections to a server, where there are to be any.
pub(super) fn connector(server: &Server) -> Result<MakeRustlsConnect, TargetError> {
    let provider = Arc::new(ring::default_provider());
    let trouble = |error: &dyn std::fmt::Display| TargetError::Certificates(error.to_string());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| trouble(&error))?;
    let config = if server.tls == Tls::VerifyFull {
        config.with_root_certificates(trusted(server)?)
    } else {
        config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn trusted(server: &Server) -> Result<RootCertStore, TargetError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = &server.ca else {
        // One of the machine's that cannot be read is none that anybody relies on.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let why =
                "this machine trusts nobody; install ca-certificates, or name a file with `ca`";
            return Err(TargetError::Certificates(why.to_owned()));
        }
        return Ok(roots);
    };
    let trouble = |error: &dyn std::fmt::Display| {
        TargetError::Certificates(format!("{}: {error}", file.display()))
    };
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| trouble(&error))? {
        let certificate = certificate.map_err(|error| trouble(&error))?;
        roots.add(certificate).map_err(|error| trouble(&error))?;
    }
    if roots.is_empty() {
        return Err(trouble(&"there is no certificate in it"));
    }
    Ok(roots)
}

/// Takes any certificate, as `prefer` and `require` of libpq do: what is sent is encrypted, to whomever.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
