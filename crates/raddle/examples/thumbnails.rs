//! A web service that shrinks images: axum receives them, the threads of a pool do the work.
//!
//! - A request waits for its reply without blocking the executor. If its client goes away before
//!   its turn, it is not run.
//! - Under overload it is answered at once: 503 if no mailbox has room, or if the image was not
//!   begun in time.
//! - Ctrl-C and SIGTERM end the service: first its connections, then the pool.
//!
//! ```text
//! cargo run --release --package raddle --example thumbnails -- 127.0.0.1:3000
//! curl --data-binary @photo.png --output thumbnail.png http://127.0.0.1:3000/
//! cargo test --package raddle --example thumbnails
//! ```

use std::error::Error;
use std::io::{self, Cursor};
use std::time::Duration;
use std::{env, thread};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use image::{ImageError, ImageFormat, ImageReader};
use raddle::{Account, Actor, Context, Drain, Handler, Overflow, Pool, PoolBuilder, WorkerSpec};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The longer side of a thumbnail, in pixels.
const SIDE: u32 = 128;
const MAX_UPLOAD: usize = 16 << 20;

/// A PNG, or why the upload could not be shrunk.
type Thumbnail = Result<Vec<u8>, ImageError>;
type Thumbnails = Pool<Bytes, Thumbnail>;

/// Takes a PNG and returns its thumbnail.
struct Thumbnailer;

impl Actor for Thumbnailer {}

impl Handler<Bytes> for Thumbnailer {
    type Reply = Thumbnail;

    fn handle(&mut self, upload: Bytes, _: &mut Context<'_, Self>) -> Self::Reply {
        let image = ImageReader::with_format(Cursor::new(upload), ImageFormat::Png).decode()?;
        let mut thumbnail = Cursor::new(Vec::new());
        image.thumbnail(SIDE, SIDE).write_to(&mut thumbnail, ImageFormat::Png)?;
        Ok(thumbnail.into_inner())
    }
}

/// A pool that refuses images when `waiting` of them wait for each of its workers.
fn thumbnails(workers: usize, waiting: usize) -> PoolBuilder<Bytes, Thumbnail> {
    Pool::builder("thumbnails")
        .workers(workers, WorkerSpec::general())
        .mailbox(waiting, Overflow::Reject)
        .reroute(true)
}

#[derive(Clone)]
struct Service {
    pool: Thumbnails,
    /// An image that waits longer than this for a worker is not worth beginning.
    begin_within: Duration,
    /// The limit of everything.
    reply_within: Duration,
}

