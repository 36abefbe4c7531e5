//! Check boxes that show or hide strategies in the charts, by the page's style alone.

use maud::{Markup, PreEscaped, html};

use super::page::Page;

/// The boxes, if there are several strategies.
pub fn boxes(page: &Page) -> Markup {
    html! {
        @if page.strategies.len() > 1 {
            fieldset.switches {
                legend { "Strategies in the charts" }
                @for (mark, strategy) in page.marked() {
                    label {
                        input type="checkbox" id={ "on" (mark.0) } checked autocomplete="off";
                        (mark.sample()) (mark.number()) " " (strategy.name())
                    }
                }
            }
        }
    }
}

/// The style that hides the strategies whose boxes are not checked.
pub fn style(page: &Page) -> Markup {
    let rule = |index| format!("body:has(#on{index}:not(:checked)) .s{index}{{display:none}}");
    PreEscaped((0..page.strategies.len()).map(rule).collect())
}
