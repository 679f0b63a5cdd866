//! `postmesh-node`: the light process that asks provers for proofs and judges them.

fn main() -> std::process::ExitCode {
    node::run(std::env::args_os()).into()
}
