//! Status, metrics and health over HTTP.
