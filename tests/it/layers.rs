//! The house has storeys: a layer uses those before it, and a store knows no other store.

use std::fs;
use std::path::Path;

/// The layers of the crate, lowest first.
const LAYERS: [&str; 10] =
    ["digest", "error", "format", "os", "disk", "tree", "model", "store", "op", "cli"];

/// What is forbidden although it lies below: who, what, why.
const FENCES: [(&str, &str, &str); 18] = [
    ("store", "os", "a store sees a tree and a sink"),
    ("store", "disk", "a store sees a tree and a sink"),
    ("store::overlay2", "store::containerd", "no store names another"),
    ("store::containerd", "store::overlay2", "no store names another"),
    ("store::oci_layout", "store::overlay2", "no store names another"),
    ("store::oci_layout", "store::containerd", "no store names another"),
    ("store::overlay2", "store::oci_layout", "no store names another"),
    ("store::containerd", "store::oci_layout", "no store names another"),
    ("store::docker_archive", "store::overlay2", "no store names another"),
    ("store::docker_archive", "store::containerd", "no store names another"),
    ("store::docker_archive", "store::oci_layout", "no store names another"),
    ("store::overlay2", "store::docker_archive", "no store names another"),
    ("store::containerd", "store::docker_archive", "no store names another"),
    ("store::oci_layout", "store::docker_archive", "no store names another"),
    ("op", "store::docker_archive", "no operation names a store's kind"),
    ("op", "store::oci_layout", "no operation names a store's kind"),
    ("op", "store::overlay2", "no operation names a store's kind"),
    ("op", "store::containerd", "no operation names a store's kind"),
];

