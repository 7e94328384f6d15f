//! The builder of a sink on a server: what all of them have in common.

/// The server of a sink: `O` is the driver's type for options, and `P` the one for pools.
#[derive(Clone)]
pub enum Target<O, P> {
    /// A URL, which has not been parsed yet.
    Url(String),
    /// The driver's options.
    Options(O),
    /// A pool of the host's. evs makes its own connections by the options of the pool.
    Pool(P),
}

/// Defines the builder of a sink that is a tuple struct around an [`SqlSink`](crate::SqlSink):
/// `remote_builder! { MySqlSink, MySqlSinkBuilder, MySqlConnector, Server }`.
///
/// The connector has a function `of`, which takes the target (of the type `Server`, a [`Target`]) and returns the
/// connector or the reason why the target is refused.
#[macro_export]
macro_rules! remote_builder {
    ($sink:ident, $builder:ident, $connector:ty, $target:ty) => {
        #[doc = concat!("Settings of a [`", stringify!($sink), "`]. The setters only store values; [`connect`](Self::connect) checks them.")]
        #[derive(Clone)]
        #[must_use]
        pub struct $builder {
            target: $target,
            create: bool,
            timeout: ::std::time::Duration,
        }

        impl $sink {
            #[doc = concat!("The default of [`", stringify!($builder), "::timeout`].")]
            pub const TIMEOUT: ::std::time::Duration = $crate::CONNECT_MAX;
        }

        impl $builder {
            /// The default settings for a server.
            pub(crate) fn new(target: $target) -> Self {
                Self { target, create: true, timeout: $crate::CONNECT_MAX }
            }

            /// Sets whether evs creates missing tables (the default), or fails with an error that contains the
            /// statements to create them.
            pub fn create(mut self, create: bool) -> Self {
                self.create = create;
                self
            }

            /// Sets the time limit for making a connection, here and whenever a new one is needed: 30 seconds by
            /// default. The caller limits the duration of a call; in a pipeline that is `sink_timeout`.
            pub fn timeout(mut self, timeout: ::std::time::Duration) -> Self {
                self.timeout = timeout;
                self
            }

            /// Makes the sink, and connects once to find out now whether that is possible. A server that is down is
            /// no error: the sink connects when it is used.
            ///
            /// # Errors
            ///
            #[doc = concat!("The errors of [`", stringify!($sink), "::connect`].")]
            pub async fn connect(self) -> ::std::result::Result<$sink, $crate::SinkError> {
                let store = $crate::SqlStore::new(<$connector>::of(self.target)?);
                let store = store.create(self.create).connect_timeout(self.timeout);
                ::std::result::Result::Ok($sink(store.connect().await?))
            }
        }

        /// Omits the server, since its URL or options may contain a password.
        impl ::std::fmt::Debug for $builder {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let Self { target: _, create, timeout } = self;
                let mut shown = f.debug_struct(stringify!($builder));
                shown.field("create", create).field("timeout", timeout).finish_non_exhaustive()
            }
        }
    };
}
