//! [`GeoIp`]: countries, cities and networks' owners from a database in MaxMind's format.

use std::{
    error, fmt, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use evs_core::{Field, combine, constant, parse_address};
use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader, WithinOptions};
use serde::de::{Deserialize, Deserializer, Visitor};

/// A database of addresses, by which fields such as the country of a client are derived.
///
/// It reads files in MaxMind's format (`.mmdb`): GeoLite2 and GeoIP2, and those of others. evs brings no database along.
/// `GeoLite2-City.mmdb`, for example, is free of charge with an account at MaxMind, and `GeoLite2-ASN.mmdb` has the autonomous
/// systems. A method fails at once if the database has no such values, so that a column is not `-` in all rows.
///
/// A derived field is the key of a statistic, the number of a measure, or a part of a condition, like any other. It takes any
/// text that [`parse_address`] takes: an address of IPv4 or IPv6, in brackets or with a port. Its value is absent (`-`) if the
/// text is no address, the database does not have the address, or its record there lacks the value or is damaged.
///
/// A clone is cheap, and shares the database.
///
/// # Name and version
///
/// The name and the version stand for the database in the definition of a statistic, as those of a [`Lookup`](crate::Lookup)
/// do, and the file does not. So a service may start with the newer file of each month, and its rows are added to those of
/// the older file. Raise the version, or choose another name, when the rows must not be added up: after a change to another
/// vendor, for example. A running pipeline keeps the database that it has been built with.
///
/// ```
/// use evs::{GeoIp, Statistic, count, field};
///
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-City-Test.mmdb");
/// let geo = GeoIp::open("geo", 1, path)?;
/// let country = geo.country("remote_addr")?;
/// assert_eq!(country.to_string(), r#"geo@1(remote_addr, "country.iso_code")"#);
/// assert_eq!(country.name(), "country");
///
/// let german_traffic = Statistic::named("german_traffic")
///     .only(country.eq("DE"))
///     .group_by([geo.city("remote_addr")?, field("status")])
///     .measure(count());
/// # Ok::<(), evs::GeoIpError>(())
/// ```
///
/// # Other databases
///
/// The methods for single values read the layout of MaxMind, which DB-IP and others share. [`at`](Self::at) reads any other.
#[derive(Clone)]
pub struct GeoIp {
    name: String,
    version: u32,
    database: Arc<Database>,
}

