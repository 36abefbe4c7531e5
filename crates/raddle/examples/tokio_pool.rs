//! An asynchronous program that sends its heavy work to a pool and awaits the results.
//! `cargo run --package raddle --example tokio_pool`

use raddle::strategies::LeastLoaded;
use raddle::{Actor, Context, Drain, Handler, Pool, WorkerSpec};

/// Counts primes, which would block an executor's thread.
struct Primes;

impl Actor for Primes {}

impl Handler<u32> for Primes {
    type Reply = usize;

    fn handle(&mut self, below: u32, _: &mut Context<'_, Self>) -> usize {
        let is_prime = |n: &u32| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
        (2..below).filter(is_prime).count()
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
            // An ask never blocks its executor: it waits for room, and then for the reply.
            tokio::spawn(async move {
                let count = pool.ask(below).await;
                (below, count.expect("the pool is open, and the handler does not panic"))
            })
        })
        .collect();
    for request in requests {
        let (below, count) = request.await?;
        println!("{count} primes below {below}");
    }
    assert_eq!(pool.ask(100).await?, 25);

    pool.shutdown_async(Drain::all()).await?;
    Ok(())
}
