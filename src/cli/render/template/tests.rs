use super::*;

const FIELDS: &[Field] = &[("ID", "IMAGE ID"), ("Repository", "REPOSITORY"), ("Size", "SIZE")];

struct Row(&'static str, &'static str, &'static str);

impl Fields for Row {
    fn field(&self, name: &str) -> String {
        match name {
            "ID" => self.0,
            "Repository" => self.1,
            _ => self.2,
        }
        .to_owned()
    }
}

fn render(source: &str, rows: &[Row]) -> Result<String, String> {
    Template::parse(source, FIELDS)?.render(rows, FIELDS)
}

/// What Docker's own templates print for the same fields.
#[test]
fn a_template_prints_what_docker_prints() {
    let rows = [Row("a6153feb13c0", "tiny/base", "2.06MB")];
    for (source, wanted) in [
        ("{{.ID}}", "a6153feb13c0\n"),
        ("{{ .ID }}: {{.Repository}}", "a6153feb13c0: tiny/base\n"),
        (r"{{.ID}}\t{{.Size}}", "a6153feb13c0\t2.06MB\n"),
        (r"{{.ID}}\n{{.Size}}", "a6153feb13c0\n2.06MB\n"),
        ("json", "{\"ID\":\"a6153feb13c0\",\"Repository\":\"tiny/base\",\"Size\":\"2.06MB\"}\n"),
        ("{{json .ID}}", "\"a6153feb13c0\"\n"),
        ("{{upper .Repository}}", "TINY/BASE\n"),
        ("{{.Repository | upper | lower}}", "tiny/base\n"),
        ("{{title .Repository}}", "Tiny/Base\n"),
        ("{{truncate .ID 4}}", "a615\n"),
        ("{{truncate .ID 99}}", "a6153feb13c0\n"),
        ("[{{pad .Size 1 2}}]", "[ 2.06MB  ]\n"),
        ("{{split .Repository \"/\"}}", "[tiny base]\n"),
        ("{{join (split .Repository \"/\") \" > \"}}", "tiny > base\n"),
        ("{{json (split .Repository \"/\")}}", "[\"tiny\",\"base\"]\n"),
        ("{{println .ID}}", "a6153feb13c0\n\n"),
        ("a {{- /* no */ -}} b", "ab\n"),
        ("{{\"}}\"}}{{`{{`}}", "}}{{\n"),
        ("text only", "text only\n"),
    ] {
        assert_eq!(render(source, &rows).as_deref(), Ok(wanted), "{source}");
    }
}

#[test]
fn a_table_has_the_headers_of_its_fields() {
    let rows = [Row("a6153feb13c0", "tiny/base", "2.06MB"), Row("f0bd", "weird", "6B")];
    let table = render(r"table {{.ID | upper}}\t{{truncate .Repository 4}}\t{{.Size}}", &rows);
    let wanted = "\
IMAGE ID       REPOSITORY   SIZE
A6153FEB13C0   tiny         2.06MB
F0BD           weir         6B
";
    assert_eq!(table.as_deref(), Ok(wanted));
    let more = render(r#"table {{join (split .Repository "/") "\t"}}"#, &rows);
    assert_eq!(more.as_deref(), Ok("REPOSITORY\ntiny         base\nweird\n"));
    assert_eq!(render("table {{.ID}}", &[]).as_deref(), Ok("IMAGE ID\n"));
}

#[test]
fn names_from_a_disk_cannot_steer_a_terminal() {
    let rows = [Row("a\x1b[2J", "b\nc", "\u{202e}")];
    let shown = render("{{.ID}} {{upper .Repository}} {{.Size}}", &rows);
    assert_eq!(shown.as_deref(), Ok("a\\u{1b}[2J B\\nC \\u{202e}\n"));
    assert_eq!(render("{{json .Repository}}", &rows).as_deref(), Ok("\"b\\nc\"\n"));
    let joined = render(r#"{{join (split .ID "a") "\n"}}"#, &rows);
    assert_eq!(joined.as_deref(), Ok("\n\\u{1b}[2J\n"));
}

#[test]
fn a_template_that_cannot_work_is_refused_before_a_row_is_seen() {
    for (source, part) in [
        ("{{.Id}}", "unknown field `.Id`; valid fields: ID, Repository, Size"),
        ("{{.}}", "{{json .}}"),
        ("{{.ID", "never closed"),
        ("{{}}", "no field or function"),
        ("{{if .ID}}x{{end}}", "unknown function `if`; valid functions: join, json"),
        ("{{upper}}", "`upper` takes 1 arguments, found 0"),
        ("{{truncate .ID}}", "takes 2 arguments, found 1"),
        ("{{.ID .Size}}", "only a function takes arguments"),
        ("{{(.ID}}", "`(` is never closed"),
        ("{{.ID)}}", "`)` has no `(`"),
        ("{{\"x}}", "never closed"),
        (r#"{{"\q"}}"#, "unknown escape"),
        ("{{-5}}", "no field, text or number"),
        ("table", "`table` needs fields"),
        ("", "an empty template"),
    ] {
        let error = Template::parse(source, FIELDS).expect_err(source);
        assert!(error.contains(part), "{source}: {error}");
    }
    let deep = format!("{{{{upper {}.ID{}}}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(Template::parse(&deep, FIELDS).is_err());
}

#[test]
fn arguments_of_the_wrong_sort_are_errors() {
    let rows = [Row("a", "b", "c")];
    for source in ["{{truncate .ID .ID}}", "{{join .ID \",\"}}", "{{upper 5}}", "{{upper .}}"] {
        assert!(render(source, &rows).is_err(), "{source}");
    }
    let wide = render("{{pad .ID 99999999999 0}}", &rows).expect("a wide pad");
    assert!(wide.len() < 2000);
}

#[test]
fn a_template_knows_which_fields_it_names() {
    let template = Template::parse("{{upper (truncate .ID 3)}}", FIELDS).expect("a template");
    assert!(template.names("ID"));
    assert!(!template.names("Size"));
}