impl GeoIp {
    /// Reads a database into memory: GeoLite2-City takes about 60 MB. The file may be replaced or removed afterwards.
    ///
    /// The name has letters, digits and `_`, and begins with a letter. [Name and version](Self#name-and-version) stand for the
    /// database in the definition of a statistic.
    ///
    /// # Errors
    ///
    /// [`GeoIpError::Unreadable`] if the file cannot be read, and [`GeoIpError::NoDatabase`] if it is no database, is a packed
    /// one, or was cut off.
    ///
    /// ```
    /// use evs::{GeoIp, GeoIpError};
    ///
    /// let error = GeoIp::open("geo", 1, "/no/such/GeoLite2-City.mmdb").unwrap_err();
    /// assert!(matches!(error, GeoIpError::Unreadable { .. }));
    /// ```
    pub fn open(name: impl Into<String>, version: u32, path: impl AsRef<Path>) -> Result<Self, GeoIpError> {
        let path = path.as_ref().to_owned();
        // Not mapped: a mapping of a file that is overwritten is undefined behaviour.
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(GeoIpError::Unreadable { path, source }),
        };
        match Reader::from_source(bytes) {
            Ok(reader) => {
                let database = Arc::new(Database { path, reader });
                Ok(Self { name: name.into(), version, database })
            }
            Err(error) => Err(GeoIpError::NoDatabase { path, reason: error.to_string() }),
        }
    }

    /// The type that the database says it has, such as `GeoLite2-City`.
    ///
    /// ```
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-ASN-Test.mmdb");
    /// let asn = evs::GeoIp::open("asn", 1, path)?;
    /// assert_eq!(asn.database_type(), "GeoLite2-ASN");
    /// # Ok::<(), evs::GeoIpError>(())
    /// ```
    pub fn database_type(&self) -> &str {
        &self.database.reader.metadata().database_type
    }

    /// The country of an address by its code of two letters (ISO 3166-1), such as `DE`. The column is `country`.
    ///
    /// # Errors
    ///
    /// As [`at`](Self::at).
    ///
    /// ```
    /// use evs::{GeoIp, arg, count, sum};
    ///
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-City-Test.mmdb");
    /// let geo = GeoIp::open("geo", 1, path)?;
    /// let revenue = evs::Statistic::named("revenue")
    ///     .group_by([geo.country("remote_addr")?])
    ///     .measure(sum(arg("v")).scale(2).named("revenue"));
    /// # Ok::<(), evs::GeoIpError>(())
    /// ```
    pub fn country(&self, address: impl Into<Field>) -> Result<Field, GeoIpError> {
        self.derive(address.into(), "country.iso_code", "country")
    }

    /// The continent of an address by its code of two letters, such as `EU`. The column is `continent`.
    ///
    /// # Errors
    ///
    /// As [`at`](Self::at).
    ///
    /// ```
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-City-Test.mmdb");
    /// let geo = evs::GeoIp::open("geo", 1, path)?;
    /// assert_eq!(geo.continent("remote_addr")?.name(), "continent");
    /// # Ok::<(), evs::GeoIpError>(())
    /// ```
    pub fn continent(&self, address: impl Into<Field>) -> Result<Field, GeoIpError> {
        self.derive(address.into(), "continent.code", "continent")
    }

    /// The largest subdivision of a country that an address is in, by its code (ISO 3166-2, without the country), such as `ENG`
    /// for England or `CA` for California. Two countries may have the same code. The column is `subdivision`.
    ///
    /// # Errors
    ///
    /// As [`at`](Self::at).
    ///
    /// ```
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-City-Test.mmdb");
    /// let geo = evs::GeoIp::open("geo", 1, path)?;
    /// let keys = [geo.country("remote_addr")?, geo.subdivision("remote_addr")?];
    /// # Ok::<(), evs::GeoIpError>(())
    /// ```
    pub fn subdivision(&self, address: impl Into<Field>) -> Result<Field, GeoIpError> {
        self.derive(address.into(), "subdivisions.0.iso_code", "subdivision")
    }

    /// The city of an address by its English name, such as `London`. The column is `city`.
    ///
    /// # Errors
    ///
    /// As [`at`](Self::at).
    ///
    /// ```
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-City-Test.mmdb");
    /// let geo = evs::GeoIp::open("geo", 1, path)?;
    /// assert_eq!(geo.city("remote_addr")?.to_string(), r#"geo@1(remote_addr, "city.names.en")"#);
    /// # Ok::<(), evs::GeoIpError>(())
    /// ```
    pub fn city(&self, address: impl Into<Field>) -> Result<Field, GeoIpError> {
        self.derive(address.into(), "city.names.en", "city")
    }

    /// The number of the autonomous system that announces an address, such as `15169`. Databases of networks have it, such as
    /// GeoLite2-ASN. The column is `asn`.
    ///
    /// # Errors
    ///
    /// As [`at`](Self::at).
    ///
    /// ```
    /// use evs::{GeoIp, Statistic};
    ///
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-ASN-Test.mmdb");
    /// let asn = GeoIp::open("asn", 1, path)?;
    /// let networks = Statistic::named("networks").group_by(["host"]).distinct(asn.asn("remote_addr")?);
    /// # Ok::<(), evs::GeoIpError>(())
    /// ```
    pub fn asn(&self, address: impl Into<Field>) -> Result<Field, GeoIpError> {
        self.derive(address.into(), "autonomous_system_number", "asn")
    }

    /// The organization that the autonomous system of an address is registered to, such as `Telstra Pty Ltd`. Databases of
    /// networks have it, such as GeoLite2-ASN. The column is `organization`.
    ///
    /// # Errors
    ///
    /// As [`at`](Self::at).
    ///
    /// ```
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-ASN-Test.mmdb");
    /// let asn = evs::GeoIp::open("asn", 1, path)?;
    /// assert_eq!(asn.organization("remote_addr")?.name(), "organization");
    /// # Ok::<(), evs::GeoIpError>(())
    /// ```
    pub fn organization(&self, address: impl Into<Field>) -> Result<Field, GeoIpError> {
        self.derive(address.into(), "autonomous_system_organization", "organization")
    }

    /// The value at a path of an address's record: the keys of its maps, joined by dots. A whole number is a place in a list,
    /// from 0, and from the end if it is negative: `subdivisions.-1.iso_code`.
    ///
    /// Numbers and booleans become text: `51.5142`, `true`. A value that is a map, a list or bytes is absent. MaxMind's
    /// databases leave a boolean out where it is false. The column has the path's name with `_` in the place of all that is no
    /// letter or digit: `location_time_zone`.
    ///
    /// # Errors
    ///
    /// [`GeoIpError::NoValue`] if no record of the database has such a value: the path is mistyped, or the database is of
    /// another type. The search ends at the first record that has one. If there is none, it takes up to some seconds.
    ///
    /// ```
    /// use evs::{GeoIp, GeoIpError};
    ///
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/GeoLite2-City-Test.mmdb");
    /// let geo = GeoIp::open("geo", 1, path)?;
    /// let time_zone = geo.at("remote_addr", "location.time_zone")?;
    /// assert_eq!(time_zone.name(), "location_time_zone");
    ///
    /// // The database of cities knows no autonomous systems.
    /// let error = geo.at("remote_addr", "autonomous_system_number").unwrap_err();
    /// assert!(matches!(error, GeoIpError::NoValue { .. }));
    /// # Ok::<(), GeoIpError>(())
    /// ```
    pub fn at(&self, address: impl Into<Field>, path: &str) -> Result<Field, GeoIpError> {
        let is_of_name = |c: char| c.is_ascii_alphanumeric();
        let column: String = path.chars().map(|c| if is_of_name(c) { c } else { '_' }).collect();
        self.derive(address.into(), path, &column)
    }

    fn derive(&self, address: Field, path: &str, column: &str) -> Result<Field, GeoIpError> {
        if !self.database.has(path) {
            return Err(GeoIpError::NoValue {
                path: self.database.path.clone(),
                database_type: self.database_type().to_owned(),
                value: path.to_owned(),
            });
        }
        let database = Arc::clone(&self.database);
        let at = path.to_owned();
        // The path is an input, too: so it stands in the definition.
        let inputs = [address, constant("path", path)];
        let write = move |values: &[&[u8]], out: &mut Vec<u8>| {
            let text = values.first().and_then(|text| database.text(parse_address(text)?, &at));
            out.extend_from_slice(text.as_deref().unwrap_or("-").as_bytes());
        };
        Ok(combine(&self.name, self.version, inputs, write).named(column))
    }
}

