//! An asynchronous program that gives its heavy work to a pool and awaits it.
//! `cargo run --package raddle --example tokio_pool`

use raddle::prelude::*;

/// Counts primes, which would hold up an executor's thread.
struct Primes;

impl Actor for Primes {
    type Msg = u32;
    type Reply = usize;
    type Error = std::convert::Infallible;

    fn handle(&mut self, below: u32, _: &mut Context<'_>) -> Result<usize, Self::Error> {
        let is_prime = |n: &u32| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
        Ok((2..below).filter(is_prime).count())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder("primes")
        .workers(2, WorkerSpec::general())
        .strategy(LeastLoaded::new())
        .spawn(|_| Primes)?;

    let requests: Vec<_> = [10_u32, 100, 1_000, 10_000]
        .into_iter()
        .map(|below| {
            let pool = pool.clone();
            // An ask into a mailbox with room does not block; awaiting never does.
            tokio::spawn(async move {
                let count = pool.ask(below).expect("the pool is open").await;
                (below, count.expect("the handler neither fails nor panics"))
            })
        })
        .collect();
    for request in requests {
        let (below, count) = request.await?;
        println!("{count} primes below {below}");
    }
    assert_eq!(pool.ask(100)?.await?, 25);

    // The last handle drains and joins, which blocks: not on an executor's thread.
    tokio::task::spawn_blocking(move || pool.shutdown(Drain::all())).await??;
    Ok(())
}
