//! Fields that are derived with knowledge of the world: where an address is, and which program a user agent names.
//!
//! Both stand in a definition as code with a name and a version, followed by the derived value as a text:
//! `geo@1(remote_addr, "country.iso_code")`. So the core knows nothing of them.

#[cfg(feature = "geoip")]
mod geoip;
#[cfg(feature = "user_agent")]
mod user_agent;

#[cfg(feature = "geoip")]
pub use geoip::{GeoIp, GeoIpError};
#[cfg(feature = "user_agent")]
pub use user_agent::{UserAgent, user_agent};