impl fmt::Debug for GeoIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoIp")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("path", &self.database.path)
            .field("database_type", &self.database_type())
            .finish()
    }
}

/// A database cannot be used by [`GeoIp`].
#[derive(Debug)]
#[non_exhaustive]
pub enum GeoIpError {
    /// The operating system could not read the file.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is no database in MaxMind's format, or a part of one.
    NoDatabase {
        /// The file.
        path: PathBuf,
        /// The mistake in the file.
        reason: String,
    },
    /// No record of the database has the value.
    NoValue {
        /// The database's file.
        path: PathBuf,
        /// The type that the database says it has.
        database_type: String,
        /// The value's path in a record.
        value: String,
    },
}

impl fmt::Display for GeoIpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, .. } => {
                write!(f, "the address database {path:?} cannot be read; check its path and permissions")
            }
            Self::NoDatabase { path, reason } => write!(
                f,
                "{path:?} is no whole address database in MaxMind's format; unpack it or fetch it again ({reason})"
            ),
            Self::NoValue { path, database_type, value } => write!(
                f,
                "no record of the address database {path:?} has a value at {value:?}; check that path, or use another \
                 database: this one is a {database_type}"
            ),
        }
    }
}

impl error::Error for GeoIpError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::NoDatabase { .. } | Self::NoValue { .. } => None,
        }
    }
}

/// The records of a file. Damaged ones have no values.
struct Database {
    path: PathBuf,
    reader: Reader<Vec<u8>>,
}

type Found<'a> = LookupResult<'a, Vec<u8>>;

impl Database {
    /// The text of a value in the record of an address.
    fn text(&self, address: IpAddr, path: &str) -> Option<String> {
        text(&self.reader.lookup(address).ok()?, &elements(path))
    }

    /// True if a record has the value.
    fn has(&self, path: &str) -> bool {
        let elements = elements(path);
        // A tree has fewer networks than two per node. A damaged one may have cycles, and so 2^128 networks, with data or
        // without.
        let networks_max = (self.reader.metadata().node_count as usize).saturating_mul(2);
        let options = WithinOptions::default().include_networks_without_data();
        let mut last = None;
        self.reader.networks(options).is_ok_and(|networks| {
            networks.take(networks_max).filter_map(Result::ok).any(|found: Found<'_>| {
                // Networks that follow each other often share a record.
                let is_repeated = last == found.offset();
                last = found.offset();
                !is_repeated && text(&found, &elements).is_some()
            })
        })
    }
}

/// The steps of a path: keys of maps, and places in lists.
fn elements(path: &str) -> Vec<PathElement<'_>> {
    let element = |step| str::parse::<i32>(step).map_or(PathElement::Key(step), PathElement::from);
    path.split('.').map(element).collect()
}

/// The value as a text, if there is one.
fn text(found: &Found<'_>, path: &[PathElement<'_>]) -> Option<String> {
    let value: Result<Option<Text>, MaxMindDbError> = found.decode_path(path);
    value.ok().flatten().map(|value| value.0).filter(|text| !text.is_empty())
}

/// A text, number or boolean of a record, as text.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a boolean")
            }

            fn visit_str<E>(self, value: &str) -> Result<Text, E> {
                Ok(Text(value.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            // As an f64, 1.1 would be 1.100000023841858.
            fn visit_f32<E>(self, value: f32) -> Result<Text, E> {
                Ok(Text(if value.is_finite() { value.to_string() } else { String::new() }))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
                Ok(Text(if value.is_finite() { value.to_string() } else { String::new() }))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

#[cfg(test)]
mod tests;
