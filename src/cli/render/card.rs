//! What is kept of one thing, for a person: the members that matter, in groups.

use jiff::Timestamp;
use serde_json::Value;

use crate::cli::render::text::{printable, wrap};
use crate::cli::render::units;

/// How wide the names of lines are.
const NAMES: usize = 14;

/// Returns the card of a document.
pub(crate) fn text(document: &Value, now: Timestamp, width: usize) -> String {
    let mut card = Card { document, now, width, out: String::new() };
    match document["Tranship"]["Type"].as_str() {
        Some("container") if document.get("HostConfig").is_some() => card.container(),
        Some("image") => card.image(),
        Some("volume") => card.volume(),
        _ => card.layer(),
    }
    card.out
}

struct Card<'a> {
    document: &'a Value,
    now: Timestamp,
    width: usize,
    out: String,
}

impl Card<'_> {
    fn container(&mut self) {
        let (doc, own) = (self.document, &self.document["Tranship"]);
        self.head("container", doc["Name"].as_str().unwrap_or_default().trim_start_matches('/'));
        self.line("ID", &doc["Id"]);
        self.line("Image", &doc["Config"]["Image"]);
        self.line("Image ID", &doc["Image"]);
        let words =
            std::iter::once(&doc["Path"]).chain(doc["Args"].as_array().into_iter().flatten());
        let words: Vec<String> =
            words.filter_map(Value::as_str).map(crate::op::recipe::quote).collect();
        self.say("Command", &words.join(" "));
        self.time("Created", &doc["Created"]);
        self.gap();
        let was = if own["WasRunning"] == true { ": it was running (power lost?)" } else { "" };
        self.say("State", &format!("{}{was}", doc["State"]["Status"].as_str().unwrap_or_default()));
        self.time("Started", &doc["State"]["StartedAt"]);
        self.time("Ended", &doc["State"]["FinishedAt"]);
        self.line("Exit code", &doc["State"]["ExitCode"]);
        self.line("Error", &doc["State"]["Error"]);
        self.line("Health", &doc["State"]["Health"]["Status"]);
        self.gap();
        self.line("Restart", &doc["HostConfig"]["RestartPolicy"]["Name"]);
        self.line("Network", &doc["HostConfig"]["NetworkMode"]);
        let ports = doc["HostConfig"]["PortBindings"].as_object().into_iter().flatten();
        for (port, bindings) in ports {
            for binding in bindings.as_array().into_iter().flatten() {
                let part = |key: &str| binding[key].as_str().unwrap_or_default().to_owned();
                self.say("Port", &format!("{}:{} -> {port}", part("HostIp"), part("HostPort")));
            }
        }
        for mount in doc["Mounts"].as_array().into_iter().flatten() {
            let source = mount["Name"].as_str().or_else(|| mount["Source"].as_str());
            let target = mount["Destination"].as_str().unwrap_or_default();
            let end = if mount["RW"] == false { " (read-only)" } else { "" };
            self.say("Mount", &format!("{} -> {target}{end}", source.unwrap_or_default()));
        }
        let labels = doc["Config"]["Labels"].as_object().into_iter().flatten();
        for (key, value) in labels {
            self.say("Label", &format!("{key}={}", value.as_str().unwrap_or_default()));
        }
        self.gap();
        self.place(own);
        self.size("Size", &doc["SizeRw"]);
        self.line("Changes", &own["Upper"]);
        self.line("Init", &own["Init"]);
        self.list("Layers", &own["Layers"]);
    }

    fn image(&mut self) {
        let (doc, own) = (self.document, &self.document["Tranship"]);
        let name = doc["RepoTags"][0].as_str().or_else(|| doc["Id"].as_str());
        self.head("image", name.unwrap_or_default());
        self.line("ID", &doc["Id"]);
        self.list("Names", &doc["RepoTags"]);
        self.list("Digests", &doc["RepoDigests"]);
        self.time("Created", &doc["Created"]);
        self.size("Size", &doc["Size"]);
        let text = |key: &str| doc[key].as_str().unwrap_or_default();
        self.say("Platform", &format!("{}/{}", text("Os"), text("Architecture")));
        self.gap();
        self.list("Entrypoint", &doc["Config"]["Entrypoint"]);
        self.list("Command", &doc["Config"]["Cmd"]);
        self.line("Folder", &doc["Config"]["WorkingDir"]);
        self.line("User", &doc["Config"]["User"]);
        self.list("Diff IDs", &doc["RootFS"]["Layers"]);
        self.gap();
        self.place(own);
        self.list("Containers", &own["Containers"]);
        self.list("Layers", &own["Layers"]);
    }

    fn volume(&mut self) {
        let (doc, own) = (self.document, &self.document["Tranship"]);
        self.head("volume", doc["Name"].as_str().unwrap_or_default());
        self.line("Driver", &doc["Driver"]);
        for (key, value) in doc["Labels"].as_object().into_iter().flatten() {
            self.say("Label", &format!("{key}={}", value.as_str().unwrap_or_default()));
        }
        self.time("Changed", &doc["CreatedAt"]);
        self.line("Was at", &doc["Mountpoint"]);
        self.gap();
        self.line("Data root", &own["Root"]);
        self.line("Files", &own["Folder"]);
        self.list("Containers", &own["Containers"]);
    }

    fn layer(&mut self) {
        let (doc, own) = (self.document, &self.document["Tranship"]);
        let kind = own["Type"].as_str().unwrap_or_default();
        let kind = if kind == "layer" { "layer" } else { "snapshot" };
        self.head(kind, doc["Name"].as_str().unwrap_or_default());
        self.line("Key", &doc["Id"]);
        self.line("Diff ID", &doc["DiffId"]);
        self.line("Stands on", &doc["Parent"]);
        self.size("Size", &doc["Size"]);
        self.line("Container", &doc["Container"]);
        self.list("Images", &doc["Images"]);
        self.gap();
        self.place(own);
        self.line("Files", &doc["Folder"]);
    }

    fn place(&mut self, own: &Value) {
        let hidden = if own["Hidden"] == true { " (hidden)" } else { "" };
        let store = own["Store"].as_str().unwrap_or("gone");
        self.line("Data root", &own["Root"]);
        self.say("Store", &format!("{store}{hidden}"));
    }

    fn head(&mut self, kind: &str, name: &str) {
        self.out += &format!("{kind} {}\n", printable(name));
    }

    fn gap(&mut self) {
        if !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn say(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let room = self.width.saturating_sub(NAMES + 2);
            let lines = wrap(&printable(value), room, "");
            for (at, line) in lines.lines().enumerate() {
                self.out += &format!("  {:NAMES$}{line}\n", if at == 0 { name } else { "" });
            }
        }
    }

    fn line(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(text) => self.say(name, text),
            Value::Null => {}
            other => self.say(name, &other.to_string()),
        }
    }

    fn list(&mut self, name: &str, values: &Value) {
        for (at, value) in values.as_array().into_iter().flatten().enumerate() {
            self.line(if at == 0 { name } else { "" }, value);
        }
    }

    fn size(&mut self, name: &str, value: &Value) {
        if let Some(bytes) = value.as_u64() {
            self.say(name, &units::size(bytes));
        }
    }

    fn time(&mut self, name: &str, value: &Value) {
        let Some(text) = value.as_str() else { return };
        let time = text.parse::<Timestamp>().ok();
        match units::since(time, self.now).as_str() {
            "N/A" => self.say(name, "never"),
            since => self.say(name, &format!("{text}, {since}")),
        }
    }
}
