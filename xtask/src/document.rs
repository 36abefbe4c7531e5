//! The document that chores write their tables to.

/// What is checked and how, with a table of each chore that has one.
pub(crate) const PATH: &str = "docs/verification.md";

const END: &str = "<!-- end -->\n";

fn begin(chore: &str) -> String {
    format!("<!-- by `cargo xtask {chore} --update` -->\n")
}

/// The document with this table of the chore's in place of the one that it has, if it has one.
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
    fn a_table_takes_the_place_of_the_one_before() {
        let [begin, other] = ["chore", "other"].map(begin);
        let others = format!("{other}\nother\n{END}");
        let document = format!("{others}before\n{begin}\nold\n\n{END}after\n{others}");
        let replaced = replaced(&document, "chore", "new\n").unwrap();
        assert_eq!(replaced, format!("{others}before\n{begin}\nnew\n\n{END}after\n{others}"));
        assert_eq!(super::replaced(&replaced, "chore", "new\n").unwrap(), replaced);
        assert_eq!(super::replaced("none", "chore", "new"), None);
    }
}
