//! Whose things are, for people.

use crate::cli::render::text::{first, printable, wrap};
use crate::cli::render::usage::what;
use crate::cli::rows::whois::{OwnedRow, WhoseRow};

/// So many names are told of one thing.
const NAMED: usize = 8;

/// Returns each question with its answer.
pub(crate) fn text(whose: &[WhoseRow], width: usize) -> String {
    whose.iter().map(|one| answer(one, width)).collect()
}

fn answer(one: &WhoseRow, width: usize) -> String {
    let things: String = one.found.iter().map(|found| thing(found, width)).collect();
    let things = if things.is_empty() { "  not known here\n".to_owned() } else { things };
    format!("{}\n{things}", printable(&one.query))
}

fn thing(one: &OwnedRow, width: usize) -> String {
    let store = one.thing.store.map_or(String::new(), |store| format!(", {} store", store.name()));
    let hidden = if one.hidden { ", hidden" } else { "" };
    let what = format!("  {}{store}{hidden}", what(&one.thing));
    let mut out = wrap(&printable(&what), width, "    ") + "\n";
    let held_by = || format!("held by {}", first(&one.thing.names, NAMED));
    let why = one.proof.clone().or_else(|| (!one.thing.names.is_empty()).then(held_by));
    if let Some(why) = why {
        out += &(wrap(&printable(&format!("    {why}")), width, "      ") + "\n");
    }
    out + &one.paths.iter().map(|path| format!("    {path}\n")).collect::<String>()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::rows::StoreKind;
    use crate::cli::rows::usage::ThingRow;
    use crate::model::Use;

    #[test]
    fn an_answer_tells_what_it_is_who_holds_it_and_where() {
        let layer = ThingRow {
            root: "/d".into(),
            kind: Use::Layer,
            store: Some(StoreKind::Classic),
            id: format!("sha256:{:0<64}", "1a7e"),
            role: String::new(),
            names: (0..9).map(|n| format!("team/app:v{n}")).collect(),
        };
        let lost = ThingRow {
            kind: Use::Orphan,
            id: "overlay2/lost".into(),
            names: Vec::new(),
            ..layer.clone()
        };
        let paths = vec!["/d/overlay2/abc".into()];
        let owned = OwnedRow { thing: layer, hidden: true, proof: None, paths };
        let proof = Some("no layer names it".into());
        let lost = OwnedRow { thing: lost, proof, ..owned.clone() };
        let rows = [("abc", vec![owned, lost]), ("x\u{1b}[31m", Vec::new())];
        let rows = rows.map(|(query, found)| WhoseRow { query: query.into(), found });
        assert_snapshot!(text(&rows, 60), @r"
        abc
          layer 1a7e00000000, classic store, hidden
            held by team/app:v0, team/app:v1, team/app:v2,
              team/app:v3, team/app:v4, team/app:v5, team/app:v6,
              team/app:v7 and 1 more
            /d/overlay2/abc
          orphan overlay2/lost, classic store, hidden
            no layer names it
            /d/overlay2/abc
        x\u{1b}[31m
          not known here
        ");
    }
}
