//! The plot of messages per second: a bar for each system at each level, on a logarithmic scale.

use std::fmt::Write as _;

use super::report::Row;
use super::system::LEVELS;
use crate::figures::grouped;

const WIDTH: f64 = 760.0;
/// Where bars begin, and how much room there is beside the longest.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 18.0;
const HEAD: f64 = 34.0;
/// What the bars begin at, in messages per second.
const LEAST: f64 = 100.0;

/// The rows as a picture.
pub fn svg(rows: &[Row]) -> String {
    let most = rows
        .iter()
        .map(|row| row.rate().middle)
        .fold(LEAST * 10.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / (most / LEAST).log10();
    let mut body = String::new();
    let mut y = 0.0;
    for level in LEVELS {
        y += HEAD;
        // Writing to a text does not fail.
        let _ = writeln!(
            body,
            r#"<text x="{LEFT}" y="{}" class="head">{} unconfirmed: messages/s, logarithmic</text>"#,
            y - 10.0,
            level.unconfirmed
        );
        for row in rows.iter().filter(|row| row.level == level) {
            let rate = row.rate().middle;
            let length = ((rate / LEAST).log10() * scale).max(1.0);
            let kind = match (row.system.is_peer(), row.system.name()) {
                (true, _) => "peer",
                (false, "limit line") => "limit",
                _ => "own",
            };
            let middle = y + BAR * 0.68;
            let _ = writeln!(
                body,
                r#"<text x="{}" y="{middle:.1}" text-anchor="end">{}</text><rect x="{LEFT}" y="{:.1}" width="{length:.1}" height="{}" class="{kind}"/><text x="{:.1}" y="{middle:.1}">{}</text>"#,
                LEFT - 8.0,
                row.system.name(),
                y + 2.0,
                BAR - 4.0,
                LEFT + length + 6.0,
                grouped(rate)
            );
            y += BAR;
        }
    }
    let height = y + 10.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH} {height:.0}\">\n\
         <title>Messages per second, durable, each handled once</title>\n\
         <style>text {{ font: 12px sans-serif; fill: #222 }} .head {{ font-weight: bold }} .own {{ fill: #2a6f97 }} .peer {{ fill: #9aa5b1 }} .limit {{ fill: #d8c48f }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}
