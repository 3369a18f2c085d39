//! What is mounted.

use serde_json::Value;

use super::{Facts, Placed, Recipe, Yaml, at};
use crate::format::docker::container::MountPoint;
use crate::format::docker::host_config::{HostConfig, Mount};

impl Recipe {
    /// Adds volumes, folders of the machine, and memory.
    pub(super) fn mounts(&mut self, facts: &Facts<'_>, machine: &HostConfig) {
        for bind in &machine.binds {
            self.volume(bind.clone());
        }
        for mount in &machine.mounts {
            self.mount(mount);
        }
        for (path, options) in &machine.tmpfs {
            let value = match options.as_str() {
                "" => path.clone(),
                options => format!("{path}:{options}"),
            };
            self.item("--tmpfs", "tmpfs", value);
        }
        for from in &machine.volumes_from {
            let item = Yaml::Item(Box::new(Yaml::Text(format!("container:{from}"))));
            self.add("--volumes-from", Some(from.clone()), vec![at(&["volumes_from"], item)]);
        }
        self.nameless(facts, machine);
        if !machine.volume_driver.is_empty() {
            self.add("--volume-driver", Some(machine.volume_driver.clone()), Vec::new());
        }
    }

    fn volume(&mut self, bind: String) {
        let source = bind.split(':').next().unwrap_or_default();
        let item = Yaml::Item(Box::new(Yaml::Text(bind.clone())));
        let mut compose = vec![at(&["volumes"], item)];
        compose.extend(is_volume(source).then(|| external("/volumes", source)));
        self.options.push(super::Setting { option: "--volume", value: Some(bind), compose });
    }

    /// Adds the volumes that Docker made unasked, by the names it gave them: so their data comes along.
    fn nameless(&mut self, facts: &Facts<'_>, machine: &HostConfig) {
        let is_told = |point: &&MountPoint| {
            let target = &point.destination;
            let of = |bind: &String| bind.split(':').nth(1) == Some(target);
            machine.binds.iter().any(of) || machine.mounts.iter().any(|one| one.target == *target)
        };
        let unasked = facts.mounts.iter().filter(|point| !is_told(point));
        for point in unasked.filter(|_| machine.volumes_from.is_empty()) {
            if let Some(name) = point.volume() {
                let end = if point.writable { "" } else { ":ro" };
                self.volume(format!("{name}:{}{end}", point.destination));
                let what = format!("volume {name} had no name of its own; it is named here");
                self.note(format!("{what}, so that its data comes along"));
            }
        }
    }

    fn mount(&mut self, mount: &Mount) {
        let mut fields = vec![
            ("type", mount.kind.clone()),
            ("src", mount.source.clone()),
            ("dst", mount.target.clone()),
        ];
        fields.retain(|(_, value)| !value.is_empty());
        if mount.read_only {
            fields.push(("readonly", String::new()));
        }
        let known: [(&[&str], &'static str); 9] = [
            (&["Consistency"], "consistency"),
            (&["BindOptions", "Propagation"], "bind-propagation"),
            (&["BindOptions", "NonRecursive"], "bind-nonrecursive"),
            (&["BindOptions", "CreateMountpoint"], "bind-create-src"),
            (&["VolumeOptions", "NoCopy"], "volume-nocopy"),
            (&["VolumeOptions", "Subpath"], "volume-subpath"),
            (&["VolumeOptions", "DriverConfig", "Name"], "volume-driver"),
            (&["ImageOptions", "Subpath"], "image-subpath"),
            (&["TmpfsOptions", "SizeBytes"], "tmpfs-size"),
        ];
        for (path, key) in known {
            match asked(mount, path) {
                Some(Value::String(text)) if !text.is_empty() => fields.push((key, text.clone())),
                Some(Value::Bool(true)) => fields.push((key, "true".to_owned())),
                Some(Value::Number(number)) if number.as_i64() != Some(0) => {
                    fields.push((key, number.to_string()));
                }
                _ => {}
            }
        }
        if let Some(mode) = asked(mount, &["TmpfsOptions", "Mode"]).and_then(Value::as_u64)
            && mode != 0
        {
            fields.push(("tmpfs-mode", format!("{mode:o}")));
        }
        for (path, key) in [
            (["VolumeOptions", "Labels"].as_slice(), "volume-label"),
            (&["VolumeOptions", "DriverConfig", "Options"], "volume-opt"),
        ] {
            let pairs = asked(mount, path).and_then(Value::as_object).into_iter().flatten();
            let text = |(name, value): (&String, &Value)| {
                Some((key, format!("{name}={}", value.as_str()?)))
            };
            fields.extend(pairs.filter_map(text));
        }
        let mut compose = vec![at(&["volumes"], long(mount, &fields))];
        if mount.kind == "volume" && !mount.source.is_empty() {
            compose.push(external("/volumes", &mount.source));
        }
        self.options.push(super::Setting { option: "--mount", value: Some(csv(&fields)), compose });
    }
}

/// Returns what a compose file says of a mount with options.
fn long(mount: &Mount, fields: &[(&str, String)]) -> Yaml {
    let text = |text: &str| Yaml::Text(text.to_owned());
    let mut members = vec![("type".to_owned(), text(&mount.kind))];
    if !mount.source.is_empty() {
        members.push(("source".to_owned(), text(&mount.source)));
    }
    members.push(("target".to_owned(), text(&mount.target)));
    if mount.read_only {
        members.push(("read_only".to_owned(), Yaml::Plain("true".to_owned())));
    }
    let mut all = Yaml::Map(members);
    let inner: [(&str, &str, &str); 6] = [
        ("bind-propagation", "bind", "propagation"),
        ("volume-nocopy", "volume", "nocopy"),
        ("volume-subpath", "volume", "subpath"),
        ("image-subpath", "image", "subpath"),
        ("tmpfs-size", "tmpfs", "size"),
        ("tmpfs-mode", "tmpfs", "mode"),
    ];
    for (field, group, key) in inner {
        let Some((_, value)) = fields.iter().find(|(name, _)| *name == field) else { continue };
        let value = match key {
            "nocopy" | "size" => Yaml::Plain(value.clone()),
            // The versions of YAML do not agree on octal numbers.
            "mode" => Yaml::Plain(u32::from_str_radix(value, 8).unwrap_or_default().to_string()),
            _ => Yaml::Text(value.clone()),
        };
        all.put(&[group, key], value);
    }
    Yaml::Item(Box::new(all))
}

/// A name is a volume's, a path is a folder's of the machine.
fn is_volume(source: &str) -> bool {
    !source.is_empty() && !source.starts_with(['/', '.', '~', '\\'])
}

/// Returns one option of a mount.
fn asked<'m>(mount: &'m Mount, path: &[&str]) -> Option<&'m Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(mount.options.get(*first)?, |value, key| value.get(*key))
}

/// Returns what makes a compose file use the volume or network that is there.
pub(super) fn external(kind: &str, name: &str) -> Placed {
    at(&[kind, name, "external"], Yaml::Plain("true".to_owned()))
}

/// Returns fields as the options with commas take them: those with a comma or a quote are quoted.
pub(super) fn csv(fields: &[(&str, String)]) -> String {
    let field = |(key, value): &(&str, String)| {
        let text = match value.as_str() {
            "" => (*key).to_owned(),
            value => format!("{key}={value}"),
        };
        match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text,
        }
    };
    fields.iter().map(field).collect::<Vec<_>>().join(",")
}
