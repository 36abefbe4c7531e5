//! The page as a browser receives it.

mod browser;
mod example;
mod odd;

use std::collections::HashSet;

use scraper::{ElementRef, Html, Selector};

use super::{PICTURES, Page, Strategy, pictures, write};
use crate::report::Latency;
use crate::report::simulated::Simulated;

/// A strategy with these latencies in microseconds, and nothing else.
fn strategy(name: &str, latency: Latency) -> Strategy {
    Strategy {
        figures: Simulated {
            strategy: name.into(),
            tasks: 1,
            completed: 1,
            failed: 0,
            expired: 0,
            rejected: 0,
            stuck: 0,
            stolen: 0,
            span_s: 1.0,
            throughput_per_s: f64::NAN,
            utilisation: f64::NAN,
            latency_us: latency,
            wait_us: latency,
            share: Vec::new(),
        },
        objective: None,
        notes: Vec::new(),
        percentiles: Vec::new(),
        loads: Vec::new(),
        timeline: Vec::new(),
    }
}

/// The page as text.
fn text(page: &Page) -> String {
    let mut out = Vec::new();
    write(page, &mut out).expect("writing to memory cannot fail");
    String::from_utf8(out).expect("a page is UTF-8")
}

/// The page as an HTML parser reads it, without a parse error.
fn parsed(text: &str) -> Html {
    let html = Html::parse_document(text);
    assert_eq!(html.errors, Vec::<String>::new(), "{text}");
    html
}

fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).expect("a selector")).collect()
}

fn words(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().trim().to_owned()
}

#[test]
fn every_section_names_every_strategy() {
    let html = parsed(&text(&example::page(6, 8)));
    for section in ["ranking", "percentiles", "load", "shares", "queues"] {
        let headings = format!("section:has(#{section}) th[scope=row]");
        let rows: Vec<String> = all(&html, &headings).into_iter().map(words).collect();
        let expected: Vec<String> = example::STRATEGIES[..6]
            .iter()
            .enumerate()
            .map(|(index, name)| format!("{} {name}", index + 1))
            .collect();
        assert_eq!(rows, expected, "{section}");
    }
    assert_eq!(all(&html, "fieldset input[type=checkbox][checked]").len(), 6);
}

#[test]
fn every_chart_has_a_title_a_description_and_a_table() {
    let html = parsed(&text(&example::page(3, 8)));
    let charts = all(&html, "svg.chart");
    // Ranking, percentiles and two of load in two sizes, and two small ones per strategy.
    assert_eq!(charts.len(), 4 * 2 + 2 * 3);
    for chart in charts {
        for (attribute, name) in [("aria-labelledby", "title"), ("aria-describedby", "desc")] {
            let id = chart.attr(attribute).expect("a chart is labelled");
            let labels = Selector::parse(&format!("{name}[id='{id}']")).unwrap();
            let words: Vec<String> = chart.select(&labels).map(words).collect();
            assert_eq!(words.len(), 1, "{id}");
            assert!(words[0].len() > 10, "{words:?}");
        }
    }
    let ids: Vec<&str> = all(&html, "[id]").iter().filter_map(|e| e.attr("id")).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "an id is used twice");
    assert_eq!(all(&html, "section").len(), all(&html, "section > h2").len());
    assert_eq!(all(&html, "section table").len(), 5);
    assert_eq!(all(&html, "h1").len(), 1);
    assert_eq!(all(&html, "html[lang=en]").len(), 1);
}

#[test]
fn a_page_loads_nothing_from_elsewhere() {
    let text = text(&example::page(13, 8));
    for outside in ["http:", "https:", "//fonts", "src=", "@import", "url(", "<link", "fetch("] {
        assert!(!text.contains(outside), "{outside} in the page");
    }
    let html = parsed(&text);
    let policy = all(&html, "meta[http-equiv=Content-Security-Policy]");
    assert!(policy[0].attr("content").unwrap().starts_with("default-src 'none';"));
}

#[test]
fn hostile_names_are_escaped() {
    const HOSTILE: &str = "</title></style></script>\"'><img src=x onerror=alert(1)>&lt;b>";
    let mut page = example::page(2, 2);
    let plain = parsed(&text(&page));
    page.title = HOSTILE.into();
    page.subtitle[0] = HOSTILE.into();
    page.advice[0] = HOSTILE.into();
    page.objective = HOSTILE.into();
    page.strategies[0].figures.strategy = HOSTILE.into();
    page.strategies[0].figures.share[0].0 = HOSTILE.into();
    page.strategies[0].notes = vec![HOSTILE.into()];
    page.details[0].name = HOSTILE.into();
    page.details[0].value = HOSTILE.into();
    let html = parsed(&text(&page));
    for element in ["img", "b", "script", "style", "title", "[onerror]"] {
        assert_eq!(all(&html, element).len(), all(&plain, element).len(), "{element}");
    }
    assert_eq!(words(all(&html, "h1")[0]), HOSTILE);
    assert_eq!(words(all(&html, "td.notes")[0]), HOSTILE);
    assert_eq!(all(&html, "#percentiles-wide-t").len(), 1);
    let names: Vec<_> =
        all(&html, ".line[data-name]").iter().filter_map(|e| e.attr("data-name")).collect();
    assert!(names.contains(&HOSTILE), "{names:?}");
}

#[test]
fn pictures_are_complete_files_of_the_line_charts() {
    let page = example::page(4, 8);
    let files = pictures(&page);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, PICTURES);
    for (name, picture) in &files {
        assert!(picture.starts_with("<svg"), "{name}");
        assert!(picture.contains("xmlns=\"http://www.w3.org/2000/svg\""), "{name}");
        assert!(picture.contains("prefers-color-scheme: dark"), "{name}");
        // In XML every element must be closed.
        for element in ["svg", "g", "path", "text", "tspan", "title", "desc", "style", "rect"] {
            let opened = [" ", ">"].map(|end| picture.matches(&format!("<{element}{end}")).count());
            let closed = picture.matches(&format!("</{element}>")).count();
            assert_eq!(opened.iter().sum::<usize>(), closed, "{element} in {name}");
        }
        let html = Html::parse_fragment(picture);
        let lines: Vec<_> =
            all(&html, ".line[data-name]").iter().filter_map(|e| e.attr("data-name")).collect();
        assert_eq!(lines, example::STRATEGIES[..4], "{name}");
        assert_eq!(all(&html, "rect.paper").len(), 1, "{name}");
    }
    assert!(pictures(&Page::default()).is_empty());
}
