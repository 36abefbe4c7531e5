//! Checks that the links between documents lead somewhere.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

/// Checks the relative links of every Markdown file that is committed, and their anchors. The pages
/// of the book, which are those in `docs`, must link to nothing outside of it and be in its
/// summary.
///
/// # Errors
/// If a link names a file, or a heading of a Markdown file, that does not exist or is not in the
/// book, or if a page is not in the book's summary.
pub(crate) fn check(shell: &Shell) -> Result<(), Box<dyn Error>> {
    let root = shell.current_dir();
    let pages = cmd!(shell, "git ls-files *.md").quiet().read()?;
    let pages: Vec<_> = pages.lines().map(|page| root.join(page)).collect();
    if pages.is_empty() {
        return Err("git lists no documents".into());
    }
    let mut broken = broken(&root, &pages)?;
    broken.extend(missing(&root.join("docs"), &pages)?);
    if broken.is_empty() {
        println!("the links of {} documents lead somewhere", pages.len());
        return Ok(());
    }
    let (count, broken) = (broken.len(), broken.join("\n"));
    Err(format!("{broken}\n{count} broken links").into())
}

/// The broken links of these pages, as `page:line: target`.
fn broken(root: &Path, pages: &[PathBuf]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut broken = Vec::new();
    for page in pages {
        let text = fs::read_to_string(page)?;
        let shown = page.strip_prefix(root)?.display();
        for (line, content) in prose(&text) {
            for target in targets(content) {
                if !leads_somewhere(page, target) {
                    broken.push(format!("{shown}:{line}: {target}"));
                } else if leaves(&root.join("docs"), page, target) {
                    broken.push(format!("{shown}:{line}: {target} is not in the book"));
                }
            }
        }
    }
    Ok(broken)
}

/// The pages in `book` that its summary does not list.
fn missing(book: &Path, pages: &[PathBuf]) -> Result<Vec<String>, Box<dyn Error>> {
    let summary = fs::read_to_string(book.join("SUMMARY.md"))?;
    let listed: Vec<_> = targets(&summary).map(|target| book.join(target)).collect();
    let is_missing = |page: &&PathBuf| {
        page.starts_with(book) && !page.ends_with("SUMMARY.md") && !listed.contains(page)
    };
    let missing = pages.iter().filter(is_missing);
    Ok(missing.map(|page| format!("{} is not in docs/SUMMARY.md", page.display())).collect())
}

/// Whether a link leads from a page of the book to a file outside of it.
fn leaves(book: &Path, page: &Path, target: &str) -> bool {
    let Ok(below) = page.strip_prefix(book) else { return false };
    if target.contains("://") {
        return false;
    }
    let file = target.split_once('#').map_or(target, |(file, _)| file);
    let up = file.split('/').filter(|part| *part == "..").count();
    up >= below.components().count()
}

/// The lines outside of code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// The targets of a line's links, `[..](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0))
}

fn leads_somewhere(page: &Path, target: &str) -> bool {
    if target.contains("://") {
        return true;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => page.to_owned(),
        _ => page.with_file_name(file),
    };
    if !path.exists() {
        return false;
    }
    let is_page = path.extension().is_some_and(|extension| extension == "md");
    if anchor.is_empty() || !is_page {
        return anchor.is_empty();
    }
    fs::read_to_string(path).is_ok_and(|text| headings(&text).any(|heading| heading == anchor))
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| {
        let kept = line.trim_start_matches('#').trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ => c.is_alphanumeric().then_some(c),
        });
        kept.collect::<String>().to_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The broken links of a page `docs/page.md`, next to `docs/other.md`.
    fn broken_in(page: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let docs = folder.path().join("docs");
        fs::create_dir(&docs).unwrap();
        fs::write(docs.join("other.md"), "# The `other` page, at last\n```\n# code\n```\n")
            .unwrap();
        fs::create_dir(docs.join("pictures")).unwrap();
        fs::write(docs.join("pictures/one.svg"), "").unwrap();
        fs::write(folder.path().join("README.md"), "").unwrap();
        let path = docs.join("page.md");
        fs::write(&path, page).unwrap();
        broken(folder.path(), &[path]).unwrap()
    }

    #[test]
    fn links_to_what_exists_are_fine() {
        let page = "# A page\n[a](other.md) [b](other.md#the-other-page-at-last) [c](#a-page)\n\
                    ![d](pictures/one.svg) [e](https://example.org/nothing) [f](pictures)\n\
                    ```\n[g](nothing.md)\n```\n";
        assert_eq!(broken_in(page), [""; 0]);
    }

    #[test]
    fn broken_links_are_found_with_their_lines() {
        for (link, target) in [
            ("[a](nothing.md)", "nothing.md"),
            ("[a](other.md) and [b](../other.md)", "../other.md"),
            ("[a](other.md#nothing)", "other.md#nothing"),
            ("[a](other.md#code)", "other.md#code"),
            ("[a](#the-other-page-at-last)", "#the-other-page-at-last"),
            ("![a](pictures/nothing.svg)", "pictures/nothing.svg"),
        ] {
            let page = format!("# A page\n\n{link}\n");
            assert_eq!(broken_in(&page), [format!("docs/page.md:3: {target}")]);
        }
    }

    #[test]
    fn a_page_of_the_book_stays_in_it() {
        let page = "# A page\n[a](../README.md)\n";
        assert_eq!(broken_in(page), ["docs/page.md:2: ../README.md is not in the book"]);
        let (book, page) = (Path::new("docs"), Path::new("docs/guide/page.md"));
        assert!(!leaves(book, page, "../other.md#heading"));
        assert!(leaves(book, page, "../../README.md"));
        assert!(!leaves(book, Path::new("README.md"), "../anywhere"));
    }

    #[test]
    fn a_page_that_the_summary_does_not_list_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let book = folder.path();
        fs::write(book.join("SUMMARY.md"), "- [a](a.md)\n- [b](guide/b.md)\n").unwrap();
        let pages = ["SUMMARY.md", "a.md", "guide/b.md", "guide/c.md"].map(|page| book.join(page));
        let missing = missing(book, &pages).unwrap();
        assert!(matches!(&missing[..], [one] if one.contains("c.md")), "{missing:?}");
        assert_eq!(super::missing(book, &pages[..3]).unwrap(), [""; 0]);
    }

    #[test]
    fn no_document_has_a_broken_link() {
        let shell = Shell::new().unwrap();
        shell.change_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        check(&shell).unwrap();
    }
}
