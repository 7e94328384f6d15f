mod suite;

use mongodb::{Client, Database};

/// A database of its own on the tests' server, dropped in the end.
struct Scratch {
    url: String,
    database: Database,
}

impl Scratch {
    /// `None` if there is no server, which was said.
    async fn new() -> Option<Self> {
        Some(Self::at(&evs_testkit::server("mongo")?).await)
    }

    /// A new database at the server of that URL.
    async fn at(server: &str) -> Self {
        let name = format!("evs_test_{}", evs_core::Epoch::random());
        let (place, options) =
            server.split_once('?').map_or((server, ""), |(place, options)| (place, options));
        let start = place.find("://").map_or(0, |at| at + 3);
        let end = place[start..].find('/').map_or(place.len(), |at| start + at);
        let url = format!("{}/{name}?{options}", &place[..end]);
        let client = Client::with_uri_str(server).await.unwrap();
        Self { url, database: client.database(&name) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.database.name().to_owned());
        // With a runtime and a connection of its own: those of the test may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Client::with_uri_str(url).await?.database(&name).drop().await })
        });
        if let Err(error) = dropped.join().unwrap() {
            eprintln!("the database of a test is left behind: {error}");
        }
    }
}
