//! The page as a browser gets it.

mod browser;
mod example;
mod odd;

use std::collections::HashSet;

use scraper::{ElementRef, Html, Selector};

use super::{CHART_STYLE, Page, pictures, write};

/// The page as text.
fn text(page: &Page) -> String {
    let mut out = Vec::new();
    write(page, &mut out).expect("memory takes what is written");
    String::from_utf8(out).expect("a page is UTF-8")
}

/// The page as an HTML parser sees it, which must have nothing to say against it.
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
fn every_strategy_is_named_in_every_part() {
    let html = parsed(&text(&example::page(6, 8)));
    for section in ["ranking", "percentiles", "load", "shares", "queues"] {
        let headings = format!("section:has(#{section}) th[scope=row]");
        let rows: Vec<String> = all(&html, &headings).into_iter().map(words).collect();
        let expected: Vec<String> = example::STRATEGIES[..6]
            .iter()
            .enumerate()
            .map(|(place, name)| format!("{} {name}", place + 1))
            .collect();
        assert_eq!(rows, expected, "{section}");
    }
    assert_eq!(all(&html, "fieldset input[type=checkbox][checked]").len(), 6);
}

#[test]
fn every_chart_has_a_title_and_a_description_and_figures_behind_it() {
    let html = parsed(&text(&example::page(3, 8)));
    let charts = all(&html, "svg.chart");
    // Ranking, percentiles and two of load in two sizes, and two small ones a strategy.
    assert_eq!(charts.len(), 4 * 2 + 2 * 3);
    for chart in charts {
        for (attribute, name) in [("aria-labelledby", "title"), ("aria-describedby", "desc")] {
            let id = chart.attr(attribute).expect("a chart tells who labels it");
            let labels = Selector::parse(&format!("{name}[id='{id}']")).unwrap();
            let words: Vec<String> = chart.select(&labels).map(words).collect();
            assert_eq!(words.len(), 1, "{id}");
            assert!(words[0].len() > 10, "{words:?}");
        }
    }
    let ids: Vec<&str> = all(&html, "[id]").iter().filter_map(|e| e.attr("id")).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "an id is there twice");
    assert_eq!(all(&html, "section").len(), all(&html, "section > h2").len());
    assert_eq!(all(&html, "section table").len(), 5);
    assert_eq!(all(&html, "h1").len(), 1);
    assert_eq!(all(&html, "html[lang=en]").len(), 1);
}

#[test]
fn a_page_asks_nobody_for_anything() {
    let text = text(&example::page(13, 8));
    for outside in ["http:", "https:", "//fonts", "src=", "@import", "url(", "<link", "fetch("] {
        assert!(!text.contains(outside), "{outside} in the page");
    }
    let html = parsed(&text);
    let policy = all(&html, "meta[http-equiv=Content-Security-Policy]");
    assert!(policy[0].attr("content").unwrap().starts_with("default-src 'none';"));
}

#[test]
fn names_are_text_whatever_they_are() {
    const HOSTILE: &str = "</title></style></script>\"'><img src=x onerror=alert(1)>&lt;b>";
    let mut page = example::page(2, 2);
    let plain = parsed(&text(&page));
    page.title = HOSTILE.into();
    page.subtitle[0] = HOSTILE.into();
    page.advice[0] = HOSTILE.into();
    page.ranking.objective = HOSTILE.into();
    page.ranking.rows[0].strategy = HOSTILE.into();
    page.ranking.rows[0].notes = vec![HOSTILE.into()];
    page.percentiles[0].strategy = HOSTILE.into();
    page.loads[0].strategy = HOSTILE.into();
    page.shares.strategies[0].0 = HOSTILE.into();
    page.shares.workers[0] = HOSTILE.into();
    page.timelines[0].strategy = HOSTILE.into();
    page.details[0].name = HOSTILE.into();
    page.details[0].value = HOSTILE.into();
    let html = parsed(&text(&page));
    for made in ["img", "b", "script", "style", "title", "[onerror]"] {
        assert_eq!(all(&html, made).len(), all(&plain, made).len(), "{made}");
    }
    assert_eq!(words(all(&html, "h1")[0]), HOSTILE);
    assert_eq!(words(all(&html, "td.notes")[0]), HOSTILE);
    assert_eq!(all(&html, "#percentiles-wide-t").len(), 1);
    let names: Vec<_> =
        all(&html, ".line[data-name]").iter().filter_map(|e| e.attr("data-name")).collect();
    assert!(names.contains(&HOSTILE), "{names:?}");
}

/// The colours that are set after `opening`, up to the end of its block.
fn colours(opening: &str) -> Vec<(&str, [f64; 3])> {
    let block = CHART_STYLE.split_once(opening).expect("the style has it").1;
    let block = block.split_once('}').expect("blocks end").0;
    let colour = |declaration: &'static str| {
        let (name, value) = declaration.split_once(':')?;
        let digits = value.trim().strip_prefix('#')?;
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map(f64::from);
        Some((name.trim(), [part(0).ok()?, part(2).ok()?, part(4).ok()?]))
    };
    block.split(';').filter_map(colour).collect()
}

/// The contrast of two colours by WCAG 2: from 1 to 21.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let light = |part: f64| match part / 255.0 {
        part @ ..=0.04045 => part / 12.92,
        part => ((part + 0.055) / 1.055).powf(2.4),
    };
    let luminance = |[r, g, b]: [f64; 3]| {
        0.2126f64.mul_add(light(r), 0.7152f64.mul_add(light(g), 0.0722 * light(b)))
    };
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

#[test]
fn text_and_lines_stand_out_in_light_and_dark() {
    assert!((contrast([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
    for scheme in [":root {\n  color-scheme", "prefers-color-scheme: dark) {\n  :root {"] {
        let colours = colours(scheme);
        let of = |name: &str| {
            colours.iter().find(|(known, _)| *known == name).expect("the style sets it").1
        };
        let lines: Vec<String> = (0..super::series::COLOURS).map(|c| format!("--c{c}")).collect();
        // 4.5 is what WCAG asks for text, and the labels of lines are text in their colours.
        for name in lines.iter().map(String::as_str).chain(["--ink", "--soft", "--accent"]) {
            for paper in ["--paper", "--raised"] {
                let contrast = contrast(of(name), of(paper));
                assert!(contrast >= 4.5, "{name} on {paper} of {scheme}: {contrast:.2}");
            }
        }
    }
}

#[test]
fn the_style_has_every_look() {
    for colour in 0..super::series::COLOURS {
        assert!(
            CHART_STYLE.contains(&format!(".c{colour} {{ --c: var(--c{colour}); }}")),
            "{colour}"
        );
    }
    for dash in 1..super::series::DASHES {
        assert!(CHART_STYLE.contains(&format!(".d{dash} {{ --d: ")), "{dash}");
    }
}

#[test]
fn pictures_are_whole_files_of_the_charts_of_lines() {
    let page = example::page(4, 8);
    let files = pictures(&page);
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["percentiles", "load-mean", "load-p99"]);
    for (name, picture) in &files {
        assert!(picture.starts_with("<svg"), "{name}");
        assert!(picture.contains("xmlns=\"http://www.w3.org/2000/svg\""), "{name}");
        assert!(picture.contains("prefers-color-scheme: dark"), "{name}");
        // As XML has it: what is opened is closed.
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
