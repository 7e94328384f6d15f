use std::error::Error as _;

use evs_core::describe;
use proptest::{collection::vec, prelude::*};

use super::*;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/geoip").join(name)
}

fn open(name: &str) -> GeoIp {
    GeoIp::open("geo", 1, file(name)).unwrap()
}

/// Opens a database of these bytes.
fn open_bytes(bytes: &[u8]) -> Result<GeoIp, GeoIpError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("geo.mmdb");
    fs::write(&path, bytes).unwrap();
    GeoIp::open("geo", 1, path)
}

/// The value of a field that a database derives, found by the path in its text.
fn value(geo: &GeoIp, field: &Field, address: &[u8]) -> String {
    let text = field.to_string();
    let path = text.split('"').nth(1).unwrap();
    parse_address(address)
        .and_then(|address| geo.database.text(address, path))
        .unwrap_or_else(|| "-".to_owned())
}

#[test]
fn addresses_of_all_shapes_are_found() {
    let geo = open("GeoLite2-City-Test.mmdb");
    let country = geo.country("remote_addr").unwrap();
    for (address, expected) in [
        ("81.2.69.160", "GB"),
        ("81.2.69.160:8080", "GB"),
        ("::ffff:81.2.69.160", "GB"),
        ("[::ffff:81.2.69.160]:443", "GB"),
        ("89.160.20.112", "SE"),
        ("2001:480::1", "US"),
        ("[2001:480::1]", "US"),
        ("[2001:480::1]:443", "US"),
        // No database has a country for these.
        ("127.0.0.1", "-"),
        ("10.0.0.1", "-"),
        ("::1", "-"),
        // No addresses.
        ("unix:", "-"),
        ("-", "-"),
        ("", "-"),
        ("81.2.69", "-"),
        ("81.2.69.160, 10.0.0.1", "-"),
    ] {
        assert_eq!(value(&geo, &country, address.as_bytes()), expected, "{address}");
    }
}

#[test]
fn methods_give_the_values_of_maxminds_layout() {
    let geo = open("GeoLite2-City-Test.mmdb");
    let asn = open("GeoLite2-ASN-Test.mmdb");
    let of = |field: Result<Field, GeoIpError>| field.unwrap();
    for (geo, field, address, column, expected) in [
        (&geo, of(geo.country("a")), "2.125.160.216", "country", "GB"),
        (&geo, of(geo.continent("a")), "2.125.160.216", "continent", "EU"),
        (&geo, of(geo.city("a")), "2.125.160.216", "city", "Boxford"),
        (&geo, of(geo.subdivision("a")), "2.125.160.216", "subdivision", "ENG"),
        (
            &geo,
            of(geo.at("a", "subdivisions.-1.iso_code")),
            "2.125.160.216",
            "subdivisions__1_iso_code",
            "WBK",
        ),
        (&geo, of(geo.at("a", "location.latitude")), "81.2.69.142", "location_latitude", "51.5142"),
        (&geo, of(geo.at("a", "city.names.pt-BR")), "81.2.69.142", "city_names_pt_BR", "Londres"),
        (&asn, of(asn.asn("a")), "1.128.0.1", "asn", "1221"),
        (&asn, of(asn.organization("a")), "1.128.0.1", "organization", "Telstra Pty Ltd"),
        // A record that lacks the value.
        (&asn, of(asn.organization("a")), "12.81.96.1", "organization", "-"),
    ] {
        assert_eq!(value(geo, &field, address.as_bytes()), expected, "{field} of {address}");
        assert_eq!(field.name(), column, "{field}");
    }
}

#[test]
fn values_of_every_type_become_text() {
    let geo = open("MaxMind-DB-test-decoder.mmdb");
    for (path, expected) in [
        ("utf8_string", "unicode! \u{262f} - \u{266b}"),
        ("boolean", "true"),
        ("double", "42.123456"),
        ("float", "1.1"),
        ("int32", "-268435456"),
        ("uint16", "100"),
        ("uint64", "1152921504606846976"),
        ("uint128", "1329227995784915872903807060280344576"),
        ("array.0", "1"),
        ("array.-1", "3"),
        ("map.mapX.utf8_stringX", "hello"),
    ] {
        let field = geo.at("a", path).unwrap();
        assert_eq!(value(&geo, &field, b"1.1.1.0"), expected, "{path}");
    }
    // What is no text, number or boolean is no value.
    for path in ["array", "array.3", "map", "bytes", "map.0", "array.x", "utf8_string.x", "", ".", "map."] {
        assert!(matches!(geo.at("a", path), Err(GeoIpError::NoValue { .. })), "{path}");
    }
}

