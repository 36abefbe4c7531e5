//! The page in a real browser, if there is one: the console must stay empty.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::{all, example, parsed, text};

/// Names of Chromium's executable.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// The browser that `CHROME` names, or the first on the path.
fn browser() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROME") {
        return Some(named.into());
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// A page after the browser has run it, and the lines on its console.
struct Opened {
    document: String,
    console: Vec<String>,
}

fn open(browser: &Path, page: &str) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    fs::write(&file, page).unwrap();
    let flag = |name: &str, value: &Path| {
        let mut flag = OsString::from(name);
        flag.push(value);
        flag
    };
    let output = Command::new(browser)
        // Containers run it as root, where Chromium has no sandbox; the page is our own.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--enable-logging=stderr", "--window-size=1300,900"])
        .arg(flag("--user-data-dir=", &folder.path().join("profile")))
        .arg(flag("file://", &file))
        .output()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", browser.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Opened {
        document: String::from_utf8(output.stdout).unwrap(),
        console: said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect(),
    }
}

/// The page in a frame, because windows have a minimum width. The frame records its width and how
/// far the page extends beyond it.
fn framed(page: &str, width: u32) -> String {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!DOCTYPE html><html lang='en'><title>Frame</title><body>
        <iframe id='frame' style='width:{width}px;height:900px;border:0' srcdoc=\"{page}\"></iframe>
        <script>onload = () => {{
            const root = frame.contentDocument.documentElement;
            document.body.dataset.window = frame.contentWindow.innerWidth;
            document.body.dataset.beyond = root.scrollWidth - root.clientWidth;
        }};</script></body></html>"
    )
}

#[test]
fn a_browser_opens_the_page_with_an_empty_console() {
    let Some(browser) = browser() else {
        // Written directly: the harness hides what a passing test prints.
        let test = "a_browser_opens_the_page_with_an_empty_console";
        writeln!(io::stderr(), "SKIPPED: {test}: no Chromium, and CHROME names none").unwrap();
        return;
    };
    let page = text(&example::page(6, 8));
    let opened = open(&browser, &page);
    assert_eq!(opened.console, Vec::<String>::new());
    assert_eq!(all(&parsed(&opened.document), ".plot > .reading").len(), 3, "the script has run");
    for width in [360, 390, 800, 1_200] {
        let opened = open(&browser, &framed(&page, width));
        assert_eq!(opened.console, Vec::<String>::new());
        let html = parsed(&opened.document);
        let body = all(&html, "body")[0];
        assert_eq!(body.attr("data-window"), Some(width.to_string().as_str()));
        assert_eq!(body.attr("data-beyond"), Some("0"), "wider than a window of {width}");
    }

    // The test would notice an error of the script and a picture from elsewhere.
    let broken = page.replace("\"use strict\";", "\"use strict\"; nobody.knows();");
    assert!(!open(&browser, &broken).console.is_empty());
    let outside = page.replace("<main>", "<main><img src='https://localhost/a.png'>");
    assert!(!open(&browser, &outside).console.is_empty());
}