#[test]
fn each_layer_uses_only_those_before_it() {
    let mut wrong = Vec::new();
    let mut files = 0;
    visit(Path::new("src"), &mut |path, text| {
        files += 1;
        let module = module_of(path);
        for used in uses(&module, text) {
            if let Err(why) = verdict(&module, &used) {
                wrong.push(format!("{} uses {}: {why}", path.display(), used.join("::")));
            }
        }
    });
    assert!(files > 80, "only {files} files were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_allowed_is_noticed() {
    for (module, text) in [
        ("format::tar", "use crate::os::Root;"),
        ("format::tar", "fn f() { crate::tree::walk(); }"),
        ("tree::live", "use crate::{error::Result, model::{Image, Name}};"),
        ("model", "use crate::store::Source as S;"),
        ("store::blob", "use crate::os;"),
        ("store::blob", "use crate::op::progress::Progress;"),
        ("store::overlay2::read", "use super::super::containerd::Containerd;"),
        ("store::overlay2::read", "mod tests {\n    use super::super::super::containerd;\n}"),
        ("store::containerd::write::commit", "use crate::store::{\n    blob,\n    overlay2,\n};"),
        ("op::transfer::plan", "use crate::{error, store::{blob, containerd::Writer}};"),
        ("op", "fn f(x: &crate::store::overlay2::Overlay2) {}"),
        ("error", "use crate::nowhere;"),
    ] {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        let used = uses(&module, text);
        let wrong = used.iter().any(|used| verdict(&module, used).is_err());
        assert!(wrong, "{text:?} in {module:?} is let through; it uses {used:?}");
    }
    for (module, text) in [
        ("store::containerd::write::commit", "use super::super::{layout, schema};"),
        ("store::overlay2::layers", "use super::layout::Layout;\nuse crate::store::blob;"),
        ("tree::resolve", "mod tests {\n    use super::super::{Memory, path};\n}"),
        (
            "format::tar",
            "/// Unlike [`crate::os::Root`].\n// crate::tree\nuse crate::error::Error;",
        ),
        ("format::tar", "macro_rules! m { () => { $crate::os::x() } }"),
        ("cli::images", "use crate::{op, store::overlay2, os};"),
    ] {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        for used in uses(&module, text) {
            assert_eq!(verdict(&module, &used), Ok(()), "{text:?} in {module:?}");
        }
    }
}

fn visit(dir: &Path, look: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(dir).expect("a folder of the crate") {
        let path = entry.expect("a folder of the crate").path();
        if path.is_dir() {
            visit(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &fs::read_to_string(&path).expect("source is text"));
        }
    }
}

/// Returns the module that a file of `src` is: `store::containerd::write` for its `mod.rs`.
fn module_of(path: &Path) -> Vec<String> {
    let below = path.strip_prefix("src").expect("a file of src").with_extension("");
    let names = below.iter().map(|name| name.to_str().expect("plain names").to_owned());
    let is_file_of_folder = |name: &String| matches!(name.as_str(), "mod" | "lib" | "main");
    names.filter(|name| !is_file_of_folder(name)).collect()
}

/// Returns whether `module` may use `used`, both from the crate's root.
fn verdict(module: &[String], used: &[String]) -> Result<(), String> {
    let layer =
        |path: &[String]| LAYERS.iter().position(|name| path.first().is_some_and(|p| p == name));
    let Some(own) = layer(module) else { return Ok(()) };
    let Some(other) = layer(used) else { return Err("that is no layer".to_owned()) };
    if other > own {
        return Err(format!("{} comes before {}", LAYERS[own], LAYERS[other]));
    }
    if LAYERS[own] == "format" && !["digest", "error", "format"].contains(&LAYERS[other]) {
        return Err("a format is made of bytes alone".to_owned());
    }
    let within = |path: &[String], fence: &str| {
        let fence: Vec<&str> = fence.split("::").collect();
        path.len() >= fence.len() && path.iter().zip(&fence).all(|(name, wanted)| name == wanted)
    };
    let broken = FENCES.iter().find(|(who, what, _)| within(module, who) && within(used, what));
    broken.map_or(Ok(()), |(_, _, why)| Err((*why).to_owned()))
}

/// Returns every path that `text` spells from `crate` or `super`, from the crate's root.
fn uses(module: &[String], text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut here = module.to_vec();
    let (mut code, mut inner) = (String::new(), false);
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        // Source is formatted: a module inside a file begins and ends at the margin.
        let begins = line.trim_start_matches("pub ").strip_prefix("mod ");
        if let Some(name) = begins.and_then(|rest| rest.strip_suffix(" {")) {
            paths(&here, &std::mem::take(&mut code), &mut found);
            here.push(name.to_owned());
            inner = true;
        }
        if inner && line == "}" {
            paths(&here, &std::mem::take(&mut code), &mut found);
            here.pop();
            inner = false;
        }
        code.push_str(line);
        code.push('\n');
    }
    paths(&here, &code, &mut found);
    found
}

fn paths(here: &[String], code: &str, found: &mut Vec<Vec<String>>) {
    for (start, _) in code.match_indices("crate::") {
        let before = code[..start].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | ':')) {
            tree(&mut Vec::new(), &code[start + "crate::".len()..], found);
        }
    }
    for (start, _) in code.match_indices("super::") {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
            continue;
        }
        let (mut base, mut rest) = (here.to_vec(), &code[start..]);
        while let Some(next) = rest.strip_prefix("super::") {
            base.pop();
            rest = next;
        }
        tree(&mut base, rest, found);
    }
}

/// Reads one path, or a group of them in braces, and returns what follows.
fn tree<'t>(base: &mut Vec<String>, text: &'t str, found: &mut Vec<Vec<String>>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        while !rest.trim_start().starts_with('}') && !rest.trim_start().is_empty() {
            rest = tree(base, rest, found).trim_start();
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            rest = rest[end..].strip_prefix(',').unwrap_or(&rest[end..]);
        }
        return rest.trim_start().strip_prefix('}').unwrap_or_default();
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    if end == 0 {
        found.push(base.clone());
        return text;
    }
    base.push(text[..end].to_owned());
    let rest = match text[end..].strip_prefix("::") {
        Some(below) => tree(base, below, found),
        None => {
            found.push(base.clone());
            &text[end..]
        }
    };
    base.pop();
    rest
}
