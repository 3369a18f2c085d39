use proptest::prelude::*;

use super::*;

/// A record of the `local` driver with these fields of a `LogEntry`.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a small body").to_be_bytes();
    [&length, body, &length].concat()
}

/// A message of `text` on stdout at 5 ns after 1970.
fn entry(text: &str, rest: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [b"\x0a\x06stdout\x10\x05\x1a", [length].as_slice(), text.as_bytes(), rest].concat()
}

fn json(text: &str) -> Result<Record<'_>, DecodeError> {
    Form::Json.decode(text.as_bytes())
}

#[test]
fn lines_are_read_as_dockerd_reads_them() {
    let time = "2026-11-20T17:27:44.683066477Z";
    let at = Timestamp::parse(time).expect("a time");
    for (line, log, stream, attrs) in [
        (format!(r#"{{"log":"a\n","stream":"stdout","time":"{time}"}}"#), "a\n", "stdout", 0),
        (format!(r#"{{"log":"part","stream":"stderr","time":"{time}"}}"#), "part", "stderr", 0),
        (
            format!(
                r#"{{"log":"\u003c\ud83d\ude00","stream":"stdout","attrs":{{"k":"v","l":"\n"}},"time":"{time}"}}"#
            ),
            "<😀",
            "stdout",
            2,
        ),
        (
            format!(r#"{{"log":"a\t\"\\\/\r\n","stream":"stderr","time":"{time}"}}"#),
            "a\t\"\\/\r\n",
            "stderr",
            0,
        ),
        (format!(r#" {{"time":"{time}","other":[1],"log":null}} "#), "", "", 0),
        (format!(r#"{{"log":"1","log":"2","time":"{time}","attrs":null}}"#), "2", "", 0),
    ] {
        let record = json(&line).expect(&line);
        assert_eq!((&*record.log, &*record.stream), (log.as_bytes(), stream), "{line}");
        assert_eq!((record.time, record.attrs.len()), (at, attrs), "{line}");
        assert_eq!(record.is_partial(), !log.ends_with('\n'), "{line}");
    }
    let bytes = [br#"{"log":"a"#, &b"\xff"[..], br#"","time":"2026-11-20T17:27:44Z"}"#].concat();
    assert_eq!(&*Form::Json.decode(&bytes).expect("as Go reads it").log, "a\u{fffd}".as_bytes());
    for bad in [
        "",
        "\0\0\0",
        "[]",
        r#"["a","stdout","2026-11-20T17:27:44Z",{}]"#,
        r#"{"log":"a\n","stream":"stdout"}"#,
        r#"{"log":"a\n","stream":"stdout","time":"yesterday"}"#,
        r#"{"log":7,"time":"2026-11-20T17:27:44Z"}"#,
        r#"{"log":"a\n","stream":"stdout","ti"#,
    ] {
        assert!(json(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_follows_a_torn_line_is_found() {
    let whole = r#"{"log":"after\n","stream":"stdout","time":"2026-11-20T17:27:44Z"}"#;
    for torn in [r#"{"log":"bef"#, "\0\0\0", r#"{"log":"{\"log\":\"x"#] {
        let line = format!("{torn}{whole}");
        assert_eq!(Form::Json.salvage(line.as_bytes()), Some(torn.len()), "{line:?}");
    }
    for none in [whole, "", r#"{"log":"a{"log":"b"#] {
        assert_eq!(Form::Json.salvage(none.as_bytes()), None, "{none:?}");
    }
}

#[test]
fn messages_are_read_as_dockerd_reads_them() {
    for (rest, log, attrs) in [
        (&b""[..], "hi\n", 0),
        (b"\x20\x00", "hi\n", 0),
        (b"\x20\x01", "hi", 0),
        (b"\x20\x01\x2a\x06\x12\x02id\x18\x01", "hi", 0),
        (b"\x20\x01\x2a\x06\x08\x01\x12\x02id", "hi\n", 0),
        (b"\x32\x06\x0a\x01k\x12\x01v\x32\x00", "hi\n", 2),
        // Fields of later versions.
        (b"\x78\x01\x7a\x01x\x79\0\0\0\0\0\0\0\0\x7d\0\0\0\0", "hi\n", 0),
    ] {
        let body = entry("hi", rest);
        let record = Form::Local.decode(&body).expect("a message");
        assert_eq!((&*record.log, &*record.stream), (log.as_bytes(), "stdout"), "{rest:?}");
        assert_eq!(record.time, Timestamp { seconds: 0, nanos: 5 });
        assert_eq!(record.attrs.len(), attrs, "{rest:?}");
    }
    let negative = b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let before = Form::Local.decode(negative).expect("a time before 1970");
    assert_eq!(before.time, Timestamp { seconds: -1, nanos: 999_999_999 });
    for bad in [
        &b"\x0a"[..],
        b"\x0a\x06std",
        b"\x10",
        b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0b",
        b"\x00\x00",
        b"\x08\x01",
        b"\x2a\x01\x08",
    ] {
        assert!(Form::Local.decode(bad).is_err(), "{bad:?}");
    }
}

/// Returns the texts of all records of `bytes`, which come `step` at a time, and how many bytes are
/// damaged and torn.
fn read(form: Form, bytes: &[u8], step: usize) -> (Vec<String>, usize, usize) {
    let (mut texts, mut damaged, mut start, mut end) = (Vec::new(), 0, 0, 0);
    while start < bytes.len() {
        end = end.max(start + 1).min(bytes.len());
        match form.frame(&bytes[start..end], end == bytes.len()) {
            Frame::Record(body, length) => {
                let body = &bytes[start + body.start..start + body.end];
                let record = form.decode(body).expect("a record of this test");
                texts.push(String::from_utf8_lossy(&record.log).trim_end().to_owned());
                start += length;
            }
            Frame::More if end < bytes.len() => end = (end + step).min(bytes.len()),
            Frame::More | Frame::Torn => return (texts, damaged, bytes.len() - start),
            Frame::Damage(length, _) => {
                assert!(length > 0, "reading goes on");
                damaged += length;
                start += length;
            }
        }
    }
    (texts, damaged, 0)
}

#[test]
fn records_are_found_around_damage() {
    let texts = ["one", "two", "three"];
    let records = texts.map(|text| framed(&entry(text, b"")));
    let [one, two, three] = &records;
    let mut flipped = two.clone();
    flipped[3] ^= 1;
    for (name, parts, found, damaged, torn) in [
        ("whole", vec![one, two, three], vec!["one", "two", "three"], 0, 0),
        ("empty", vec![], vec![], 0, 0),
        ("torn", vec![one, &two[..two.len() - 1].to_vec()], vec!["one"], 0, two.len() - 1),
        ("cut", vec![one, &two[..9].to_vec(), three], vec!["one", "three"], 9, 0),
        ("zeros", vec![one, &vec![0; 77], three], vec!["one", "three"], 77, 0),
        ("flipped", vec![one, &flipped, three], vec!["one", "three"], flipped.len(), 0),
        ("huge", vec![one, &vec![0xff; 500], three], vec!["one", "three"], 500, 0),
    ] {
        let bytes: Vec<u8> = parts.into_iter().flatten().copied().collect();
        for step in [1, 7, 1000] {
            let wanted = (found.iter().map(|text| (*text).to_owned()).collect(), damaged, torn);
            assert_eq!(read(Form::Local, &bytes, step), wanted, "{name} by {step}");
        }
    }
    let long = framed(&entry("end", b""));
    let bytes = [vec![0xff; 3 * LIMIT], long].concat();
    assert_eq!(read(Form::Local, &bytes, LIMIT), (vec!["end".to_owned()], 3 * LIMIT, 0));
}

#[test]
fn lines_without_end_are_not_held() {
    let time = r#"","time":"2026-11-20T17:27:44Z"}"#;
    let line = |text: &str| format!(r#"{{"log":"{text}{time}"#) + "\n";
    let bytes = [line("a"), "x".repeat(LIMIT) + "\n", line("b"), r#"{"log"#.to_owned()].concat();
    let wanted = (vec!["a".to_owned(), "b".to_owned()], LIMIT + 1, 5);
    for step in [LIMIT / 3, 2 * LIMIT] {
        assert_eq!(read(Form::Json, bytes.as_bytes(), step), wanted, "{step}");
    }
    let endless = vec![b'x'; LIMIT + 1];
    assert!(
        matches!(Form::Json.frame(&endless, false), Frame::Damage(length, _) if length == LIMIT + 1)
    );
}

#[test]
fn the_last_records_are_found_from_the_end() {
    let lines = b"{1}\n{22}\n{333}\n{tor".to_vec();
    let records = ["1", "22", "333"].map(|text| framed(&entry(text, b"")));
    let starts = [records[0].len(), records[0].len() + records[1].len()];
    let local = records.concat();
    for (form, bytes, wanted, tail) in [
        (Form::Json, &lines, 1, Tail::From(9)),
        (Form::Json, &lines, 2, Tail::From(4)),
        (Form::Json, &lines, 3, Tail::Only(3)),
        (Form::Json, &Vec::new(), 1, Tail::Only(0)),
        (Form::Local, &local, 1, Tail::From(starts[1])),
        (Form::Local, &local, 2, Tail::From(starts[0])),
        (Form::Local, &local, 3, Tail::From(0)),
        (Form::Local, &local, 4, Tail::Only(3)),
        (Form::Local, &local[5..].to_vec(), 4, Tail::Only(2)),
        (Form::Local, &local[..local.len() - 1].to_vec(), 1, Tail::Unclear),
        (Form::Local, &vec![0; 100], 1, Tail::Unclear),
        (Form::Local, &Vec::new(), 1, Tail::Only(0)),
    ] {
        assert_eq!(form.tail(bytes, wanted), tail, "{form:?} {wanted} of {bytes:?}");
    }
}

#[test]
fn the_driver_is_told() {
    let read = |text: &str| driver(text.as_bytes());
    assert_eq!(read(r#"{"LogConfig":{"Type":"local","Config":{}}}"#).as_deref(), Some("local"));
    for none in ["", "{}", r#"{"LogConfig":null}"#, r#"{"LogConfig":{"Type":""}}"#, "[]"] {
        assert_eq!(read(none), None, "{none}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_reading_ends(bytes in proptest::collection::vec(0_u8..40, 0..300)) {
        for form in [Form::Json, Form::Local] {
            let (mut start, mut records) = (0, 0);
            while let Some(rest @ [_, ..]) = bytes.get(start..) {
                match form.frame(rest, true) {
                    Frame::Record(body, length) => {
                        prop_assert!(body.end <= length && length <= rest.len());
                        let _ = form.decode(&rest[body]);
                        (start, records) = (start + length, records + 1);
                    }
                    Frame::Damage(length, _) => {
                        prop_assert!(length > 0 && length <= rest.len());
                        start += length;
                    }
                    Frame::More | Frame::Torn => break,
                }
            }
            let _ = form.salvage(&bytes);
            match form.tail(&bytes, 2) {
                Tail::From(at) => prop_assert!(at <= bytes.len()),
                Tail::Only(_) | Tail::Unclear => {}
            }
        }
    }
}
