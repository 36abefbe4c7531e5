//! Async handlers over `async-io`, which needs no runtime around them: its own thread waits for sockets
//! and timers, and wakes the workers.
//! `cargo run --package raddle --example async_io_handlers`

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use raddle::{Actor, AsyncContext, AsyncHandler, Context, Drain, Pool, StartError, WorkerSpec};

/// Sends datagrams to itself, after a while.
struct Echo {
    socket: Async<UdpSocket>,
}

impl Actor for Echo {
    fn on_start(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        let own = self.socket.get_ref().local_addr()?;
        Ok(self.socket.get_ref().connect(own)?)
    }
}

impl AsyncHandler<u8> for Echo {
    type Reply = std::io::Result<u8>;

    async fn handle(&mut self, byte: u8, _: &mut AsyncContext<'_, Self>) -> Self::Reply {
        Timer::after(Duration::from_millis(10)).await;
        self.socket.send(&[byte]).await?;
        let mut received = [0];
        self.socket.recv(&mut received).await?;
        Ok(received[0])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder("echo").workers(2, WorkerSpec::general()).spawn_async(|_| Echo {
        socket: Async::<UdpSocket>::bind(([127, 0, 0, 1], 0)).expect("a port is free"),
    })?;
    let begun = Instant::now();
    let asks: Vec<_> = (0..10).map(|byte| pool.ask(byte)).collect();
    for (byte, ask) in (0..).zip(asks) {
        assert_eq!(ask.wait()??, byte);
    }
    println!("10 echoes by 2 workers in {:?}", begun.elapsed());
    println!("{:?}", pool.shutdown(Drain::all())?.counts);
    Ok(())
}
