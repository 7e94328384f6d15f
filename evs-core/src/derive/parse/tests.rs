use proptest::prelude::*;

use super::*;
use crate::derive::{
    Field, Lookup, arg, combine, concat, constant, event_time, event_time_at, field, log_path,
};

fn condition_of(text: &str) -> Condition {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn texts_are_the_conditions_that_the_methods_make() {
    let status = || field("status");
    for (text, expected) in [
        ("status = 404", status().eq(404)),
        ("status=404", status().eq(404)),
        ("status != 404", status().ne(404)),
        ("not status = 404", status().ne(404)),
        ("status = \"404\"", status().eq("404")),
        ("status in (301,302)", status().one_of([301, 302])),
        ("status not in (301)", !status().one_of([301])),
        ("request_time > 0.5", field("request_time").gt(0.5)),
        ("request_time <= -0.5", field("request_time").le("-0.5")),
        ("uri starts_with \"/a\\\"\\\\\\n\\u{7f}\"", field("uri").starts_with("/a\"\\\n\u{7f}")),
        ("uri not ends_with \".js\"", !field("uri").ends_with(".js")),
        ("http_user_agent contains \"bot\"", field("http_user_agent").contains("bot")),
        ("uri matches \"^/[0-9]+\\\\.html$\"", field("uri").matches(r"^/[0-9]+\.html$")),
        ("remote_addr in_network \"10.0.0.0/8\"", field("remote_addr").in_network(["10.0.0.0/8"])),
        (
            "remote_addr not in_network (\"10.0.0.0/8\", \"::1\")",
            !field("remote_addr").in_network(["10.0.0.0/8", "::1"]),
        ),
        ("arg_c is absent", arg("c").is_absent()),
        ("arg_c is present", !arg("c").is_absent()),
        ("a = 1 and b = 2 or c = 3", (field("a").eq(1) & field("b").eq(2)) | field("c").eq(3)),
        ("a = 1 and (b = 2 or c = 3)", field("a").eq(1) & (field("b").eq(2) | field("c").eq(3))),
        ("not (a = 1 and b = 2)", !(field("a").eq(1) & field("b").eq(2))),
        ("not not a = 1", field("a").eq(1)),
        ("lower(host) = \"a\"", field("host").lower().eq("a")),
        ("hour(time(\"-05:00\")) = \"13\"", event_time_at("-05:00").unwrap().hour().eq("13")),
        ("log() ends_with \"/shop.log\"", log_path().ends_with("/shop.log")),
        ("field(\"user agent\") = \"a\"", field("user agent").eq("a")),
        ("field(\"and\") = 1", field("and").eq(1)),
        ("@timestamp is present", !field("@timestamp").is_absent()),
        ("request.user-agent contains \"x\"", field("request.user-agent").contains("x")),
        ("android = 1", field("android").eq(1)),
        ("order is absent or notes is absent", field("order").is_absent() | field("notes").is_absent()),
    ] {
        assert_eq!(condition_of(text), expected, "{text}");
        assert_eq!(condition_of(&expected.to_string()), expected, "{expected}");
    }
}

#[test]
fn mistakes_have_their_column() {
    for (text, column, expected) in [
        ("", 1, "expected a field"),
        ("status", 7, "expected =, !="),
        ("status >= \"500\"", 11, "expected a number"),
        ("status >= 5xx", 11, "expected a number such as"),
        ("status >= ", 11, "expected a number"),
        ("status = x", 10, "expected a number, or a text in double quotes"),
        ("status = 5 and", 15, "expected a field"),
        ("status = 5 xor a = 1", 12, "expected `and`, `or` or the end"),
        ("(status = 5", 12, "expected `)`"),
        ("status = 5)", 11, "expected `and`, `or` or the end"),
        ("status in 5", 11, "expected `(`"),
        ("status in (5 6)", 14, "expected `,` or `)`"),
        ("status in ()", 12, "expected a number, or a text"),
        ("status is missing", 11, "expected `absent` or `present`"),
        ("uri startswith \"/\"", 5, "expected =, !="),
        ("uri starts_with /", 17, "expected a text in double quotes"),
        ("uri = \"/\u{e9}", 10, "the text has no closing quote"),
        ("\u{e9}", 1, "expected a field"),
        ("uri = \"\u{e9}\\d\"", 9, "expected \\\","),
        ("uri = \"\\u{110000}\"", 8, "expected a character such as"),
        ("upper(uri) = \"A\"", 1, "there is no function upper"),
        ("truncate(uri) = \"A\"", 13, "expected `,`"),
        ("truncate(uri, x) = \"A\"", 15, "expected a whole number"),
        ("truncate(uri, 99999999999999999999) = \"A\"", 15, "the number is too large"),
        ("a = 1 and bad_bot@1(http_user_agent)", 11, "bad_bot is code or a table"),
        ("status = 99999999999999999999", 10, "is not a decimal number of 64 bits"),
        ("uri matches \"(\"", 13, "the pattern \"(\" is wrong: unclosed group"),
        ("remote_addr in_network \"10.0.0.0/33\"", 24, "\"10.0.0.0/33\" is not a network"),
        ("a = 1 and truncate(uri, 0) = \"A\"", 11, "truncate to 0 bytes"),
        ("lower(replace(uri, \"/\", \"$1\")) = \"A\"", 7, "has no group \"1\""),
        ("hour(time_local) = \"1\"", 1, "expected hour(time())"),
        ("network(a, 33, 0) = \"A\"", 1, "expected at most 32 bits"),
        ("hour(time(\"2:00\")) = \"1\"", 11, "\"2:00\" is not an offset from UTC"),
    ] {
        let error = text.parse::<Condition>().unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.expected.contains(expected), "{text}: {error}");
    }
    for deep in ["(".repeat(10_000), "not ".repeat(10_000), "lower(".repeat(10_000)] {
        assert_eq!(deep.parse::<Condition>().unwrap_err().expected, "nested too deeply");
    }
    assert_eq!("a b".parse::<Field>().unwrap_err().to_string(), "column 3: expected the end");
}

