//! The `tranship` command.

fn main() -> std::process::ExitCode {
    tranship::cli::main()
}
