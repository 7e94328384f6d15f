//! The arguments that name the format of a log.

use clap::Args;
use evs_core::LogFormat;

use super::Failure;

/// The format of a log's lines.
#[derive(Clone, Debug, Args)]
pub struct FormatArgs {
    /// The field that holds the time, and its shape: epoch, seconds, milliseconds, microseconds, nanoseconds, iso8601,
    /// local, or conversions as for strftime. Without a shape, the key of a JSON or LTSV log
    #[arg(long, value_name = "FIELD[=SHAPE]")]
    pub time: Option<String>,
    /// The minutes by which the web server's clock is ahead of UTC, for times without a zone
    #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_negative_numbers = true)]
    pub utc_offset: i16,
    /// The lines end with CR LF
    #[arg(long)]
    pub crlf: bool,
}

impl FormatArgs {
    /// Makes the format of the given name or text.
    pub(super) fn format(&self, format: &str) -> Result<LogFormat, Failure> {
        let wrong = |argument: &str, error: evs_core::FormatError| {
            Failure::Usage(format!("{argument}: {}", evs_core::describe(&error)))
        };
        let format: LogFormat = format.parse().map_err(|error| wrong("--format", error))?;
        let format = format.utc_offset_minutes(self.utc_offset);
        let format = if self.crlf { format.crlf() } else { format };
        let format = match self.time.as_deref().map(|time| time.split_once('=').ok_or(time)) {
            Some(Ok((field, shape))) => format.time(field, shape).map_err(|error| wrong("--time", error))?,
            Some(Err(key)) => format.time_key(key),
            None => format,
        };
        // A format without a time is the fault of these arguments, too.
        let argument = if self.time.is_some() { "--time" } else { "--format" };
        format.parser::<&str>(&[]).map_err(|error| wrong(argument, error))?;
        Ok(format)
    }
}
