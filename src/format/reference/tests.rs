use proptest::prelude::*;

use super::*;

const HEX: &str = "dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c";

/// Text, the reference in full, the reference as Docker shows it, domain, path, tag.
type Row =
    (&'static str, &'static str, &'static str, &'static str, &'static str, Option<&'static str>);

#[rustfmt::skip]
const GOOD: &[Row] = &[
    ("redis", "docker.io/library/redis", "redis", "docker.io", "library/redis", None),
    ("redis:7", "docker.io/library/redis:7", "redis:7", "docker.io", "library/redis", Some("7")),
    ("library/ubuntu", "docker.io/library/ubuntu", "ubuntu", "docker.io", "library/ubuntu", None),
    ("docker.io/foo", "docker.io/library/foo", "foo", "docker.io", "library/foo", None),
    ("index.docker.io/foo", "docker.io/library/foo", "foo", "docker.io", "library/foo", None),
    ("index.docker.io/fooo/bar", "docker.io/fooo/bar", "fooo/bar", "docker.io", "fooo/bar", None),
    ("library/foo/bar", "docker.io/library/foo/bar", "library/foo/bar", "docker.io", "library/foo/bar", None),
    ("store/foo/bar", "docker.io/store/foo/bar", "store/foo/bar", "docker.io", "store/foo/bar", None),
    ("other/library", "docker.io/other/library", "other/library", "docker.io", "other/library", None),
    ("localhost/fooo", "localhost/fooo", "localhost/fooo", "localhost", "fooo", None),
    ("localhost", "docker.io/library/localhost", "localhost", "docker.io", "library/localhost", None),
    ("LOCALDOMAIN/fooo/bar", "LOCALDOMAIN/fooo/bar", "LOCALDOMAIN/fooo/bar", "LOCALDOMAIN", "fooo/bar", None),
    ("Foo/bar", "Foo/bar", "Foo/bar", "Foo", "bar", None),
    ("Uppercase/lowercase:tag", "Uppercase/lowercase:tag", "Uppercase/lowercase:tag", "Uppercase", "lowercase", Some("tag")),
    ("lowercase:Uppercase", "docker.io/library/lowercase:Uppercase", "lowercase:Uppercase", "docker.io", "library/lowercase", Some("Uppercase")),
    ("127.0.0.1:8000/private/moon", "127.0.0.1:8000/private/moon", "127.0.0.1:8000/private/moon", "127.0.0.1:8000", "private/moon", None),
    ("example.com/base", "example.com/base", "example.com/base", "example.com", "base", None),
    ("test:5000/repo:tag", "test:5000/repo:tag", "test:5000/repo:tag", "test:5000", "repo", Some("tag")),
    ("test.com:5000", "docker.io/library/test.com:5000", "test.com:5000", "docker.io", "library/test.com", Some("5000")),
    ("192.168.1.1", "docker.io/library/192.168.1.1", "192.168.1.1", "docker.io", "library/192.168.1.1", None),
    ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000/repo:5050", "192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", Some("5050")),
    ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", Some("xn--n3h.com")),
    ("b.gcr.io/test.example.com/my-app:v1", "b.gcr.io/test.example.com/my-app:v1", "b.gcr.io/test.example.com/my-app:v1", "b.gcr.io", "test.example.com/my-app", Some("v1")),
    ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x", "[::1]:5000", "x", None),
    ("[2001:db8::1]/repo", "[2001:db8::1]/repo", "[2001:db8::1]/repo", "[2001:db8::1]", "repo", None),
    ("[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]", "repo", Some("tag")),
    ("test_com/foo", "docker.io/test_com/foo", "test_com/foo", "docker.io", "test_com/foo", None),
    ("foo/foo_bar.com:8080", "docker.io/foo/foo_bar.com:8080", "foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", Some("8080")),
    ("a_b.com/x", "a_b.com/x", "a_b.com/x", "", "a_b.com/x", None),
    ("docker---rules/docker", "docker.io/docker---rules/docker", "docker---rules/docker", "docker.io", "docker---rules/docker", None),
    ("dock__er/docker", "docker.io/dock__er/docker", "dock__er/docker", "docker.io", "dock__er/docker", None),
    ("d/docker", "docker.io/d/docker", "d/docker", "docker.io", "d/docker", None),
    ("thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", "docker.io/library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", "thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", "docker.io", "library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", None),
    ("sha256", "docker.io/library/sha256", "sha256", "docker.io", "library/sha256", None),
];

#[test]
fn references_read_as_in_docker() {
    for (text, full, familiar, domain, path, tag) in GOOD {
        let reference = Reference::parse_normalized(text).expect(text);
        assert_eq!(reference.to_string(), *full, "{text}");
        assert_eq!(reference.familiar(), *familiar, "{text}");
        assert_eq!((reference.domain(), reference.path(), reference.tag()), (*domain, *path, *tag));
        assert_eq!(reference.digest(), None);
        for form in [full, familiar] {
            assert_eq!(Reference::parse_normalized(form), Ok(reference.clone()), "{form}");
        }
    }
}

