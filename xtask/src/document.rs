//! Replaces the tables of chores in a document.

/// The document that describes what is checked, with the tables of the chores.
pub(crate) const PATH: &str = "docs/verification.md";

const END: &str = "<!-- end -->\n";

fn begin(chore: &str) -> String {
    format!("<!-- by `cargo xtask {chore} --update` -->\n")
}

/// Returns the document with the chore's table replaced, or `None` if it has no such table.
pub(crate) fn replaced(document: &str, chore: &str, table: &str) -> Option<String> {
    let begin = begin(chore);
    let (before, after) = document.split_once(&begin)?;
    let (_, after) = after.split_once(END)?;
    Some(format!("{before}{begin}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_of_the_chore_is_replaced() {
        let [begin, other] = ["chore", "other"].map(begin);
        let others = format!("{other}\nother\n{END}");
        let document = format!("{others}before\n{begin}\nold\n\n{END}after\n{others}");
        let replaced = replaced(&document, "chore", "new\n").unwrap();
        assert_eq!(replaced, format!("{others}before\n{begin}\nnew\n\n{END}after\n{others}"));
        assert_eq!(super::replaced(&replaced, "chore", "new\n").unwrap(), replaced);
        assert_eq!(super::replaced("none", "chore", "new"), None);
    }
}
