//! Counts the events of an ad server that were signed, and none that were forged.
//!
//!     cargo run --example signed
//!
//! The server that hands out an event's URL signs its query string by an HMAC: `?c=7&v=150&s=SIGNATURE`. Whoever invents a click
//! has no signature. Such a line is counted as rejected, and kept with its reason.
//!
//! The check runs once per distinct query string: a worker remembers the answers, as long as its dictionary has room.

use std::{error::Error, fmt::Write as _, future::pending};

use evs::{Condition, MemorySink, prelude::*};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key that the ad server and this service share. A real one comes from where the service keeps its secrets.
const KEY: &[u8] = b"a key for this example only";

/// The signature of a query string.
fn signature(query: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key of any length");
    mac.update(query.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// True if the query string ends with its signature.
fn is_signed(query: &[u8]) -> bool {
    let Ok(query) = std::str::from_utf8(query) else { return false };
    let Some((signed, found)) = query.rsplit_once("&s=") else { return false };
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key of any length");
    mac.update(signed.as_bytes());
    let bytes: Option<Vec<u8>> = (found.len() == 64 && found.is_ascii())
        .then(|| (0..32).map(|at| u8::from_str_radix(&found[2 * at..2 * at + 2], 16).ok()).collect())
        .flatten();
    // The comparison takes as long for any wrong signature.
    bytes.is_some_and(|bytes| mac.verify_slice(&bytes).is_ok())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let log = scratch.path().join("access.log");
    let mut lines = String::new();
    for click in 0..10 {
        let query = format!("c={}&v=150", click % 2);
        // Every fifth click is forged: somebody wants to be paid more for it.
        let sent = if click % 5 == 0 { query.replace("150", "999") } else { query.clone() };
        let uri = format!("/click?{sent}&s={}", signature(&query));
        writeln!(lines, r#"192.0.2.7 - - [21/Nov/2026:13:25:22 +0000] "GET {uri} HTTP/1.1" 204 0"#)?;
    }
    std::fs::write(&log, lines)?;

    let sink = MemorySink::new();
    let clicks = Statistic::named("clicks").group_by([arg("c").named("campaign")]);
    let pipeline = Pipeline::builder("ads-web1")
        .tail(&log)
        .format(LogFormat::common())
        .require("signature", Condition::code("is_signed", 1, ["args"], |values| is_signed(values[0])))
        .statistic(clicks.measure(count()).measure(sum(arg("v")).named("value")))
        .sink("memory", sink.clone())
        .state_dir(scratch.path().join("state"))
        .build_async()
        .await?;
    let summary = pipeline.run_to_end(pending()).await?;
    println!("{} lines, of which {} are forged", summary.lines, summary.rejected);
    let schema = pipeline.schemas().next().ok_or("a statistic")?;
    for row in sink.totals(schema, i64::MIN..i64::MAX).await?.iter() {
        println!("campaign {}: {:?}", String::from_utf8_lossy(row.keys[0]), row.values);
    }
    let rejected = std::fs::read_to_string(scratch.path().join("state/rejected-0.jsonl"))?;
    println!("{}", rejected.lines().next().unwrap_or_default());
    Ok(())
}