#[test]
fn what_docker_refuses_is_refused() {
    use BadReference::{Digest, Format, Identifier, TooLong, Uppercase};
    let long = format!("domain.com/{}:tag", "a".repeat(256));
    let long_namespace = format!("{}/docker", "this_is_too_long_".repeat(16));
    let bad_digest = format!("repo@sha256:{}", &HEX[..34]);
    let other_digest = format!("repo@md5:{HEX}");
    let upper_digest = format!("repo@sha256:{}", HEX.to_uppercase());
    let tag = format!("repo:{}", "t".repeat(129));
    for (text, want) in [
        ("", Format),
        (":justtag", Format),
        ("repo:", Format),
        ("repo@", Digest),
        (HEX, Identifier),
        ("Uppercase:tag", Uppercase),
        ("docker/Docker", Uppercase),
        ("test:5000/Uppercase/lowercase:tag", Uppercase),
        (&long, TooLong),
        (&long_namespace, Format),
        (&bad_digest, Digest),
        (&other_digest, Digest),
        (&upper_digest, Digest),
        (&tag, Format),
        ("repo:-tag", Format),
        ("aa/asdf$$^/aa", Format),
        ("https://github.com/docker/docker", Format),
        ("-docker/docker", Format),
        ("docker-/docker", Format),
        ("-docker.io/docker/docker", Format),
        ("docker///docker", Format),
        ("docker/", Format),
        ("/docker", Format),
        ("dock..er/docker", Format),
        ("dock_.er/docker", Format),
        ("dock-.er/docker", Format),
        ("d___r/docker", Format),
        ("____/____", Format),
        ("[2001:db8::1]", Format),
        ("[2001:db8::1]:5000", Format),
        ("[]/x", Format),
        ("[::1]x/x", Format),
        ("[::1]:/x", Format),
        ("fc00::1:5000/debian", Format),
        ("[fe80::1%eth0]:5000/repo", Format),
        ("[2001:db8:3:4::192.0.2.33]:5000/debian", Format),
        ("repo\n", Format),
        ("b\u{fc}cher", Format),
    ] {
        assert_eq!(Reference::parse_normalized(text), Err(want), "{text:?}");
    }
    assert!(Reference::parse_normalized(&format!("docker.io/{HEX}")).is_ok());
    assert!(Reference::parse_normalized(&format!("example.com/{}:tag", "a".repeat(255))).is_ok());
}

#[test]
fn tags_and_digests_come_and_go() {
    let both = format!("gcr.io/library/busybox:latest@sha256:{HEX}");
    let reference = Reference::parse_normalized(&both).expect("sound");
    assert_eq!(reference.to_string(), both);
    assert_eq!(reference.clone().tag_name_only(), reference);
    let digested = format!("gcr.io/library/busybox@sha256:{HEX}");
    assert_eq!(reference.clone().favor_digest().to_string(), digested);
    let blob: BlobId = format!("sha256:{HEX}").parse().expect("a digest");
    assert_eq!(reference.blob(), Some(blob));
    assert_eq!(reference.name_only().with_digest(blob).to_string(), digested);
    assert_eq!(reference.name_only().to_string(), "gcr.io/library/busybox");
    assert_eq!(reference.name_only().tag_name_only().tag(), Some(DEFAULT_TAG));
    assert_eq!(
        reference.with_tag("1").map(|r| r.to_string()).as_deref(),
        Ok("gcr.io/library/busybox:1")
    );
    assert_eq!(reference.with_tag("-1"), Err(BadReference::Format));
    let wide = format!("a@sha512:{HEX}{HEX}");
    let wide = Reference::parse_normalized(&wide).expect("Docker takes it");
    assert_eq!((wide.blob(), wide.digest().map(str::len)), (None, Some(135)));
}

#[test]
fn an_image_may_be_named_by_its_id() {
    let id = format!("sha256:{HEX}");
    for text in [HEX, &id] {
        assert_eq!(AnyReference::parse(text), Ok(AnyReference::Digest(id.clone())));
    }
    for text in [&HEX[1..], "dbcc1", "redis"] {
        assert!(matches!(AnyReference::parse(text), Ok(AnyReference::Named(_))), "{text}");
    }
    // Not a digest, but a name with a tag.
    let short = format!("sha256:{}", &HEX[1..]);
    assert!(matches!(AnyReference::parse(&short), Ok(AnyReference::Named(_))));
}

proptest! {
    #[test]
    fn both_forms_of_a_reference_read_back(text in "[a-zA-Z0-9._:/@\\[\\]-]{0,24}") {
        if let Ok(reference) = Reference::parse_normalized(&text) {
            prop_assert_eq!(Reference::parse_normalized(&reference.to_string()), Ok(reference.clone()));
        }
    }

    #[test]
    fn no_text_panics(text: String) {
        let _ = AnyReference::parse(&text);
    }
}
