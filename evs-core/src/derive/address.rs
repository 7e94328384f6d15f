//! Addresses of clients, and the networks that they are in.

use std::net::IpAddr;

use ipnet::IpNet;

use super::expr::ABSENT;

/// The address that a text of a log is: an address, an address with a port, or an IPv6 address in brackets. `None` for any
/// other text, such as `unix:` or `-`.
///
/// An IPv4 address that is written as one of IPv6 (`::ffff:192.0.2.1`) is the IPv4 address: a server that listens on both
/// writes all of them so. [`Field::network`](crate::Field::network) reads addresses in this way, and the code of a
/// [`Field::map`](crate::Field::map) can.
///
/// ```
/// # extern crate evs_core as evs;
/// let address = evs::parse_address(b"[2001:db8::7]:443").unwrap();
/// assert_eq!(address.to_string(), "2001:db8::7");
/// assert_eq!(evs::parse_address(b"::ffff:192.0.2.1"), evs::parse_address(b"192.0.2.1:8080"));
/// assert_eq!(evs::parse_address(b"unix:"), None);
/// ```
pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        // `192.0.2.1:8080` has one colon, and an IPv6 address has two or more.
        None if text.bytes().filter(|byte| *byte == b':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The network that a text is: an address with the length of its prefix, or an address alone. One of IPv4 addresses that are
/// written as those of IPv6 is the network of the IPv4 addresses, as [`parse_address`] reads these.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let network: IpNet = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let of_v4 = match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(bits)) if network.max_prefix_len() == 128 => {
            IpNet::new(address, bits).ok()
        }
        _ => None,
    };
    Some(of_v4.unwrap_or(network).trunc())
}

/// Appends the network of an address: `192.0.2.0/24` for the address 192.0.2.77 and a prefix of 24 bits. `-` for a text
/// that is no address.
pub(super) fn write_network(text: &[u8], (v4, v6): (u8, u8), out: &mut Vec<u8>) {
    let network = parse_address(text).and_then(|address| {
        let bits = if address.is_ipv4() { v4 } else { v6 };
        IpNet::new(address, bits).ok().map(|network| network.trunc())
    });
    match network {
        Some(network) => out.extend_from_slice(network.to_string().as_bytes()),
        None => out.extend_from_slice(ABSENT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_shapes_have_networks() {
        for (text, expected) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("192.0.2.77:8080", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
            ("[2001:db8:1:2::3]:443", "2001:db8:1::/48"),
            ("unix:", "-"),
            ("-", "-"),
            ("192.0.2.300", "-"),
            ("\u{b2}", "-"),
        ] {
            let mut out = Vec::new();
            write_network(text.as_bytes(), (24, 48), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn networks_are_read() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::ffff:10.1.2.3/104", Some("10.0.0.0/8")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("::ffff:10.1.2.3", Some("10.1.2.3/32")),
            ("::/0", Some("::/0")),
            ("10.0.0.0/33", None),
            ("10.0.0", None),
            ("", None),
        ] {
            assert_eq!(network(text).map(|network| network.to_string()).as_deref(), expected, "{text}");
        }
    }
}
