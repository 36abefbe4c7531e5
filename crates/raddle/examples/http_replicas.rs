//! A client of a service that runs on several servers. Each worker of the pool is the client of one
//! of them, and has many requests under way side by side, on its one thread.
//!
//! - A request has a deadline. Where it passes, the handler is dropped, and its connection closed.
//! - A server that fails too often, or does not answer, is ejected: it gets no requests for a while.
//!
//! The servers are part of the program, so it runs without a network:
//! `cargo run --package raddle --example http_replicas`

use std::error::Error;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use std::{io, iter};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use raddle::strategies::Ejection;
use raddle::{
    Actor, AskError, AsyncContext, Drain, Event, EventKind, Events, Pool, SharedHandler,
    SpawnError, WorkerSpec,
};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The limit of everything that ends by itself, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The client of one server, with its open connections.
struct Replica {
    server: String,
    client: Client<HttpConnector, Empty<Bytes>>,
    patience: Duration,
}

type Fault = Box<dyn Error + Send + Sync>;
/// An `Err` counts as a failure of the server, so a 404 is an answer.
type Answer = Result<(StatusCode, Bytes), Fault>;

impl Actor for Replica {}

impl SharedHandler<String> for Replica {
    type Reply = Answer;

    async fn handle(&self, path: String, _: &mut AsyncContext<'_, Self>) -> Answer {
        // A handler that is dropped, at a deadline or at an await limit, is no failure of the server.
        // A server that does not answer for this long has failed.
        timeout(self.patience, self.get(&path)).await?
    }
}

impl Replica {
    async fn get(&self, path: &str) -> Answer {
        let uri = format!("http://{}{path}", self.server).parse()?;
        let response = self.client.get(uri).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status.is_server_error() { Err(status.to_string().into()) } else { Ok((status, body)) }
    }
}

/// Each worker is named for its server.
fn replicas(
    servers: &[SocketAddr],
    patience: Duration,
) -> Result<Pool<String, Answer>, SpawnError> {
    let mut builder = Pool::builder("replicas");
    for server in servers {
        builder = builder.worker(WorkerSpec::new(server.to_string()));
    }
    // One request is enough to judge a server by: the strategy sends few to one that fails.
    let ejection = Ejection::default().min_tasks(1).base_duration(Duration::from_secs(30));
    builder.ejection(ejection).enter(Handle::current()).spawn_concurrent(64, move |worker| {
        Replica {
            server: worker.name().to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            patience,
        }
    })
}

/// Starts a server that squares numbers unless it is broken, and never answers to `/hang`.
async fn start_server(broken: &Arc<AtomicBool>) -> io::Result<SocketAddr> {
    async fn square(
        State(broken): State<Arc<AtomicBool>>,
        Path(number): Path<u64>,
    ) -> Result<String, StatusCode> {
        match broken.load(Relaxed) {
            true => Err(StatusCode::INTERNAL_SERVER_ERROR),
            false => Ok((number * number).to_string()),
        }
    }
    let router = Router::new()
        .route("/square/{number}", get(square))
        .route("/hang", get(pending::<()>))
        .with_state(Arc::clone(broken));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(address)
}

/// Makes a hundred requests at a time, and returns how many failed.
async fn make_requests(pool: &Pool<String, Answer>) -> Result<usize, AskError<String>> {
    let squares = (0..100).map(|number| format!("/square/{number}"));
    let asks: Vec<_> = squares.map(|path| pool.task(path).timeout(PATIENCE).ask()).collect();
    let mut failures = 0;
    for (number, ask) in (0_u64..).zip(asks) {
        match ask.await? {
            Ok((_, square)) => assert_eq!(square, (number * number).to_string()),
            Err(_) => failures += 1,
        }
    }
    Ok(failures)
}

/// Repeats requests until a server is ejected. Returns its name, and how many requests failed.
async fn until_ejected(
    events: &mut Events,
    mut make_requests: impl AsyncFnMut() -> Result<usize, AskError<String>>,
) -> Result<(String, usize), Fault> {
    let mut failures = 0;
    let ejected = |event: &Event| matches!(event.kind, EventKind::Ejected { .. });
    let server = timeout(PATIENCE, async {
        loop {
            failures += make_requests().await?;
            if let Some(event) = iter::from_fn(|| events.try_recv()).find(ejected) {
                return Ok::<_, Fault>(event.name);
            }
        }
    });
    let server = server.await??;
    Ok((server, failures))
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let (broken, well) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
    let servers =
        [start_server(&well).await?, start_server(&broken).await?, start_server(&well).await?];
    let pool = replicas(&servers, PATIENCE)?;
    let mut events = pool.subscribe();

    assert_eq!(make_requests(&pool).await?, 0);
    println!("a hundred requests had their answer");

    let hung = pool.task("/hang".into()).timeout(Duration::from_millis(50)).ask().await;
    assert!(matches!(hung, Err(AskError::Expired)));
    println!("one was dropped at its deadline");

    broken.store(true, Relaxed);
    let (server, failed) = until_ejected(&mut events, async || make_requests(&pool).await).await?;
    assert_eq!(server, servers[1].to_string());
    assert_eq!(make_requests(&pool).await?, 0);
    println!("{server} failed {failed} times, was ejected, and the others went on");

    let account = pool.shutdown_async(Drain::within(PATIENCE)).await?;
    println!("{account:?}");
    assert!(account.is_balanced());
    assert_eq!((account.counts.expired, account.counts.failed), (1, failed as u64));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_never_answers_is_ejected() -> Result<(), Fault> {
        let well = Arc::default();
        let servers = [start_server(&well).await?, start_server(&well).await?];
        let pool = replicas(&servers, Duration::from_millis(10))?;
        let mut events = pool.subscribe();
        let requests = async || {
            let asks: Vec<_> = (0..32).map(|_| pool.ask("/hang".into())).collect();
            let mut failures = 0;
            for ask in asks {
                failures += usize::from(ask.await?.is_err());
            }
            Ok(failures)
        };
        let (server, failed) = until_ejected(&mut events, requests).await?;
        let server: SocketAddr = server.parse()?;
        assert!(servers.contains(&server));
        let account = pool.shutdown_async(Drain::within(PATIENCE)).await?;
        assert_eq!(
            (account.counts.failed, account.counts.admitted),
            (failed as u64, failed as u64)
        );
        Ok(())
    }
}
