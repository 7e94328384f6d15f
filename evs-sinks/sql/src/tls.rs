//! What the driver needs for TLS, and does not see to itself.

use rustls::crypto::{CryptoProvider, ring};

/// Gives the process a provider of cryptography, unless it has chosen one.
///
/// To check an authority without a name, the driver uses the process's, and not its own. rustls takes the only one that
/// is compiled in, and panics where there are two, as beside the sink for Cassandra.
pub fn provide_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Whoever was faster has provided for it, too.
        let _ = ring::default_provider().install_default();
    }
}
