//! Separate servers for a test, which can kill and restart them.
//!
//! The servers of [`services`](crate::services) are shared by all tests, so nobody may kill one. A test of outages
//! starts a server of its own.

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// A server that nobody else uses. When this is dropped, the server is removed with its data.
///
/// ```no_run
/// use evs_testkit::Instance;
///
/// let server = Instance::start("postgres", &[])?;
/// server.kill();
/// // ... evs notices, and keeps its batches ...
/// server.start_again();
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Instance {
    /// The name for `scripts/services`: `mysql@outage-…`.
    name: String,
    /// The address on which the server listens.
    address: SocketAddr,
    /// The URL for clients.
    url: String,
    /// The folder of its data.
    folder: PathBuf,
}

impl Instance {
    /// Starts a server of a kind (`mysql`, `postgres`, `mongo`, `cassandra`), with the given variables in the
    /// environment of `scripts/services`.
    ///
    /// # Errors
    ///
    /// The error output of `scripts/services`, if it fails.
    ///
    /// # Panics
    ///
    /// If `scripts/services` returns a URL without a loopback address.
    pub fn start(kind: &str, variables: &[(&str, &str)]) -> Result<Self, String> {
        let name = format!("{kind}@outage-{:016x}", RandomState::new().hash_one(std::process::id()));
        if let Err(error) = services("start", &name, variables) {
            // Nothing that is left of the server is useful, and the first error says more than a second one.
            let _ = services("remove", &name, &[]);
            return Err(error);
        }
        let url = services("url", &name, &[])?.trim().to_owned();
        let address = address_of(&url).unwrap_or_else(|| panic!("{name}: no address in its URL"));
        let folder = services("folder", &name, &[])?.trim().into();
        Ok(Self { name, address, url, folder })
    }

    /// The folder of its data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its URL, the same for as long as it lives.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it with SIGKILL, all of its processes at once.
    ///
    /// # Panics
    ///
    /// Panics if `scripts/services` fails, as the methods below do.
    pub fn kill(&self) {
        self.must("kill");
    }

    /// Ends it in good order.
    pub fn stop(&self) {
        self.must("stop");
    }

    /// Starts it again, on the same port and with the data that it had. Returns when it answers.
    pub fn start_again(&self) {
        self.must("start");
    }

    /// Runs a command for this server, and panics if it fails.
    fn must(&self, command: &str) {
        if let Err(error) = services(command, &self.name, &[]) {
            panic!("{command} {}: {error}", self.name);
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = services("remove", &self.name, &[]) {
            eprintln!("{} is left behind: {error}", self.name);
        }
    }
}

/// Runs `scripts/services` and returns its output, or its error.
fn services(command: &str, name: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
    let run = Command::new(&script).args([command, name]).envs(variables.iter().copied()).output();
    let output = run.map_err(|error| format!("{}: {error}", script.display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// The address within a URL.
fn address_of(url: &str) -> Option<SocketAddr> {
    let (_, rest) = url.split_once("://")?;
    let place = rest.split(['/', '?']).next()?;
    place.rsplit('@').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_urls() {
        let address = Some("127.0.0.1:20000".parse().unwrap());
        assert_eq!(address_of("mysql://evs:evs@127.0.0.1:20000/evs"), address);
        assert_eq!(address_of("cassandra://127.0.0.1:20000/evs?dc=a"), address);
        assert_eq!(address_of("mysql://evs@localhost/evs"), None);
    }
}
