//! A part of TLS that the driver needs and does not set up itself.

use rustls::crypto::{CryptoProvider, ring};

/// Installs a cryptography provider for the process, unless it has one.
///
/// To check a certificate's authority but not its name, the driver uses the process's provider, not its own. Without
/// an installed one, rustls takes the only provider that is compiled in, and panics if there are two, as there are
/// beside the sink for Cassandra.
pub fn provide_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // If another thread was faster, its provider is as good.
        let _ = ring::default_provider().install_default();
    }
}
