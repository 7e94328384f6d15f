//! Sinks that are made of the driver's options, or of a client.

use evs_core::{Sink, SinkError};
use mongodb::{
    Client,
    options::{
        Acknowledgment, ClientOptions, Credential, ReadConcern, ReadPreference, SelectionCriteria,
        ServerAddress, WriteConcern,
    },
};

use super::{Scratch, batch, refused, schema, totals};
use crate::{MongoSink, MongoSinkBuilder};

/// Options that differ from evs's own wherever they can.
async fn options(scratch: &Scratch) -> ClientOptions {
    let mut options = ClientOptions::parse(&scratch.url).await.unwrap();
    let lagging = ReadPreference::SecondaryPreferred { options: None };
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(lagging));
    options.read_concern = Some(ReadConcern::available());
    options.retry_writes = Some(false);
    options.max_pool_size = Some(1);
    options
}

async fn is_exact(sink: &MongoSink) {
    let database = sink.0.store().server.database().await.ok().unwrap();
    let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
    assert_eq!(database.selection_criteria(), Some(&primary));
    assert_eq!(database.read_concern(), Some(&ReadConcern::local()));
    let concern = sink.0.store().server.write_concern();
    assert_eq!((concern.get_str("w").unwrap(), concern.get_bool("j").unwrap()), ("majority", true));
}

#[tokio::test]
async fn options_and_clients_of_another_mind_make_the_same_sink() {
    let Some(scratch) = Scratch::new().await else { return };
    let options = options(&scratch).await;
    let client = Client::with_options(options.clone()).unwrap();
    let database = scratch.database.name();
    for (sequence, builder) in
        (1..).zip([MongoSink::from_options(options), MongoSink::from_client(&client, database)])
    {
        let sink = builder.connect().await.unwrap();
        is_exact(&sink).await;
        sink.prepare(&schema()).await.unwrap();
        sink.apply(&batch("web1", sequence, &[(60, "c1", 5)])).await.unwrap();
        assert_eq!(
            totals(&sink).await,
            [(60, "c1".to_owned(), i128::from(sequence), 5 * i128::from(sequence))]
        );
    }
}

#[tokio::test]
async fn any_number_of_commands_at_once_adds_each_row_once() {
    let Some(scratch) = Scratch::new().await else { return };
    let keys = (0..1_100).map(|key| format!("c{key}")).collect::<Vec<_>>();
    let rows = keys.iter().map(|key| (60, key.as_str(), 5)).collect::<Vec<_>>();
    for (sequence, pool) in (1..).zip([1, 3]) {
        let sink = MongoSink::builder(&scratch.url).pool(pool).connect().await.unwrap();
        sink.prepare(&schema()).await.unwrap();
        sink.apply(&batch("web1", sequence, &rows)).await.unwrap();
        let found = totals(&sink).await;
        assert_eq!(found.len(), rows.len());
        assert!(found.iter().all(|row| row.2 == i128::from(sequence)), "{pool}");
    }
    for pool in [0, 101] {
        let said = refused(MongoSink::builder(&scratch.url).pool(pool).connect().await);
        assert!(said.contains("1 to 100"), "{said}");
    }
}

/// No server is needed.
#[tokio::test]
async fn options_and_clients_that_would_lose_rows_are_refused() {
    let host = || vec![ServerAddress::Tcp { host: "localhost".to_owned(), port: Some(1) }];
    let login = Credential::builder().username("evs".to_owned()).password("hunter2".to_owned()).build();
    let options = |concern: WriteConcern| {
        let builder = ClientOptions::builder().hosts(host()).write_concern(concern).credential(login.clone());
        builder.default_database("stats".to_owned()).build()
    };
    let number = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
    let no_journal = WriteConcern::builder().journal(false).build();
    let nameless = ClientOptions::builder().hosts(host()).credential(login.clone()).build();
    let client = |concern| Client::with_options(options(concern)).unwrap();
    let cases: [(MongoSinkBuilder, &str); 6] = [
        (MongoSink::from_options(nameless), "name no database"),
        (MongoSink::from_options(options(number.clone())), "the options ask for a write concern"),
        (MongoSink::from_options(options(no_journal.clone())), "without a journal"),
        (MongoSink::from_client(&client(number), "stats"), "the client asks for a write concern"),
        (MongoSink::from_client(&client(no_journal), "stats"), "without a journal"),
        (MongoSink::from_client(&client(WriteConcern::majority()), ""), "is empty"),
    ];
    for (builder, said) in cases {
        assert!(!format!("{builder:?}").contains("hunter2"));
        let error = builder.connect().await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
}
