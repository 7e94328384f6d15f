//! Formats as they stand in the configuration of a web server. Any text is one of Apache's formats, or is refused with an
//! offset inside of it, and any file is searched for nginx's `log_format`. A format that compiles reads any line without
//! a panic.
//!
//! The last line of the input is a line of the log, and all before is the text.
#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use evs_core::{FormatError, LogFormat, Record};
use evs_fuzz::assert_refused;
use libfuzzer_sys::fuzz_target;

/// The file of nginx's configuration.
static CONF: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("evs-fuzz-{}.conf", std::process::id())));

fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (text, line) = input.rsplit_once('\n').unwrap_or((input, ""));
    check(text, line, LogFormat::apache(text));
    check(text, line, LogFormat::nginx(text));
    check(text, line, in_conf(text, "main"));
    if let Err(FormatError::NoLogFormat { known, .. }) = in_conf(text, "") {
        // A name that the file has is found, unless the same name comes earlier with an error.
        for name in known {
            check(text, line, in_conf(text, &name));
        }
    }
    // A string in quotes is that format.
    let quoted = text.replace('\\', r"\\").replace('\'', r"\'");
    let directive = format!("http {{ # it's a comment\n log_format main '{quoted}';\n}}\n");
    let format = in_conf(&directive, "main");
    if let Ok(format) = &format {
        assert_eq!(format.to_string(), text);
    }
    check(&directive, line, format);
});

/// The format of that name in a file with that text.
fn in_conf(text: &str, name: &str) -> Result<LogFormat, FormatError> {
    fs::write(&*CONF, text).expect("a file for the time being");
    LogFormat::from_nginx_conf(&*CONF, name)
}

fn check(text: &str, line: &str, format: Result<LogFormat, FormatError>) {
    match format {
        Ok(format) => match format.parser::<&str>(&[]) {
            Ok(mut parser) => {
                if let Err(rejection) = parser.parse(line.as_bytes(), &mut Record::new()) {
                    assert!(rejection.column as usize <= line.len() + 1);
                }
            }
            Err(error) => assert_eq!(error, FormatError::NoTime),
        },
        Err(error) => assert_refused(text, &error),
    }
}
