//! A pipeline of three pools: lines of text become orders, orders are priced, and priced orders are
//! booked. The last pool answers whoever asked the first one.
//! `cargo run --package raddle --example pipeline`

use std::time::Duration;

use raddle::{Actor, AskError, Context, Deferred, Drain, Handler, Pool, Reply, WorkerSpec};

struct Order {
    article: String,
    pieces: u64,
}

struct Priced {
    order: Order,
    cents: u64,
}

#[derive(Debug, PartialEq)]
struct Receipt {
    number: u64,
    cents: u64,
}

impl Reply for Receipt {}

/// What each pool answers with.
type Booked = Result<Receipt, String>;

/// Has as many workers as there are cores to parse on.
struct Parse {
    price: Pool<Order, Booked>,
}

/// Looks articles up.
struct Price {
    book: Pool<Priced, Booked>,
}

/// Numbers the receipts, so there is one.
struct Book {
    receipts: u64,
}

impl Actor for Parse {}
impl Actor for Price {}
impl Actor for Book {}

impl Handler<String> for Parse {
    type Reply = Deferred<Booked>;

    fn handle(&mut self, line: String, cx: &mut Context<'_, Self>) -> Deferred<Booked> {
        let Some((article, pieces)) = line.split_once(' ') else {
            return Deferred::ready(Err(format!("no order: {line}")));
        };
        let Ok(pieces) = pieces.parse() else {
            return Deferred::ready(Err(format!("no number: {pieces}")));
        };
        let order = Order { article: article.into(), pieces };
        // The asker, its deadline and its span go along.
        cx.forward(&self.price, order).unwrap_or_else(|refused| {
            cx.give_up(format!("no price: {refused}"));
            Deferred::ready(Err(String::new()))
        })
    }
}

impl Handler<Order> for Price {
    type Reply = Deferred<Booked>;

    fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) -> Deferred<Booked> {
        let each = match &*order.article {
            "tea" => 250,
            "cup" => 790,
            other => return Deferred::ready(Err(format!("unknown article: {other}"))),
        };
        let cents = each * order.pieces;
        cx.forward(&self.book, Priced { order, cents }).unwrap_or_else(|refused| {
            cx.give_up(format!("not booked: {refused}"));
            Deferred::ready(Err(String::new()))
        })
    }
}

impl Handler<Priced> for Book {
    type Reply = Booked;

    fn handle(&mut self, Priced { order, cents }: Priced, _: &mut Context<'_, Self>) -> Booked {
        if order.pieces == 0 {
            return Err("nothing ordered".into());
        }
        self.receipts += 1;
        Ok(Receipt { number: self.receipts, cents })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let book =
        Pool::builder("book").workers(1, WorkerSpec::general()).spawn(|_| Book { receipts: 0 })?;
    let next = book.clone();
    let price = Pool::builder("price")
        .workers(2, WorkerSpec::general())
        .spawn(move |_| Price { book: next.clone() })?;
    let next = price.clone();
    let parse = Pool::builder("parse")
        .workers(2, WorkerSpec::general())
        .spawn(move |_| Parse { price: next.clone() })?;

    for line in ["tea 3", "cup 2", "cup two", "hat 1", "tea 0"] {
        let booked = parse.task(line.to_owned()).timeout(Duration::from_secs(10)).ask().wait()?;
        println!("{line}: {booked:?}");
    }
    assert_eq!(parse.ask("tea 4".into()).wait()?, Ok(Receipt { number: 3, cents: 1_000 }));

    // From the last to the first, each pool ends with nothing in flight. The others say why they cannot.
    let booked = book.shutdown(Drain::all())?.counts;
    assert_eq!((booked.completed, booked.failed), (3, 1));
    match parse.ask("tea 1".into()).wait() {
        Err(AskError::GaveUp { reason }) => println!("tea 1: {reason}"),
        other => return Err(format!("{other:?}").into()),
    }
    for counts in [price.shutdown(Drain::all())?.counts, parse.shutdown(Drain::all())?.counts] {
        assert!(counts.is_balanced() && counts.cancelled == 1);
    }
    Ok(())
}
