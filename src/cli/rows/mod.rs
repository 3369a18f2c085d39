//! What the verbs show, as plain rows: the text is made from them, and `--json` is them.
//!
//! Each verb's rows have a schema in `src/cli/schema/`. Fields are only ever added.

use serde::{Deserialize, Serialize};

pub mod diff;
pub mod images;
pub mod logs;
pub mod ls;
pub mod migrate;
pub mod plan;
pub mod progress;
pub mod ps;
pub mod recipe;
pub mod reclaim;
pub mod repair;
pub mod run;
pub mod status;
pub mod undo;
pub mod usage;
pub mod verify;
pub mod volumes;
pub mod whois;

pub use crate::model::{Severity, StoreKind};

/// Something found on the way that needs a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingRow {
    /// A stable code, such as `layer-without-image`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// Where it was found: a path in a tree, with the byte where one is known.
    pub place: String,
    /// What was found.
    pub what: String,
    /// What can be done about it, if anything.
    pub remedy: Option<String>,
}

/// Returns whether any of `findings` is more than untidy.
#[must_use]
pub fn any_matter(findings: &[FindingRow]) -> bool {
    findings.iter().any(|finding| finding.severity > Severity::Untidy)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use schemars::{JsonSchema, schema_for};

    use super::*;

    /// Run with `TRANSHIP_BLESS=1` to write the schemas anew, and look at the difference: a field
    /// that is gone or has another type breaks everyone who reads the JSON.
    fn assert_schema<T: JsonSchema>(name: &str, committed: &str) {
        let schema = schema_for!(T);
        let generated = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        if std::env::var_os("TRANSHIP_BLESS").is_some() {
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/schema");
            std::fs::write(dir.join(name), generated).expect("the schema folder is writable");
            return;
        }
        assert_eq!(generated, committed, "{name} differs; bless it if fields were only added");
    }

    #[test]
    fn the_committed_schemas_are_those_of_the_rows() {
        assert_schema::<diff::ChangeList>("diff.json", include_str!("../schema/diff.json"));
        assert_schema::<images::ImageList>("images.json", include_str!("../schema/images.json"));
        assert_schema::<ls::FileList>("ls.json", include_str!("../schema/ls.json"));
        assert_schema::<logs::LogRow>("logs.json", include_str!("../schema/logs.json"));
        assert_schema::<volumes::VolumeList>(
            "volumes.json",
            include_str!("../schema/volumes.json"),
        );
        assert_schema::<volumes::VolumesCarried>(
            "volumes-carried.json",
            include_str!("../schema/volumes-carried.json"),
        );
        assert_schema::<status::Status>("status.json", include_str!("../schema/status.json"));
        assert_schema::<migrate::Migration>("migrate.json", include_str!("../schema/migrate.json"));
        assert_schema::<plan::PlanFile>("plan.json", include_str!("../schema/plan.json"));
        assert_schema::<progress::EventRow>(
            "progress.json",
            include_str!("../schema/progress.json"),
        );
        assert_schema::<ps::ContainerList>("ps.json", include_str!("../schema/ps.json"));
        assert_schema::<reclaim::Reclaimed>("reclaim.json", include_str!("../schema/reclaim.json"));
        assert_schema::<recipe::RecipeList>("recipe.json", include_str!("../schema/recipe.json"));
        assert_schema::<repair::Repair>("repair.json", include_str!("../schema/repair.json"));
        assert_schema::<repair::RunList>("runs.json", include_str!("../schema/runs.json"));
        assert_schema::<repair::Undone>("undone.json", include_str!("../schema/undone.json"));
        assert_schema::<run::JobReports>("run.json", include_str!("../schema/run.json"));
        assert_schema::<verify::VerifyReport>("verify.json", include_str!("../schema/verify.json"));
        assert_schema::<usage::UsageReport>("usage.json", include_str!("../schema/usage.json"));
        assert_schema::<whois::WhoisReport>("whois.json", include_str!("../schema/whois.json"));
        assert_schema::<undo::UndoReport>("undo.json", include_str!("../schema/undo.json"));
    }
}
