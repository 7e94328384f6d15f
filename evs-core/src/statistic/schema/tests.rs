use proptest::{collection::vec, prelude::*, sample::subsequence};

use super::*;

fn count(name: &str) -> MeasureColumn {
    MeasureColumn::new(name, MeasureKind::Count, "", 0)
}

fn sum(name: &str, field: &str, scale: u8) -> MeasureColumn {
    MeasureColumn::new(name, MeasureKind::Sum, field, scale)
}

#[test]
fn a_definition_can_get_measures_and_another_retention_and_nothing_else() {
    let status = KeyColumn::new("status", "status");
    let old = Schema::new("requests", 60, vec![status.clone()], vec![count("hits"), sum("bytes", "sent", 2)]);
    let host = KeyColumn::new("host", "host");
    /// A change, with its name and a part of the obstacle, if there is one.
    type Case<'c> = (&'c str, &'c dyn Fn(&mut Schema), Option<&'c str>);
    let cases: [Case<'_>; 21] = [
        ("nothing", &|_| {}, None),
        ("a retention", &|new| new.retain_seconds = Some(60), None),
        ("a measure at the end", &|new| new.measures.push(sum("time", "time", 3)), None),
        ("a measure at the beginning", &|new| new.measures.insert(0, sum("time", "time", 3)), None),
        ("another order of measures", &|new| new.measures.reverse(), None),
        ("another window", &|new| new.window_seconds = 300, Some("window 60s -> 300s")),
        ("one more key", &|new| new.keys.push(host.clone()), Some("keys (status) -> (status, host)")),
        ("a condition", &|new| new.only = Some("a = 1".to_owned()), Some("condition none -> a = 1")),
        (
            "a sample",
            &|new| new.sample = Some(Sample { one_in: 10, by: "a".to_owned() }),
            Some("sample all lines -> one in 10 by a"),
        ),
        ("a top list", &|new| new.top = Some(10), Some("top all keys -> 10")),
        ("no key", &|new| new.keys.clear(), Some("keys (status) -> ()")),
        ("another field of a key", &|new| new.keys[0].field = "host".to_owned(), Some("host as status")),
        ("another scale", &|new| new.measures[1].scale = 3, Some("scale 2 -> bytes: sum of sent scale 3")),
        (
            "another rounding",
            &|new| new.measures[1].rounding = Rounding::Truncate,
            Some("scale 2 -> bytes: sum of sent scale 2 truncated"),
        ),
        (
            "a list",
            &|new| new.measures[1].is_list = true,
            Some("scale 2 -> bytes: sum of sent scale 2 listed"),
        ),
        (
            "the last of a list",
            &|new| (new.measures[1].is_list, new.measures[1].elements) = (true, Elements::Last),
            Some("scale 2 -> bytes: sum of sent scale 2 last of a list"),
        ),
        (
            "lenience",
            &|new| new.measures[1].is_lenient = true,
            Some("scale 2 -> bytes: sum of sent scale 2 lenient"),
        ),
        ("another field", &|new| new.measures[1].field = "got".to_owned(), Some("sum of got")),
        ("another kind", &|new| new.measures[1].kind = MeasureKind::Max, Some("bytes: max of sent")),
        ("a measure less", &|new| drop(new.measures.pop()), Some("removed: bytes")),
        ("another name", &|new| new.measures[1].name = "Bytes".to_owned(), Some("measure bytes: sum")),
    ];
    for (what, change, expected) in cases {
        let mut new = old.clone();
        change(&mut new);
        let obstacle = old.obstacle(&new);
        match expected {
            None => assert_eq!(obstacle, None, "{what}"),
            Some(expected) => {
                assert!(obstacle.as_ref().is_some_and(|o| o.contains(expected)), "{what}: {obstacle:?}");
            }
        }
    }
}

#[test]
fn the_rounding_is_in_the_text_unless_it_is_the_default() {
    let exact = Schema::new("s", 60, Vec::new(), vec![sum("bytes", "sent", 2)]);
    assert!(!exact.to_json().contains("rounding"), "checksums of older batches stay");
    let mut rounded = exact.clone();
    rounded.measures[0].rounding = Rounding::HalfEven;
    assert!(rounded.to_json().contains(r#""rounding":"half_even""#), "{}", rounded.to_json());
    assert!(!exact.to_json().contains("list"), "checksums of older batches stay");
    let mut listed = exact.clone();
    listed.measures[0].is_list = true;
    assert!(!listed.to_json().contains("elements"), "checksums of older batches stay");
    let mut last = listed.clone();
    last.measures[0].elements = Elements::Last;
    assert!(last.to_json().contains(r#""elements":"last""#), "{}", last.to_json());
    assert!(!last.to_json().contains("lenient"), "checksums of older batches stay");
    let mut lenient = exact.clone();
    lenient.measures[0].is_lenient = true;
    for schema in [exact, rounded, listed, last, lenient] {
        assert_eq!(Schema::from_json(&schema.to_json()).unwrap(), schema);
    }
}

/// Measures with different names, in an order of their own.
fn measures() -> impl Strategy<Value = Vec<MeasureColumn>> {
    let all = vec![count("a"), count("b"), sum("c", "x", 0), sum("d", "x", 2), sum("e", "y", 0)];
    subsequence(all, 0..=5).prop_shuffle()
}

proptest! {
    #[test]
    fn a_union_takes_all_of_its_parts_and_has_no_other_column(parts in vec(measures(), 1..5)) {
        let schemas: Vec<_> =
            parts.into_iter().map(|measures| Schema::new("s", 60, Vec::new(), measures)).collect();
        let mut table = schemas[0].clone();
        for schema in &schemas[1..] {
            let before = table.clone();
            table = table.union(schema).unwrap();
            // What was there stays where it was, so that a table only gets columns.
            prop_assert!(table.measures.starts_with(&before.measures));
            prop_assert_eq!(before.obstacle(&table), None);
        }
        for schema in &schemas {
            prop_assert_eq!(&table.union(schema).unwrap(), &table);
        }
        for measure in &table.measures {
            prop_assert!(schemas.iter().any(|schema| schema.measures.contains(measure)));
        }
    }
}
