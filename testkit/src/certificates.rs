//! Certificates for servers with TLS, created for each test.
//!
//! ```text
//! evs authority ----+--- server.pem    localhost, 127.0.0.1
//!                   +--- client.pem
//! evs stranger  --------- stranger-client.pem
//! ```
//!
//! Files that are made anew never expire, and no key has to be in the repository.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// PEM files for servers and clients: certificates that they must accept, and others that they must not.
///
/// A server's certificate is for `localhost` and 127.0.0.1, and for no other name or address.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Creates the files in a folder.
    ///
    /// # Errors
    ///
    /// If the files cannot be written.
    ///
    /// # Panics
    ///
    /// If there are no random numbers for keys.
    pub fn write(folder: &Path) -> io::Result<Self> {
        let (ca, stranger) = (Authority::new("evs authority"), Authority::new("evs stranger"));
        let client = ca.issue(&[], ExtendedKeyUsagePurpose::ClientAuth);
        fs::write(folder.join("ca.pem"), &ca.pem)?;
        fs::write(folder.join("stranger.pem"), &stranger.pem)?;
        client.write(folder, "client")?;
        stranger.issue(&[], ExtendedKeyUsagePurpose::ClientAuth).write(folder, "stranger-client")?;

        let server = ca.issue(&["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
        for kind in ["server", "asking"] {
            let folder = folder.join(kind);
            fs::create_dir(&folder)?;
            fs::write(folder.join("ca.pem"), &ca.pem)?;
            server.write(&folder, "server")?;
        }
        client.write(&folder.join("asking"), "client")?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder of a server with TLS, for `EVS_SERVICES_TLS`.
    pub fn of_server(&self) -> PathBuf {
        self.folder.join("server")
    }

    /// The folder of a server that asks its clients for certificates.
    pub fn of_asking_server(&self) -> PathBuf {
        self.folder.join("asking")
    }

    /// The authority that issues the certificates of the servers and the clients.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Another authority, which nobody trusts.
    pub fn stranger(&self) -> PathBuf {
        self.folder.join("stranger.pem")
    }

    /// A client's certificate, and its key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("client.pem"), self.folder.join("client.key"))
    }

    /// A client's certificate that the other authority has issued, and its key.
    pub fn strange_client(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("stranger-client.pem"), self.folder.join("stranger-client.key"))
    }
}

/// An authority, which issues certificates.
struct Authority {
    /// The key and name with which it signs.
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pem: String,
}

impl Authority {
    /// Makes an authority of that name.
    fn new(name: &str) -> Self {
        let mut params = named(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("randomness");
        let pem = params.self_signed(&key).expect("a complete certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Issues a certificate for these names and that purpose.
    fn issue(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = named(names, "evs");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("a complete certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// The parameters of a certificate for these names.
fn named(names: &[&str], common_name: &str) -> CertificateParams {
    let names = names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).expect("names of hosts, and addresses");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// A certificate and its key.
struct Identity {
    /// The certificate, in PEM.
    certificate: String,
    /// The key, in PEM.
    key: String,
}

impl Identity {
    /// Writes the certificate to `NAME.pem` and the key to `NAME.key`.
    fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        fs::write(folder.join(format!("{name}.pem")), &self.certificate)?;
        fs::write(folder.join(format!("{name}.key")), &self.key)
    }
}
