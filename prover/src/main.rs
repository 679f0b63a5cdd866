//! `postmesh-prover`: fills spare disk with labels once, and proves every epoch that it is there.

fn main() -> std::process::ExitCode {
    prover::run(std::env::args_os()).into()
}