#[test]
fn the_definition_has_name_version_and_path_and_not_the_file() {
    let geo = GeoIp::open("geo", 7, file("GeoLite2-City-Test.mmdb")).unwrap();
    let country = geo.country("remote_addr").unwrap();
    assert_eq!(country.to_string(), r#"geo@7(remote_addr, "country.iso_code")"#);
    let newer = GeoIp::open("geo", 7, file("GeoLite2-City-Test.mmdb")).unwrap();
    assert_eq!(newer.country("remote_addr").unwrap(), country);
    assert_ne!(newer.city("remote_addr").unwrap(), country);
    let other = GeoIp::open("geo", 8, file("GeoLite2-City-Test.mmdb")).unwrap();
    assert_ne!(other.country("remote_addr").unwrap(), country);
}

#[test]
fn a_value_that_the_database_does_not_have_is_an_error_with_its_type() {
    let error = open("GeoLite2-City-Test.mmdb").asn("remote_addr").unwrap_err();
    let path = file("GeoLite2-City-Test.mmdb");
    assert_eq!(
        error.to_string(),
        format!(
            "no record of the address database {path:?} has a value at \"autonomous_system_number\"; check that path, or \
             use another database: this one is a GeoLite2-City"
        )
    );
    assert!(open("GeoLite2-ASN-Test.mmdb").country("remote_addr").is_err());
}

#[test]
fn files_that_are_no_database_are_errors_with_their_path() {
    let error = GeoIp::open("geo", 1, "/no/such/file").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the address database \"/no/such/file\" cannot be read; check its path and permissions"
    );
    assert!(error.source().is_some() && describe(&error).contains(": No such file"), "{}", describe(&error));

    let whole = fs::read(file("GeoLite2-City-Test.mmdb")).unwrap();
    for (what, bytes) in [
        ("nothing", &b""[..]),
        ("a packed file", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
        ("a web page", b"<html><title>Sign in</title></html>"),
        ("the first half", &whole[..whole.len() / 2]),
        ("all but the end", &whole[..whole.len() - 40]),
        ("the metadata alone", &whole[whole.len() - 800..]),
    ] {
        let error = open_bytes(bytes).expect_err(what);
        assert!(matches!(error, GeoIpError::NoDatabase { .. }), "{what}: {error}");
        let text = error.to_string();
        assert!(text.contains("geo.mmdb\" is no whole address database"), "{what}: {text}");
    }
}

#[test]
fn damaged_records_have_no_values() {
    let geo = open("MaxMind-DB-test-broken-pointers-24.mmdb");
    // 1.1.1.16 has a pointer to a record beyond the file, and 1.1.1.32 one into the middle of a record.
    for address in ["1.1.1.16", "1.1.1.32"] {
        assert_eq!(geo.database.text(address.parse().unwrap(), "ip"), None, "{address}");
    }
    assert_eq!(geo.database.text([1, 1, 1, 1].into(), "ip").as_deref(), Some("1.1.1.1"));
}

#[test]
fn a_search_in_a_tree_with_cycles_ends() {
    let mut bytes = fs::read(file("GeoLite2-City-Test.mmdb")).unwrap();
    let nodes = open("GeoLite2-City-Test.mmdb").database.reader.metadata().node_count as usize;
    // With 28 bits a record, a node has 7 bytes: both records of every node lead to the first.
    bytes[..nodes * 7].fill(0);
    let geo = open_bytes(&bytes).unwrap();
    assert_eq!(geo.database.reader.metadata().record_size, 28);
    assert!(matches!(geo.country("a"), Err(GeoIpError::NoValue { .. })));
    assert_eq!(geo.database.text([81, 2, 69, 160].into(), "country.iso_code"), None);
}

#[test]
fn a_file_that_is_replaced_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("geo.mmdb");
    fs::copy(file("GeoLite2-City-Test.mmdb"), &path).unwrap();
    let geo = GeoIp::open("geo", 1, &path).unwrap();
    fs::write(&path, "").unwrap();
    assert_eq!(value(&geo, &geo.country("a").unwrap(), b"81.2.69.160"), "GB");
}

#[test]
fn an_address_of_ipv6_is_not_in_a_database_of_ipv4() {
    let geo = open("MaxMind-DB-test-broken-pointers-24.mmdb");
    assert_eq!(geo.database.reader.metadata().ip_version, 4);
    assert_eq!(geo.database.text("2001:db8::1".parse().unwrap(), "ip"), None);
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in vec(any::<u8>(), 0..64)) {
        let geo = open("MaxMind-DB-test-broken-pointers-24.mmdb");
        let path = String::from_utf8_lossy(&text).into_owned();
        let _ = geo.at("a", &path).map(|field| field.name());
        let address = parse_address(&text).unwrap_or(IpAddr::from([1, 1, 1, 1]));
        let _ = geo.database.text(address, &path);
    }

    #[test]
    fn no_damage_is_a_panic(
        name in prop::sample::select(vec!["GeoLite2-City-Test.mmdb", "MaxMind-DB-test-decoder.mmdb"]),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        addresses in vec(any::<u128>(), 8),
    ) {
        let mut bytes = fs::read(file(name)).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(geo) = open_bytes(&bytes) {
            for path in ["country.iso_code", "subdivisions.0.iso_code", "double", "array.-1", "no.such"] {
                let _ = geo.at("a", path);
                for address in &addresses {
                    let low = *address as u32;
                    let _ = geo.database.text(IpAddr::from(address.to_be_bytes()), path);
                    let _ = geo.database.text(IpAddr::from(low.to_be_bytes()), path);
                }
                for address in ["81.2.69.160", "89.160.20.112", "2001:480::1", "1.1.1.0"] {
                    let _ = geo.database.text(address.parse().unwrap(), path);
                }
            }
        }
    }
}
