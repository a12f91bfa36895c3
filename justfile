# What a developer runs. `just check` before a commit, `just ci` before a push.

check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

test:
    cargo test

# Writes the JSON Schema that editors check manifests with.
schema:
    cargo run --release -- schema > schemas/manifest.schema.json

# The quickstart, from an empty store.
smoke:
    cargo run --release -- experiments/quickstart.toml --cache "$(mktemp -d)"

bench:
    cargo bench

ci:
    .ci/run
