//! From the name of a rotated file to the name of its log: the inverse of [`age_of`](super::names::age_of).

use super::names::age;

/// Returns the names of which `name` may be a rotated file: all those for which [`age_of`] finds an age in it, the longest
/// one first.
pub(super) fn bases_of(name: &str) -> Vec<String> {
    let separators = |text: &str| text.match_indices(['.', '-', '_']).map(|(at, _)| at).collect::<Vec<_>>();
    let is_age = |suffix: &str| age(suffix).is_some();
    let mut bases: Vec<String> = separators(name)
        .into_iter()
        .filter(|&at| is_age(&name[at..]))
        .map(|at| name[..at].to_owned())
        .collect();
    if let Some((rest, extension)) = name.rsplit_once('.') {
        let within = separators(rest).into_iter().filter(|&at| is_age(&rest[at..]));
        bases.extend(within.map(|at| format!("{}.{extension}", &rest[..at])));
    }
    bases.retain(|base| !base.is_empty());
    bases.sort_by_key(|base| std::cmp::Reverse(base.len()));
    bases
}

#[cfg(test)]
mod tests {
    use super::{super::names::age_of, *};

    #[test]
    fn the_bases_of_a_name_are_those_of_which_it_is_a_rotated_file() {
        let cases: [(&str, &[&str]); 8] = [
            ("access.log", &[]),
            ("access.log.1", &["access.log"]),
            ("access.1.log", &["access.log"]),
            ("access-20261128.log", &["access.log"]),
            ("access.log-20261128-2", &["access.log"]),
            ("web-1-20261128.log", &["web-1.log", "web.log"]),
            ("shop-2.log", &[]),
            ("192.168.0.1.log", &["192.168.0.log"]),
        ];
        for (name, expected) in cases {
            assert_eq!(bases_of(name), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_name_is_a_rotated_file_of_its_bases_and_of_no_other(
            name in "[ab12.-]{1,12}|a[.-]2026-?11-?2[0-9](\\.log)?(\\.1)?",
            other in "[ab12.-]{1,6}",
        ) {
            let bases = bases_of(&name);
            for base in &bases {
                proptest::prop_assert!(age_of(base, &name).is_some(), "{} of {}", name, base);
            }
            proptest::prop_assert_eq!(age_of(&other, &name).is_some(), bases.contains(&other));
        }
    }
}
