//! Fields that are derived with knowledge of the world: where an address is. The core knows nothing of them: in a definition they
//! are code with a name and a version.

#[cfg(feature = "geoip")]
mod geoip;

#[cfg(feature = "geoip")]
pub use geoip::{GeoIp, GeoIpError};
