//! A macro that implements `Sink` for a wrapper.
//!
//! The public sinks are wrappers, so that the types inside them stay private.

/// Implements [`Sink`](evs_core::Sink) for a tuple struct whose first field is a sink: each method calls that of the
/// field.
///
/// `clippy::missing_trait_methods` is denied, so that no method can be forgotten: a wrapper without `sweep`, for
/// example, would silently keep old windows for ever. Clippy does not check macros of other crates, but the tests of
/// this crate expand the macro, too. A missing method is an error there.
///
/// `forward_sink!(Watched, |watched, batch| { ... })` has an `apply` of its own.
#[macro_export]
macro_rules! forward_sink {
    ($sink:ty) => {
        $crate::forward_sink!($sink, |sink, batch| sink.0.apply(batch).await);
    };
    ($sink:ty, |$this:ident, $batch:ident| $apply:expr) => {
        #[$crate::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl $crate::evs_core::Sink for $sink {
            fn limits(&self) -> $crate::evs_core::Limits {
                self.0.limits()
            }

            async fn prepare(
                &self,
                schema: &$crate::evs_core::Schema,
            ) -> ::std::result::Result<(), $crate::evs_core::SinkError> {
                self.0.prepare(schema).await
            }

            async fn progress(
                &self,
                source: &str,
            ) -> ::std::result::Result<
                ::std::vec::Vec<$crate::evs_core::Progress>,
                $crate::evs_core::SinkError,
            > {
                self.0.progress(source).await
            }

            async fn begin(
                &self,
                progress: &$crate::evs_core::Progress,
            ) -> ::std::result::Result<(), $crate::evs_core::SinkError> {
                self.0.begin(progress).await
            }

            async fn writer(
                &self,
                source: &str,
            ) -> ::std::result::Result<
                ::std::option::Option<$crate::evs_core::Writer>,
                $crate::evs_core::SinkError,
            > {
                self.0.writer(source).await
            }

            async fn claim(
                &self,
                writer: &$crate::evs_core::Writer,
                last: ::std::option::Option<&$crate::evs_core::Writer>,
            ) -> ::std::result::Result<bool, $crate::evs_core::SinkError> {
                self.0.claim(writer, last).await
            }

            async fn apply(
                &self,
                $batch: &$crate::evs_core::Batch,
            ) -> ::std::result::Result<$crate::evs_core::Applied, $crate::evs_core::SinkError> {
                let $this = self;
                $apply
            }

            async fn sweep(
                &self,
                schema: &$crate::evs_core::Schema,
                before: i64,
            ) -> ::std::result::Result<bool, $crate::evs_core::SinkError> {
                self.0.sweep(schema, before).await
            }

            async fn close(&self) -> ::std::result::Result<(), $crate::evs_core::SinkError> {
                self.0.close().await
            }

            async fn totals(
                &self,
                schema: &$crate::evs_core::Schema,
                windows: ::std::ops::Range<i64>,
            ) -> ::std::result::Result<$crate::evs_core::Rows, $crate::evs_core::SinkError> {
                self.0.totals(schema, windows).await
            }
        }
    };
}
