//! The program `evs`, for what needs no pipeline.

fn main() {}
