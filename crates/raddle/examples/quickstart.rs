//! A pool from start to shutdown: `cargo run --package raddle --example quickstart`.

use std::time::Duration;

use raddle::strategies::{LatencyBased, LeastLoaded};
use raddle::{Actor, Capability, Context, Drain, Handler, Overflow, Pool, WorkerSpec};

/// Pretends to shrink images.
struct Resizer {
    quality: u8,
}

struct Image {
    width: u32,
    height: u32,
}

#[derive(Debug, PartialEq)]
struct Thumbnail {
    width: u32,
    height: u32,
    quality: u8,
}

#[derive(Debug, PartialEq)]
struct EmptyImage;

impl std::fmt::Display for EmptyImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the image is empty")
    }
}

impl std::error::Error for EmptyImage {}

impl Actor for Resizer {}

impl Handler<Image> for Resizer {
    type Reply = Result<Thumbnail, EmptyImage>;

    fn handle(&mut self, image: Image, cx: &mut Context<'_, Self>) -> Self::Reply {
        if image.width == 0 || image.height == 0 {
            return Err(EmptyImage);
        }
        // With little time left, a rougher picture is better than none.
        let hurried = cx.remaining().is_some_and(|left| left < Duration::from_millis(1));
        let quality = if hurried { self.quality / 2 } else { self.quality };
        Ok(Thumbnail { width: image.width / 8, height: image.height / 8, quality })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder("resize")
        .worker(WorkerSpec::new("gpu-0").capability("vision").weight(4))
        .workers(3, WorkerSpec::general())
        .strategy(LatencyBased::new())
        .mailbox(1024, Overflow::Block)
        .spawn(|_worker| Resizer { quality: 80 })?;

    let image = || Image { width: 800, height: 600 };
    pool.tell(image())?;

    let thumbnail = pool.ask(image()).wait()??;
    println!("a thumbnail: {thumbnail:?}");

    let vision = Capability::intern("vision")?;
    let task = pool.task(image()).capability(vision).timeout(Duration::from_secs(1));
    let thumbnail = task.ask().wait()??;
    assert_eq!(thumbnail, Thumbnail { width: 100, height: 75, quality: 80 });

    let empty = pool.ask(Image { width: 0, height: 0 }).wait()?;
    assert_eq!(empty, Err(EmptyImage), "the handler's own error, counted as a failed task");

    pool.set_strategy(LeastLoaded::new())?;
    for _ in 0..1_000 {
        pool.tell(image())?;
    }

    let account = pool.shutdown(Drain::within(Duration::from_secs(5)))?;
    println!("the account: {account:?}");
    assert!(account.is_balanced());
    for worker in pool.stats().balancer.workers {
        println!(
            "{:>10}: {:4} tasks, service p50 {:?}, p99 {:?}",
            worker.name, worker.counts.admitted, worker.service.p50, worker.service.p99
        );
    }
    Ok(())
}
