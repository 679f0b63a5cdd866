//! The node as a program that the process tests can start.

fn main() -> std::process::ExitCode {
    node::run(std::env::args_os()).into()
}
