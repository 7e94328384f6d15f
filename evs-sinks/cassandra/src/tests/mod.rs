//! On a real server, with each driver that is compiled in.

mod cases;
mod support;

/// Runs each case with each driver.
macro_rules! with_each_driver {
    ($($case:ident),* $(,)?) => {
        #[cfg(feature = "scylla")]
        mod scylla {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::cases::$case(crate::Driver::Scylla).await;
            })*
        }

        #[cfg(feature = "cassandra-cpp")]
        mod cpp {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::cases::$case(crate::Driver::Cpp).await;
            })*
        }
    };
}

with_each_driver!(passes_the_suite);