async fn thumbnail(State(service): State<Service>, upload: Bytes) -> Response {
    let task = service.pool.task(upload).timeout(service.begin_within).cancel_on_drop();
    match task.ask_within(service.reply_within).await {
        Ok(Ok(png)) => ([(header::CONTENT_TYPE, "image/png")], png).into_response(),
        // The handler's own error.
        Ok(Err(error)) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
        Err(error) if error.is_overload() || error.is_closed() => {
            let retry_after = [(header::RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, retry_after, error.to_string()).into_response()
        }
        Err(error) if error.is_timeout() => StatusCode::GATEWAY_TIMEOUT.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Serves until `stop` is ready, and returns what became of the images.
async fn serve(
    listener: TcpListener,
    service: Service,
    stop: impl Future<Output = ()>,
) -> Result<Account, Box<dyn Error + Send + Sync>> {
    let (pool, limit) = (service.pool.clone(), service.reply_within);
    let router = Router::new()
        .route("/", post(thumbnail))
        .layer(DefaultBodyLimit::max(MAX_UPLOAD))
        .with_state(service);
    let (close, closed) = oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = closed.await;
    });
    let stopping = async {
        stop.await;
        drop(close);
        // By then, each image that has arrived has its reply.
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        served = serving.into_future() => served?,
        () = stopping => eprintln!("some connections are still open"),
    }
    // Not before: requests that have arrived still need the pool.
    Ok(pool.shutdown_async(Drain::within(limit)).await?)
}

/// Catches Ctrl-C and SIGTERM from now on; the future is ready at the first one.
#[cfg(unix)]
fn signalled() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signalled() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let stop = signalled()?;
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("POST a PNG to http://{}/", listener.local_addr()?);
    let service = Service {
        // The work is computing, so more workers than cores would only compete.
        pool: thumbnails(thread::available_parallelism()?.get(), 16).spawn(|_| Thumbnailer)?,
        begin_within: Duration::from_secs(1),
        reply_within: Duration::from_secs(10),
    };
    let account = serve(listener, service, stop).await?;
    println!("{account:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::Body;
    use axum::http::{HeaderMap, Request};
    use crossbeam_channel::{Receiver, Sender};
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use image::{DynamicImage, GenericImageView};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(120);
    const SHORT: Duration = Duration::from_millis(10);

    fn service(pool: &Thumbnails) -> Service {
        Service { pool: pool.clone(), begin_within: LONG, reply_within: LONG }
    }

    /// Serves until the returned sender is dropped.
    async fn start(
        service: Service,
    ) -> Result<(SocketAddr, oneshot::Sender<()>, JoinHandle<Result<Account>>)> {
        let (stop, stopped) = oneshot::channel();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stopped = async {
            let _ = stopped.await;
        };
        Ok((address, stop, tokio::spawn(serve(listener, service, stopped))))
    }

    async fn ended(serving: JoinHandle<Result<Account>>) -> Result<Account> {
        let account = timeout(LONG, serving).await???;
        assert!(account.is_balanced(), "{account:?}");
        Ok(account)
    }

    async fn post(to: SocketAddr, image: Vec<u8>) -> Result<(StatusCode, HeaderMap, Bytes)> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::post(format!("http://{to}/")).body(Body::from(image))?;
        let (head, body) = timeout(LONG, client.request(request)).await??.into_parts();
        Ok((head.status, head.headers, timeout(LONG, body.collect()).await??.to_bytes()))
    }

    /// Stands for a `Thumbnailer` that has much to do: waits until the sender is dropped.
    struct Held {
        begun: Sender<()>,
        release: Receiver<()>,
    }

    impl Actor for Held {}

    impl Handler<Bytes> for Held {
        type Reply = Thumbnail;

        fn handle(&mut self, _: Bytes, _: &mut Context<'_, Self>) -> Thumbnail {
            let _ = self.begun.send(());
            let _ = self.release.recv();
            Ok(Vec::new())
        }
    }

    /// A pool of one worker, what says that it has begun an image, and what releases it.
    fn held(waiting: usize) -> Result<(Thumbnails, Receiver<()>, Sender<()>)> {
        let (begun, has_begun) = crossbeam_channel::unbounded();
        let (release, released) = crossbeam_channel::bounded(0);
        let make = move |_: &_| Held { begun: begun.clone(), release: released.clone() };
        Ok((thumbnails(1, waiting).spawn(make)?, has_begun, release))
    }

    #[tokio::test]
    async fn an_image_becomes_a_thumbnail_and_other_data_an_error() -> Result {
        let (server, stop, serving) =
            start(service(&thumbnails(2, 16).spawn(|_| Thumbnailer)?)).await?;
        let mut photo = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(600, 300).write_to(&mut photo, ImageFormat::Png)?;

        let (status, headers, png) = post(server, photo.into_inner()).await?;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::CONTENT_TYPE], "image/png");
        let thumbnail = image::load_from_memory_with_format(&png, ImageFormat::Png)?;
        assert_eq!(thumbnail.dimensions(), (SIDE, SIDE / 2));

        let (status, ..) = post(server, b"no image".into()).await?;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);

        drop(stop);
        let counts = ended(serving).await?.counts;
        assert_eq!((counts.admitted, counts.completed, counts.failed), (2, 1, 1));
        Ok(())
    }

    #[tokio::test]
    async fn a_full_pool_answers_503_until_there_is_room() -> Result {
        let (pool, has_begun, release) = held(1)?;
        let (server, stop, serving) = start(service(&pool)).await?;
        let running = pool.ask(Bytes::new());
        has_begun.recv_timeout(LONG)?;
        let waiting = pool.ask(Bytes::new());

        let (status, headers, _) = post(server, Vec::new()).await?;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(headers[header::RETRY_AFTER], "1");

        drop(release);
        running.await??;
        waiting.await??;
        assert_eq!(post(server, Vec::new()).await?.0, StatusCode::OK);
        drop(stop);
        let account = ended(serving).await?;
        assert_eq!((account.counts.completed, account.rejected), (3, 1));
        Ok(())
    }

    #[tokio::test]
    async fn an_image_that_is_not_begun_in_time_answers_503() -> Result {
        let (pool, has_begun, release) = held(16)?;
        let (server, stop, serving) =
            start(Service { begin_within: SHORT, ..service(&pool) }).await?;
        let running = pool.ask(Bytes::new());
        has_begun.recv_timeout(LONG)?;

        let (status, headers, _) = post(server, Vec::new()).await?;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(headers[header::RETRY_AFTER], "1");

        drop(release);
        running.await??;
        drop(stop);
        let counts = ended(serving).await?.counts;
        assert_eq!((counts.completed, counts.expired), (1, 1));
        Ok(())
    }

    #[tokio::test]
    async fn an_image_that_takes_too_long_answers_504() -> Result {
        let (pool, _has_begun, release) = held(16)?;
        let (server, _stop, _serving) =
            start(Service { reply_within: SHORT, ..service(&pool) }).await?;
        assert_eq!(post(server, Vec::new()).await?.0, StatusCode::GATEWAY_TIMEOUT);
        drop(release);
        assert!(pool.shutdown_async(Drain::within(LONG)).await?.is_balanced());
        Ok(())
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn sigterm_lets_the_service_answer_what_it_has_begun() -> Result {
        let (pool, has_begun, release) = held(16)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = listener.local_addr()?;
        let (caught, is_caught) = oneshot::channel();
        let signal = signalled()?;
        let stop = async {
            signal.await;
            let _ = caught.send(());
        };
        let serving = tokio::spawn(serve(listener, service(&pool), stop));
        let request = tokio::spawn(post(server, Vec::new()));
        timeout(LONG, tokio::task::spawn_blocking(move || has_begun.recv_timeout(LONG)))
            .await???;

        signal_hook::low_level::raise(signal_hook::consts::SIGTERM)?;
        timeout(LONG, is_caught).await??;
        drop(release);
        assert_eq!(request.await??.0, StatusCode::OK);
        assert_eq!(ended(serving).await?.counts.completed, 1);
        assert!(post(server, Vec::new()).await.is_err(), "nobody listens any more");
        Ok(())
    }
}
