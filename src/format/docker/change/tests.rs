use super::*;

fn changed(config: Value, lines: &[&str]) -> Result<Value> {
    let Value::Object(mut config) = config else { return wrong("no object") };
    let mut changes = Changes::of(&mut config);
    lines.iter().try_for_each(|line| changes.apply(line))?;
    Ok(Value::Object(config))
}

#[test]
fn each_instruction_changes_its_member() {
    for (line, want) in [
        ("CMD [\"a\", \"b\"]", json!({"Cmd": ["a", "b"]})),
        ("cmd a b", json!({"Cmd": ["/bin/sh", "-c", "a b"]})),
        ("ENTRYPOINT [\"a\"]", json!({"Entrypoint": ["a"], "Cmd": null})),
        ("ENV A=1 B=\"2 3\" C=4\\ 5", json!({"Env": ["A=1", "B=2 3", "C=4 5"]})),
        ("ENV A 1 2", json!({"Env": ["A 1 2".replacen(' ', "=", 1)]})),
        ("LABEL a=b 'c d'=e", json!({"Labels": {"a": "b", "c d": "e"}})),
        (
            "EXPOSE 80 53/udp 90-91",
            json!({"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "90/tcp": {}, "91/tcp": {}}}),
        ),
        ("VOLUME /a /b", json!({"Volumes": {"/a": {}, "/b": {}}})),
        ("VOLUME [\"/a b\"]", json!({"Volumes": {"/a b": {}}})),
        ("HEALTHCHECK NONE", json!({"Healthcheck": {"Test": ["NONE"]}})),
        (
            "HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f x",
            json!({"Healthcheck": {"Interval": 90_000_000_000_u64, "Retries": 3, "Test": ["CMD-SHELL", "curl -f x"]}}),
        ),
        ("ONBUILD RUN make", json!({"OnBuild": ["RUN make"]})),
        ("STOPSIGNAL SIGQUIT", json!({"StopSignal": "SIGQUIT"})),
        ("USER 1:2", json!({"User": "1:2"})),
        ("WORKDIR a/../b/.", json!({"WorkingDir": "/b"})),
    ] {
        assert_eq!(changed(json!({}), &[line]), Ok(want), "{line}");
    }
}

#[test]
fn instructions_build_on_each_other_and_on_what_was() {
    let config = json!({"Env": ["A=0", "B=0"], "WorkingDir": "/x", "Cmd": ["old"], "Labels": null});
    let lines = ["ENV B=1", "WORKDIR y", "CMD new", "ENTRYPOINT [\"e\"]", "LABEL a=b"];
    let found = changed(config, &lines).expect("sound");
    assert_eq!(found["Env"], json!(["A=0", "B=1"]));
    assert_eq!(found["WorkingDir"], "/x/y");
    assert_eq!(found["Cmd"], json!(["/bin/sh", "-c", "new"]));
    assert_eq!(found["Labels"], json!({"a": "b"}));
}

#[test]
fn what_is_written_wrong_is_an_error() {
    for line in [
        "",
        "CMD",
        "RUN x",
        "COPY a b",
        "ENV A",
        "ENV =1",
        "ENV A=\"1",
        "LABEL a=b c",
        "EXPOSE x",
        "EXPOSE 2-1",
        "EXPOSE 70000",
        "EXPOSE 80/icmp",
        "HEALTHCHECK x",
        "HEALTHCHECK CMD",
        "HEALTHCHECK --interval=1 CMD x",
        "HEALTHCHECK --x=1 CMD x",
        "HEALTHCHECK --retries CMD x",
        "HEALTHCHECK --timeout=99999999999999999h CMD x",
        "USER a b",
        "ENV A=$B",
    ] {
        assert!(changed(json!({}), &[line]).is_err(), "{line}");
    }
}
