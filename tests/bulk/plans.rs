//! Plans that are kept, and carried out later.

use super::*;

/// Keeps the plan of an export of `root.tar.zst` to `out.tar`.
fn plan_of_an_export(folder: &TempDir) {
    copy(folder, CLASSIC, "root.tar.zst");
    let args = ["export", "--root", "root.tar.zst", "-o", "out.tar", "--plan-out", "plan.json"];
    let (code, out, err) = tranship(folder, &args);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("11 images are exported") && out.contains("tranship apply plan.json"));
    assert!(!folder.path().join("out.tar").exists(), "a plan was carried out");
}

#[test]
fn a_plan_that_was_kept_does_what_the_command_does() {
    let folder = folder();
    plan_of_an_export(&folder);
    let kept: Value = serde_json::from_slice(&read(&folder, "plan.json")).expect("JSON");
    let root = folder.path().join("root.tar.zst");
    let args = ["export", "--root", text(&root), "-n", "--json"];
    let out = folder.path().join("out.tar");
    let mut dry = json_of(&folder, &[&args[..], &["-o", text(&out)]].concat(), 0);
    dry["bytes"]["free"] = kept["plan"]["bytes"]["free"].clone();
    assert_eq!(kept["plan"], dry);

    // From anywhere, and as often as one likes as long as it is not carried out.
    let elsewhere = TempDir::new().expect("a temporary folder");
    let plan = folder.path().join("plan.json");
    for _ in 0..2 {
        let (code, said, err) = tranship(&elsewhere, &["apply", text(&plan), "-n"]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(said.contains("this was a dry run") && !out.exists());
    }
    let done = json_of(&elsewhere, &["apply", text(&plan), "--json"], 0);
    assert_eq!(done["images"].as_array().map(Vec::len), Some(11));
    let args = ["export", "--root", "root.tar.zst", "-o", "direct.tar", "-q"];
    assert_eq!(tranship(&folder, &args).0, 0);
    assert!(read(&folder, "out.tar") == read(&folder, "direct.tar"), "the archives differ");

    let (code, _, err) = tranship(&folder, &["apply", "plan.json", "-n"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("out.tar is there already"), "{err}");
}

#[test]
fn a_plan_goes_to_stdout_and_comes_from_stdin() {
    let folder = folder();
    let root = fixture(CLASSIC);
    let args = ["migrate", "--root", text(&root), "--to", "containerd"];
    let more = ["--into", "new", "--snapshots", "none", "weird:1", "--plan-out", "-"];
    let (code, out, err) = tranship(&folder, &[&args[..], &more].concat());
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("1 image moves"), "{err}");
    write(&folder, "plan.json", &out);
    let applied = Command::new(env!("CARGO_BIN_EXE_tranship"))
        .args(["apply", "-", "--json"])
        .current_dir(folder.path())
        .stdin(fs::File::open(folder.path().join("plan.json")).expect("it was written"))
        .output()
        .expect("the command can be started");
    assert_eq!(applied.status.code(), Some(0), "{}", String::from_utf8_lossy(&applied.stderr));
    let images = json_of(&folder, &["images", "new", "--json"], 0);
    assert_eq!(images[0]["names"], json!(["weird:1"]));
    let (code, _, err) =
        tranship(&folder, &["import", "-", "--to", "classic", "--root", "x", "--plan-out", "p"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("stdin"), "{err}");
}

#[test]
fn a_plan_of_a_source_or_target_that_changed_is_refused() {
    let changed_source = folder();
    plan_of_an_export(&changed_source);
    copy(&changed_source, HIDDEN, "root.tar.zst");
    // It holds two stores, and the plan was made of one kind.
    let (code, _, err) = tranship(&changed_source, &["apply", "plan.json"]);
    assert_eq!(code, 3, "{err}");
    assert!(!changed_source.path().join("out.tar").exists());

    let folder = folder();
    let classic = fixture(CLASSIC);
    let images = |names: &[&str]| {
        let _ = fs::remove_file(folder.path().join("images.tar"));
        let export = ["export", "-q", "--root", text(&classic), "-o", "images.tar"];
        assert_eq!(tranship(&folder, &[&export[..], names].concat()).0, 0);
    };
    images(&["weird:1", "tiny/base:1"]);
    let migrate = ["migrate", "--root", "images.tar", "--to", "containerd"];
    let into = ["--into", "new", "--snapshots", "none"];
    let plan = [&migrate[..], &into, &["--plan-out", "plan.json"]].concat();
    assert_eq!(tranship(&folder, &plan).0, 0);
    images(&["weird:1", "tiny/base:1", "old-builder:1"]);
    let (code, out, err) = tranship(&folder, &["apply", "plan.json"]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.contains("the source has changed since"), "{err}");
    assert!(!folder.path().join("new").exists());
    images(&["weird:1", "tiny/base:1"]);
    let (code, _, err) = tranship(&folder, &["apply", "plan.json", "-n"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let one = [&migrate[..], &into, &["weird:1", "-q"]].concat();
    assert_eq!(tranship(&folder, &one).0, 0);
    let (code, _, err) = tranship(&folder, &["apply", "plan.json"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("the target has changed since"), "{err}");
}

#[test]
fn what_is_no_plan_is_an_error_and_nothing_is_written() {
    let folder = folder();
    plan_of_an_export(&folder);
    let whole = String::from_utf8(read(&folder, "plan.json")).expect("JSON is UTF-8");
    let longer = whole.replacen("\"request\": {", "\"request\": {\"colour\": 1,", 1);
    for (bad, code, said) in [
        (&whole[..whole.len() / 2], 2, "this is no plan"),
        ("", 2, "this is no plan"),
        ("[[jobs]]", 2, "this is no plan"),
        ("{}", 2, "it has no version"),
        (&whole.replacen("\"version\": 1", "\"version\": 9", 1), 2, "version 9"),
        (
            &whole.replacen("\"switch\": false", "\"switch\": true", 1),
            2,
            "changed after it was made",
        ),
        (&whole.replacen("out.tar", "etc.tar", 1), 2, "changed after it was made"),
        (&longer, 2, "unknown field `colour`"),
    ] {
        write(&folder, "bad.json", bad);
        let (found, out, err) = tranship(&folder, &["apply", "bad.json"]);
        assert_eq!((found, out.as_str()), (code, ""), "{said}: {err}");
        assert!(err.contains(said) && err.contains("bad.json"), "{said}: {err}");
    }
    let (code, _, err) = tranship(&folder, &["apply", "gone.json"]);
    assert_eq!(code, 2, "{err}");
    let root = fixture(CLASSIC);
    let taken = ["export", text(&root), "-o", "x.tar", "--plan-out", "."];
    let (code, _, err) = tranship(&folder, &taken);
    assert_eq!(code, 3, "{err}");
    for made in ["out.tar", "etc.tar", "x.tar"] {
        assert!(!folder.path().join(made).exists(), "{made}");
    }
}