#[test]
fn code_and_tables_have_a_text_that_names_them() {
    let table = Lookup::new("customers", 3, [("a", "b")]);
    let customer = arg("c").lookup(&table).default("none");
    assert_eq!(customer.to_string(), "default(lookup(arg_c, customers@3), \"none\")");
    let code = Condition::code("is_bad", 2, ["a", "b"], |_| true) & !Condition::code("x", 1, ["a"], |_| true);
    assert_eq!(code.to_string(), "is_bad@2(a, b) and not x@1(a)");
    assert_eq!(combine("both", 1, ["a", "b"], |_, _| ()).to_string(), "both@1(a, b)");
    assert_eq!(field("a").map("one", 1, |_, _| ()), field("a").map("one", 1, |_, out| out.push(b'x')));
    assert_ne!(field("a").map("one", 1, |_, _| ()), field("a").map("one", 2, |_, _| ()));
}

#[test]
fn a_variable_alone_stands_in_a_definition_as_it_is() {
    for (name, expected) in [
        ("status", "status"),
        ("user agent", "user agent"),
        ("and", "and"),
        ("lower(a)", "field(\"lower(a)\")"),
    ] {
        assert_eq!(field(name).expr.definition(), expected);
    }
    assert_eq!(field("user agent").lower().expr.definition(), "lower(field(\"user agent\"))");
}

/// Any field that has a text to be read.
fn any_field() -> impl Strategy<Value = Field> {
    let leaf = prop_oneof![
        "[a-z_@][a-z0-9_.-]{0,8}|[ -~\u{e9}]{1,6}|and|in".prop_map(field),
        Just(event_time()),
        Just(log_path()),
        Just(event_time_at("-03:30").unwrap()),
        "[ -~\n\u{1}]{0,5}".prop_map(|text| constant("", text)),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let one = (inner.clone(), 0..16_usize, "[ -~\u{e9}\t]{0,6}").prop_map(|(inner, function, text)| {
            match function {
                0 => inner.lower(),
                1 => inner.truncate(7),
                2 => inner.path(),
                3 => inner.path_prefix(3),
                4 => inner.extension(),
                5 => inner.host(),
                6 => inner.status_class(),
                7 => inner.network(24, 48),
                8 => inner.replace("[a\\\\\"]+", text.replace('$', "$$")),
                9 => inner.default(text),
                10 => inner.first(),
                11 => inner.last(),
                12 => event_time().hour(),
                13 => event_time().weekday(),
                14 => event_time_at("+01:00").unwrap().date(),
                _ => event_time().minute(),
            }
        });
        prop_oneof![one, prop::collection::vec(inner, 1..4).prop_map(concat)]
    })
}

/// Any condition that has a text to be read.
fn any_condition() -> impl Strategy<Value = Condition> {
    let leaf = (any_field(), 0..10_usize, "[ -~\u{e9}\r]{0,6}", proptest::num::i32::ANY).prop_map(
        |(field, question, text, number)| match question {
            0 => field.eq(text),
            1 => field.eq(number),
            2 => field.one_of([text, "\"".to_owned()]),
            3 => field.lt(f64::from(number) / 8.0),
            4 => field.ge(number),
            5 => field.starts_with(text),
            6 => field.contains(text),
            7 => field.matches("a|\\d+"),
            8 => field.in_network(["::1", "10.0.0.0/8"]),
            _ => field.is_absent(),
        },
    );
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one & other),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one | other),
            inner.prop_map(|condition| !condition),
        ]
    })
}

proptest! {
    #[test]
    fn a_field_is_read_from_the_text_that_it_writes(field in any_field()) {
        let text = field.to_string();
        prop_assert_eq!(text.parse::<Field>().map(|read| read.expr), Ok(field.expr), "{}", text);
    }

    #[test]
    fn a_condition_is_read_from_the_text_that_it_writes(condition in any_condition()) {
        let text = condition.to_string();
        prop_assert_eq!(text.parse::<Condition>(), Ok(condition), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z_ ()\"\\\\,.@=<>!0-9\u{e9}]{0,40}") {
        let _ = text.parse::<Condition>();
        let _ = text.parse::<Field>();
    }
}
