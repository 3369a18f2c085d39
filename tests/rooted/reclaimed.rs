//! Room that is given back on a real disk, to the block.

use serde_json::Value;

use super::{Root, du, err};

#[test]
#[ignore = "needs root"]
fn what_is_freed_is_what_du_says() {
    let store = ["--store", "classic", "--build-cache"];
    for what in [&store[..], &["--blobs"], &["--orphans"], &["--old-switch-leases"]] {
        let root = Root::unpack();
        let moved = root.migrate(&["--all"]);
        assert_eq!(moved.status.code(), Some(0), "{}", err(&moved));
        let before = du(&root.path(), &["."]);
        let output = root.command("reclaim", &[what, &["--json"]].concat()).output();
        let output = output.expect("the command can be started");
        assert_eq!(output.status.code(), Some(0), "{what:?}: {}", err(&output));
        let done: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
        let freed = before - du(&root.path(), &["."]);
        assert_eq!((done["bytes"].as_u64(), done["freed"].as_u64()), (Some(freed), Some(freed)));
        assert_eq!(root.images("containerd").len(), 12, "{what:?}");
    }
}
