use super::support::Server;
use crate::Driver;

pub(super) async fn passes_the_suite(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    evs_core::conformance::run(&server).await;
    server.clean().await;
}
