//! The prover as a program that the process tests can start.

fn main() -> std::process::ExitCode {
    prover::run(std::env::args_os()).into()
}
