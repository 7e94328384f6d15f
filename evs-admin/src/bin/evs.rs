//! The program `evs`: looks at state directories, for what needs no pipeline.

use std::{io, process::ExitCode};

fn main() -> ExitCode {
    let (mut out, mut err) = (io::BufWriter::new(io::stdout().lock()), io::stderr());
    evs_admin::cli::run(std::env::args_os(), &mut out, &mut err).into()
}
