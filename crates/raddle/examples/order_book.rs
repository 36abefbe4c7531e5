//! Order books behind keys, which keep their state while the pool is resized:
//! `cargo run --package raddle --example order_book`.

use std::collections::{BTreeMap, HashMap};
use std::thread;

use raddle::{Actor, Context, Drain, EventKind, Handler, KeyedState, Pool, Reply, WorkerSpec};

type Symbol = String;
/// In cents.
type Price = u64;

#[derive(Clone, Copy)]
enum Side {
    Buy,
    Sell,
}

/// An order to buy or sell a quantity at a price, or a better one.
#[derive(Clone)]
struct Order {
    symbol: Symbol,
    side: Side,
    price: Price,
    quantity: u64,
}

/// How much of an order was filled at once. The rest is in the book.
#[derive(Debug, PartialEq)]
struct Filled(u64);

impl Reply for Filled {}

/// The open quantities of one symbol, by price.
#[derive(Debug, Default, PartialEq)]
struct Book {
    bids: BTreeMap<Price, u64>,
    asks: BTreeMap<Price, u64>,
    /// The quantity that was traded so far.
    traded: u64,
}

impl Book {
    fn execute(&mut self, order: &Order) -> Filled {
        let Order { side, price, quantity, .. } = *order;
        let mut left = quantity;
        while left > 0 {
            // The best price of the other side, if it is good enough.
            let (best, matches) = match side {
                Side::Buy => {
                    let best = self.asks.first_entry();
                    let matches = best.as_ref().is_some_and(|best| *best.key() <= price);
                    (best, matches)
                }
                Side::Sell => {
                    let best = self.bids.last_entry();
                    let matches = best.as_ref().is_some_and(|best| *best.key() >= price);
                    (best, matches)
                }
            };
            let Some(mut best) = best.filter(|_| matches) else { break };
            let fill = left.min(*best.get());
            *best.get_mut() -= fill;
            if *best.get() == 0 {
                best.remove();
            }
            left -= fill;
            self.traded += fill;
        }
        if left > 0 {
            let own = match side {
                Side::Buy => &mut self.bids,
                Side::Sell => &mut self.asks,
            };
            *own.entry(price).or_default() += left;
        }
        Filled(quantity - left)
    }
}

/// What a worker keeps: the books of the symbols that belong to it.
#[derive(Default)]
struct Books(HashMap<Symbol, Book>);

impl Actor for Books {
    /// The books move to another worker together with their symbols.
    fn keyed_state() -> Option<KeyedState<Self>> {
        Some(KeyedState::map(|books: &mut Self| &mut books.0))
    }
}

impl Handler<Order> for Books {
    type Reply = Filled;

    fn handle(&mut self, order: Order, _: &mut Context<'_, Self>) -> Filled {
        self.0.entry(order.symbol.clone()).or_default().execute(&order)
    }
}

/// The orders of one symbol, in order.
fn orders(symbol: usize) -> impl Iterator<Item = Order> {
    (0..200_u64).map(move |number| Order {
        symbol: format!("S{symbol}"),
        side: if (number * 7 + symbol as u64).is_multiple_of(2) { Side::Buy } else { Side::Sell },
        price: 10_000 + (number * 31 + symbol as u64) % 40,
        quantity: 1 + number % 9,
    })
}

const SYMBOLS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool =
        Pool::builder("books").workers(2, WorkerSpec::new("book")).spawn(|_| Books::default())?;
    let mut events = pool.subscribe();

    // Four gateways send the orders of 25 symbols each, while the pool grows and shrinks.
    let gateways: Vec<_> = (0..4)
        .map(|gateway| {
            let pool = pool.clone();
            thread::spawn(move || {
                let mut filled = vec![0; SYMBOLS];
                for symbol in (0..SYMBOLS).filter(|symbol| symbol % 4 == gateway) {
                    for order in orders(symbol) {
                        let key = order.symbol.clone();
                        if let Ok(Filled(quantity)) = pool.task(order).key(key).ask().wait() {
                            filled[symbol] += quantity;
                        }
                    }
                }
                filled
            })
        })
        .collect();
    for workers in [4, 1, 3, 5, 2] {
        pool.resize(workers)?;
    }
    let mut filled = vec![0; SYMBOLS];
    for gateway in gateways {
        let its = gateway.join().expect("a gateway does not panic");
        filled.iter_mut().zip(its).for_each(|(filled, its)| *filled += its);
    }

    // As if one book had executed all orders of its symbol, one after the other.
    for (symbol, filled) in filled.into_iter().enumerate() {
        let mut book = Book::default();
        for order in orders(symbol) {
            book.execute(&order);
        }
        assert_eq!(filled, book.traded, "S{symbol}");
    }
    let account = pool.shutdown(Drain::all())?;
    println!("{} orders, of which each found its book", account.counts.completed);
    assert!(!events.any(|event| matches!(event.kind, EventKind::KeysMoved { .. })));
    Ok(())
}
