# Lists what there is to do.
default:
    @just --list --justfile {{justfile()}}

# What takes seconds: format, lints, documentation, dependencies.
check:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings
    cargo clippy --all-targets --no-default-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features
    cargo deny --config .deny.toml check bans licenses sources

# The tests that run anywhere.
test:
    cargo test

# The tests that need root: devices, owners, loop file systems.
test-root:
    cargo test --test it --test rooted -- --ignored --skip long_

# The tests that take long: root, half an hour.
test-long:
    .ci/long

# The tests with real Docker daemons: root, debootstrap, minutes.
test-docker:
    cargo test --test daemons -- --ignored --test-threads=4

bench:
    cargo bench

# Records the data roots of the fixtures anew: root, debootstrap, minutes.
fixtures:
    fixtures/make/roots

# All that CI does.
ci:
    .ci/run
