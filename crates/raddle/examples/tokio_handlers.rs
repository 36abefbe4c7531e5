//! Clients of a server, with async handlers: each worker keeps a connection across its tasks, and a
//! request that takes too long is dropped. tokio does the I/O.
//! `cargo run --package raddle --example tokio_handlers`

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use raddle::{
    Actor, AskError, AsyncContext, AsyncHandler, Drain, Outcome, Pool, Watchdog, WorkerSpec,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Asks a server to double numbers.
struct Client {
    server: SocketAddr,
    connection: Option<TcpStream>,
}

impl Actor for Client {}

impl AsyncHandler<u32> for Client {
    type Reply = io::Result<u32>;

    async fn handle(&mut self, number: u32, _: &mut AsyncContext<'_, Self>) -> io::Result<u32> {
        // A handler that is dropped half way leaves no broken connection: its actor is restarted.
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(TcpStream::connect(self.server).await?),
        };
        connection.write_u32(number).await?;
        connection.read_u32().await
    }
}

/// A server that doubles numbers, and never answers to 13.
async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut connection, _) = listener.accept().await?;
        tokio::spawn(async move {
            while let Ok(number) = connection.read_u32().await {
                if number != 13 && connection.write_u32(2 * number).await.is_err() {
                    break;
                }
            }
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let server = listener.local_addr()?;
    runtime.spawn(serve(listener));

    let pool = Pool::builder("client")
        .workers(4, WorkerSpec::general())
        // Also the limit of each await.
        .watchdog(Watchdog::after(Duration::from_secs(5)))
        .enter(runtime.handle().clone())
        .spawn_async(move |_| Client { server, connection: None })?;

    let asks: Vec<_> = (0..10).map(|number| pool.ask(number)).collect();
    for (number, ask) in (0..).zip(asks) {
        assert_eq!(ask.wait()??, 2 * number);
    }
    println!("doubled the numbers below 10");

    let unanswered = pool.task(13).timeout(Duration::from_millis(50)).ask().wait();
    assert!(matches!(unanswered, Err(AskError::Expired)));
    println!("13 expired");
    assert_eq!(pool.ask(21).wait()??, 42);

    let account = pool.shutdown(Drain::all())?;
    assert_eq!(account.counts.get(Outcome::Completed), 11);
    println!("{:?}", account.counts);
    Ok(())
}
