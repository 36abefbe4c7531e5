//! Which columns a table shows, so that it fits the terminal.

use comfy_table::{Cell, CellAlignment, Table, presets};
use thiserror::Error;

use crate::print::{Screen, visible};

/// The results of one strategy, as a line of a table.
pub trait Line {
    /// Returns the strategy's name.
    fn strategy(&self) -> &str;

    /// Returns each worker's share of the completed tasks.
    fn share(&self) -> &[(String, f64)];
}

/// A column that a table may show.
pub struct Shown {
    /// The name for `--columns`.
    pub name: &'static str,
    /// The heading.
    pub heading: String,
    /// A cell for each strategy.
    pub cells: Vec<Cell>,
    /// Whether it is shown without being named.
    pub usual: bool,
    /// Whether it is the last to be left out.
    pub urgent: bool,
}

/// How tables are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    columns: Columns,
    /// The number of characters in a line; `None` if lines may have any length.
    width: Option<usize>,
    /// Whether figures are coloured.
    colours: bool,
}

/// The columns of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Columns {
    /// Those that fit.
    Fitting,
    /// All usual ones.
    All,
    /// These, in this order.
    Named(Vec<String>),
}

/// `--columns` names a column that the table does not have.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("--columns: `{found}` is not a column: expected all, or some of {known}, joined by commas")]
pub struct UnknownColumn {
    found: String,
    known: String,
}

impl Layout {
    /// Creates the layout for the value of `--columns` and for the width of the terminal. That is
    /// the environment's `COLUMNS`, or the width of the terminal that shows the screen. There,
    /// figures are coloured, unless the environment has `NO_COLOR`.
    pub fn new(
        columns: Option<&str>,
        known: &[&str],
        screen: Screen,
    ) -> Result<Self, UnknownColumn> {
        let columns = match columns {
            None => Columns::Fitting,
            Some("all") => Columns::All,
            Some(names) => {
                let names: Vec<String> = names.split(',').map(|name| name.trim().into()).collect();
                if let Some(found) = names.iter().find(|name| !known.contains(&name.as_str())) {
                    let (found, known) = (found.clone(), known.join(", "));
                    return Err(UnknownColumn { found, known });
                }
                Columns::Named(names)
            }
        };
        let mut terminal = Table::new();
        if let Screen::Error = screen {
            terminal.use_stderr();
        }
        let given = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let given = given.filter(|width| *width > 0);
        let no_colours = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        Ok(Self {
            columns,
            width: given.or_else(|| terminal.width().map(usize::from)),
            colours: terminal.is_tty() && !no_colours,
        })
    }

    /// Creates a layout of all usual columns in lines of any length.
    #[cfg(test)]
    pub fn whole() -> Self {
        Self { columns: Columns::Fitting, width: None, colours: false }
    }

    /// Returns a table with the columns of the layout. `important` names the columns to keep if not
    /// all fit, the most important first.
    pub fn show<L: Line>(
        &self,
        strategies: &[L],
        columns: Vec<Shown>,
        important: &[&str],
    ) -> String {
        let usual = || columns.iter().filter(|column| column.usual);
        let shown: Vec<&Shown> = match (&self.columns, self.width) {
            (Columns::Named(names), _) => {
                let named = |name: &String| columns.iter().find(|column| column.name == *name);
                names.iter().filter_map(named).collect()
            }
            (Columns::Fitting, Some(width)) => {
                fitting(strategies, usual().collect(), important, width)
            }
            _ => usual().collect(),
        };
        let is_shown = |column: &Shown| shown.iter().any(|one| one.name == column.name);
        let missing: Vec<_> =
            usual().filter(|column| !is_shown(column)).map(|column| column.name).collect();
        let mut text = self.blocks(strategies, shown);
        if self.columns == Columns::Fitting && !missing.is_empty() {
            text += &format!("\nNot shown: {} (--columns all shows them)", missing.join(", "));
        }
        text
    }

    /// Returns all of the columns, in several tables if one would be too wide.
    pub fn split<L: Line>(&self, strategies: &[L], columns: Vec<Shown>) -> String {
        self.blocks(strategies, columns.iter().collect())
    }

    /// Returns tables of as many columns as fit in each.
    fn blocks<L: Line>(&self, strategies: &[L], columns: Vec<&Shown>) -> String {
        let write = |columns| {
            let mut table = table(strategies, columns);
            // The choice was made for the screen; a table would look at standard output.
            if self.colours {
                table.enforce_styling()
            } else {
                table.force_no_tty()
            };
            table.to_string()
        };
        let (first, widths) = widths(strategies, &columns);
        let (mut tables, mut begin, mut left) = (Vec::new(), 0, 0);
        for (index, own) in widths.iter().enumerate() {
            if index > begin && self.width.is_some() && *own > left {
                tables.push(write(&columns[begin..index]));
                begin = index;
            }
            if index == begin {
                left = self.width.unwrap_or_default().saturating_sub(first);
            }
            left = left.saturating_sub(*own);
        }
        tables.push(write(&columns[begin..]));
        tables.join("\n\n")
    }
}

/// Returns the columns that fit, in their order.
fn fitting<'c, L: Line>(
    strategies: &[L],
    columns: Vec<&'c Shown>,
    important: &[&str],
    width: usize,
) -> Vec<&'c Shown> {
    let rank = |column: &Shown| {
        let rank = important.iter().position(|name| *name == column.name);
        (!column.urgent, rank.unwrap_or(important.len()))
    };
    let (first, widths) = widths(strategies, &columns);
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|index| rank(columns[*index]));
    let mut left = width.saturating_sub(first);
    let mut fits = vec![false; columns.len()];
    for (number, index) in by_rank.into_iter().enumerate() {
        // The most important one in any case: a table without figures is of no use.
        if number > 0 && widths[index] > left {
            break;
        }
        left = left.saturating_sub(widths[index]);
        fits[index] = true;
    }
    columns.into_iter().zip(fits).filter(|(_, fits)| *fits).map(|(column, _)| column).collect()
}

/// Returns the width of the names with the borders, and that of each column.
fn widths<L: Line>(strategies: &[L], columns: &[&Shown]) -> (usize, Vec<usize>) {
    let contents = table(strategies, columns).column_max_content_widths();
    // A border and two spaces.
    let mut widths = contents.into_iter().map(|content| usize::from(content) + 3);
    let names = widths.next().unwrap_or_default() + 1;
    (names, widths.collect())
}

/// A table with these columns after the names of the strategies.
fn table<L: Line>(strategies: &[L], columns: &[&Shown]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let headings = columns.iter().map(|column| right(column.heading.clone()));
    table.set_header([Cell::new("strategy")].into_iter().chain(headings));
    for (row, strategy) in strategies.iter().enumerate() {
        let cells = columns.iter().map(|column| column.cells[row].clone());
        table.add_row([Cell::new_owned(visible(strategy.strategy()))].into_iter().chain(cells));
    }
    table
}

/// A right-aligned cell, without control characters.
pub fn right(text: String) -> Cell {
    Cell::new_owned(visible(&text)).set_alignment(CellAlignment::Right)
}
