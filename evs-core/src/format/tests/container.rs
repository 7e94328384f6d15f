//! Lines in containers: their envelopes, and pieces that are put together across blocks.

use proptest::{collection::vec, sample::select};

use super::{super::container::Container, *};

const SIMPLE: &str = r#"$msec "$request" $status"#;

/// The lines that are made of `block`, and the rejected ones, as text.
fn unwrap(container: &mut Unwrapper, block: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(container.unwrap(block.as_bytes())).into_owned();
    let rejected = container.rejected().iter().map(|rejected| rejected.rejection.to_string());
    text.lines().map(str::to_owned).chain(rejected).collect()
}

#[test]
fn lines_are_taken_out_of_their_containers() {
    const JOURNAL: &str = r#"{"__CURSOR":"s=1","MESSAGE":"MSG","_PID":"7"}"#;
    const DOCKER: &str = r#"{"log":"MSG\n","stream":"stdout","time":"2026-11-28T10:00:43.929456074Z"}"#;
    for (container, line, expected) in [
        (Container::Docker, DOCKER, "MSG"),
        (Container::Docker, r#"{"log":"a \"b\" \\n\u00e9\n","stream":"stdout"}"#, r#"a "b" \né"#),
        (Container::Docker, r#"{"log":"a\r\n","stream":"stdout","attrs":{"x":"y"}}"#, "a"),
        (
            Container::Docker,
            r#"{"stream":"stdout"}"#,
            "column 1: not a line of the container that the format names",
        ),
        (Container::Docker, r#"{"log":7}"#, "column 8: not a line of the container that the format names"),
        (Container::Docker, "a", "column 1: not a JSON object"),
        (Container::Docker, "", "column 1: the line is empty"),
        (CRI, "2026-11-28T10:00:43.9Z stdout F MSG a", "MSG a"),
        (CRI, "2026-11-28T10:00:43.9+01:00 stderr F:x  a", " a"),
        (CRI, "2026-11-28T10:00:43.9Z stdout F", ""),
        (
            CRI,
            "2026-11-28T10:00:43.9Z stdout X a",
            "column 31: not a line of the container that the format names",
        ),
        (
            CRI,
            "2026-11-28T10:00:43.9Z stdin F a",
            "column 24: not a line of the container that the format names",
        ),
        (CRI, "MSG", "column 1: not a line of the container that the format names"),
        (CRI, "2026-11-28T10:00:43.9Z\0", "column 23: the line has a NUL byte in it"),
        (SYSLOG, "Nov  3 00:02:37 web1 nginx: MSG a", "MSG a"),
        (SYSLOG, "Nov 28 00:02:37 web1 nginx[7]: a: b", "a: b"),
        (SYSLOG, "Nov 28 00:02:37 nginx: a", "a"),
        (SYSLOG, "<190>Nov 28 00:02:37 web1 nginx: a", "a"),
        (SYSLOG, "2026-11-03T00:02:37.123+01:00 web1 nginx: a", "a"),
        (SYSLOG, "<190>1 2026-11-03T00:02:37Z web1 nginx 7 - - a", "a"),
        (SYSLOG, "<190>1 - - - - - - \u{feff}a", "a"),
        (SYSLOG, r#"<190>1 2026-11-03T00:02:37Z h n 7 i [x@1 a="b\"] c"][y] a"#, "a"),
        (SYSLOG, "<190>1 2026-11-03T00:02:37Z h n 7 - -", ""),
        (
            SYSLOG,
            "<190>1 2026-11-03T00:02:37Z h n 7 - [x a",
            "column 37: not a line of the container that the format names",
        ),
        (
            SYSLOG,
            "Nox  3 00:02:37 web1 nginx: a",
            "column 1: not a line of the container that the format names",
        ),
        (
            SYSLOG,
            "Nov  3 00:02:37 web1 nginx a",
            "column 22: not a line of the container that the format names",
        ),
        (Container::Journald, JOURNAL, "MSG"),
        (Container::Journald, r#"{"MESSAGE":[77, 83,71]}"#, "MSG"),
        (
            Container::Journald,
            r#"{"MESSAGE":[77,256]}"#,
            "column 12: not a line of the container that the format names",
        ),
        (
            Container::Journald,
            r#"{"MESSAGE":null}"#,
            "column 1: not a line of the container that the format names",
        ),
        (
            Container::Journald,
            r#"{"MESSAGE":"a\nb"}"#,
            "column 13: not a line of the container that the format names",
        ),
    ] {
        let mut unwrapper = Unwrapper::new(container);
        assert_eq!(unwrap(&mut unwrapper, &format!("{line}\n")), [expected], "{line}");
    }
}

const SYSLOG: Container = Container::Syslog { is_optional: false };
const CRI: Container = Container::Cri { keeps_header: false };

#[test]
fn pieces_are_put_together_by_stream() {
    let cri =
        ["T stdout P a", "T stderr P x", "T stdout P b", "T stderr F y", "T stdout F c", "T stdout F d"];
    let docker = [
        r#"{"log":"a","stream":"stdout"}"#,
        r#"{"log":"x","stream":"stderr"}"#,
        r#"{"log":"b\\n","stream":"stdout"}"#,
        r#"{"log":"y\n","stream":"stderr"}"#,
        r#"{"log":"c\n","stream":"stdout"}"#,
        r#"{"log":"d\n","stream":"stdout"}"#,
    ];
    let journal = [
        r#"{"MESSAGE":"a","_STREAM_ID":"1","_LINE_BREAK":"line-max"}"#,
        r#"{"MESSAGE":[120],"_STREAM_ID":"2","_LINE_BREAK":"line-max"}"#,
        r#"{"MESSAGE":"b","_STREAM_ID":"1","_LINE_BREAK":"line-max"}"#,
        r#"{"MESSAGE":"y","_STREAM_ID":"2"}"#,
        r#"{"MESSAGE":"c","_STREAM_ID":"1"}"#,
        r#"{"MESSAGE":"d","_STREAM_ID":"1","_LINE_BREAK":"eof"}"#,
    ];
    let cri = cri.map(|line| line.replacen('T', "2026-11-28T10:00:43Z", 1));
    let docker = (Container::Docker, docker.map(str::to_owned), r"ab\nc");
    let journal = (Container::Journald, journal.map(str::to_owned), "abc");
    for (container, lines, whole) in [(CRI, cri, "abc"), docker, journal] {
        let mut unwrapper = Unwrapper::new(container);
        assert_eq!(unwrap(&mut unwrapper, &lines.join("\n")), ["xy", whole, "d"], "{container:?}");
    }
}

#[test]
fn a_line_that_becomes_too_long_is_rejected_once() {
    let piece = format!("2026-11-28T10:00:43Z stdout P {}\n", "a".repeat(90));
    let last = "2026-11-28T10:00:44Z stdout F b\n2026-11-28T10:00:45Z stdout F c\n";
    let mut unwrapper = Unwrapper::new(CRI);
    assert_eq!(unwrap(&mut unwrapper, &(piece.repeat(2) + last)).len(), 2, "180 bytes are not too long");
    let (pieces, mut before) = (piece.repeat(9), Pieces::new(CRI, 1000));
    assert_eq!(unwrap(&mut unwrapper, &pieces), [""; 0]);
    before.pass(pieces.as_bytes());
    let lines = before.lines().unwrap();
    assert!(lines.len() < pieces.len() / 2, "{}", lines.len());
    let mut restarted = Unwrapper::new(CRI);
    restarted.set_pieces(Some(&lines));
    for unwrapper in [&mut unwrapper, &mut restarted] {
        assert_eq!(unwrap(unwrapper, last), ["c", "column 1: the line is longer than the limit"]);
    }
}

#[test]
fn a_rejected_line_is_that_of_the_log() {
    let reject = |format: &LogFormat, line: &str| {
        let mut record = Record::new();
        let mut parser = format.parser(&["request"]).unwrap();
        let rejected = line.lines().filter_map(|line| parser.parse(line.as_bytes(), &mut record).err());
        rejected.map(|rejection| (rejection.reason, rejection.column)).collect::<Vec<_>>()
    };
    let inner = || nginx(SIMPLE);
    for (format, line, expected) in [
        (
            LogFormat::docker(inner()),
            r#"{"log":"1.000 \"G\u00e9\" x\n","stream":"o"}"#,
            vec![(Reason::NotANumber, 27)],
        ),
        (LogFormat::syslog(inner()), "Nov  3 00:02:37 h n: 1.000 \"G\" x", vec![(Reason::NotANumber, 32)]),
        (
            LogFormat::cri(inner()),
            "2026-11-28T10:00:43Z stdout P 1.000 \"G\n2026-11-28T10:00:43Z stdout F ET\" x",
            vec![(Reason::Piece, 1), (Reason::NotANumber, 13)],
        ),
    ] {
        assert_eq!(reject(&format, line), expected, "{format}");
        let mut unwrapper = Unwrapper::new(format.container_of());
        let text = unwrapper.unwrap(line.as_bytes()).to_vec();
        let column = inner().parser(&["request"]).unwrap().parse(text.trim_ascii_end(), &mut Record::new());
        let rejected = Rejected { start: 0, end: text.len() - 1, rejection: column.unwrap_err() };
        let (rejected, bytes) = unwrapper.origin(line.as_bytes(), &rejected);
        assert_eq!(rejected.rejection.column, expected.last().unwrap().1);
        let last = line.lines().last().unwrap();
        assert_eq!(&line[rejected.start..rejected.end], last);
        assert_eq!(bytes, if expected.len() == 1 { last.as_bytes() } else { text.trim_ascii_end() });
    }
}

#[test]
fn fields_of_contained_lines_are_those_of_the_line() {
    let text = r#"1795246822.707 "GET /a?c=%41 HTTP/1.1" 200"#;
    let json = text.replace('"', "\\\"");
    for (format, line) in [
        ("docker", format!(r#"{{"log":"{json}\n","stream":"stdout"}}"#)),
        ("cri", format!("2026-11-28T10:00:43Z stdout F {text}")),
        ("syslog", format!("Nov  3 00:02:37 h n: {text}")),
        ("journald", format!(r#"{{"MESSAGE":"{json}"}}"#)),
    ] {
        let format: LogFormat = format!("{format}:{SIMPLE}").parse().unwrap();
        let fields = read(&format, &["uri", "arg_c", "status", "request"], line.as_bytes()).unwrap();
        assert_eq!(fields, ["/a", "A", "200", "GET /a?c=%41 HTTP/1.1"], "{format}");
        let mut record = Record::new();
        format.parser(&["status"]).unwrap().parse(line.as_bytes(), &mut record).unwrap();
        let column = record.column(0) as usize;
        assert_eq!(line.get(column - 1..column + 2), Some("200"), "{format}");
        assert_eq!(format.to_string().parse::<LogFormat>().unwrap().to_string(), format.to_string());
    }
    for format in ["cri:w3c", "cri:docker:json", "docker:w3c"] {
        let error = format.parse::<LogFormat>().unwrap().parser(&["status"]).unwrap_err();
        assert!(matches!(error, FormatError::Container { .. }), "{error}");
        assert!(error.to_string().contains("name one container"), "{error}");
    }
    assert!(matches!("cri:combinde".parse::<LogFormat>(), Err(FormatError::Unknown { .. })));
}

/// Strings of nginx for lines of containers, as people write them who have no other way.
#[test]
fn strings_that_describe_a_container_are_read_as_one() {
    let docker = r#"{"log":"$msec \"$request\" $status\n","stream":"$stream","time":"$time"}"#;
    let line = br#"{"log":"1795246822.707 \"a\\x22b\" 200\n","stream":"stdout","time":"x"}"#;
    assert_eq!(read(&nginx(docker), &["request"], line).unwrap(), ["a\"b"]);
    let cri = nginx(&format!("$cri_time $stream F {SIMPLE}"));
    let line = b"2026-11-28T10:00:43Z stdout F 1795246822.707 \"a\" 200";
    assert_eq!(read(&cri, &["stream", "request"], line).unwrap(), ["stdout", "a"]);
    let mut unwrapper = Unwrapper::new(cri.container_of());
    let pieces = "1Tx stdout P a\nno header\n2Ty stderr F x\n3Tz stdout F b\n";
    assert_eq!(unwrap(&mut unwrapper, pieces), ["no header", "2Ty stderr F x", "3Tz stdout F ab"]);
    assert_eq!(cri.to_string(), format!("$cri_time $stream F {SIMPLE}"));
}

/// Puts lines into a container, cut into pieces at `cuts`, and the lines of two streams in between each other.
fn wrap(container: Container, lines: &[Vec<u8>], cuts: &[usize]) -> Vec<u8> {
    let mut pieces: [Vec<(Vec<u8>, bool)>; 2] = Default::default();
    for (at, line) in lines.iter().enumerate() {
        let (cut, stream) = (cuts[at % cuts.len()], &mut pieces[at % 2]);
        let has_cut = container != SYSLOG && (1..line.len()).contains(&cut);
        if has_cut {
            stream.push((line[..cut].to_vec(), true));
        }
        stream.push((line[if has_cut { cut } else { 0 }..].to_vec(), false));
    }
    let mut wrapped = Vec::new();
    let mut streams = pieces.map(Vec::into_iter);
    for at in 0.. {
        if streams.iter().all(|stream| stream.len() == 0) {
            break;
        }
        let number = cuts[at % cuts.len()] % 2;
        let Some((piece, is_piece)) = streams[number].next() else { continue };
        let name = ["stdout", "stderr"][number];
        let json = json_escaped(&piece);
        let (before, text, after) = match container {
            Container::Docker => {
                let end = if is_piece { "" } else { "\\n" };
                ("{\"log\":\"".to_owned(), json, format!("{end}\",\"stream\":\"{name}\",\"time\":\"x\"}}"))
            }
            Container::Cri { .. } => {
                let tag = if is_piece { "P" } else { "F" };
                (format!("2026-11-28T10:00:43Z {name} {tag} "), piece, String::new())
            }
            Container::Syslog { .. } => ("Nov  3 00:02:37 h n: ".to_owned(), piece, String::new()),
            Container::Journald => {
                let end = if is_piece { ",\"_LINE_BREAK\":\"line-max\"" } else { "" };
                ("{\"MESSAGE\":\"".to_owned(), json, format!("\",\"_STREAM_ID\":\"{name}\"{end}}}"))
            }
        };
        let line = [before.into_bytes(), text, after.into_bytes()].concat();
        wrapped.extend_from_slice(&line);
        wrapped.push(b'\n');
    }
    wrapped
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_the_pieces_and_blocks_the_lines_are_the_same(
        container in select(vec![Container::Docker, CRI, SYSLOG, Container::Journald]),
        lines in vec("[ -~é]{1,20}", 1..20),
        cuts in vec(0_usize..12, 1..8).prop_filter("both streams", |cuts| {
            cuts.iter().any(|cut| cut % 2 == 0) && cuts.iter().any(|cut| cut % 2 == 1)
        }),
        parts in vec(1_usize..120, 1..6),
    ) {
        let mut expected: Vec<_> = lines.iter().map(|line| line.clone().into_bytes()).collect();
        let wrapped = wrap(container, &expected, &cuts);
        expected.sort();
        // As the tailer cuts it: each block ends after a line, and its worker knows nothing but the pieces before it.
        let (mut found, mut before, mut start) = (Vec::new(), Pieces::new(container, 1000), 0);
        for at in 0.. {
            if start == wrapped.len() {
                break;
            }
            let near = (start + parts[at % parts.len()]).min(wrapped.len() - 1);
            let end = memchr::memchr(b'\n', &wrapped[near..]).map_or(wrapped.len(), |len| near + len + 1);
            let block = &wrapped[start..end];
            let mut unwrapper = Unwrapper::new(container);
            unwrapper.set_pieces(before.lines().as_deref());
            found.extend(unwrapper.unwrap(block).split_inclusive(|byte| *byte == b'\n').map(|line| line[..line.len() - 1].to_vec()));
            prop_assert!(unwrapper.rejected().is_empty(), "{:?}", String::from_utf8_lossy(&wrapped));
            before.pass(block);
            // After a restart, the file is read in parts of any length.
            let mut again = Pieces::new(container, 1000);
            wrapped[..end].chunks(parts[0]).for_each(|part| again.pass(part));
            prop_assert_eq!(again.lines(), before.lines());
            start = end;
        }
        prop_assert_eq!(before.lines(), None);
        found.sort();
        prop_assert_eq!(found, expected);
    }
}
