//! `postmesh-bench`: how fast this machine makes labels, scans, hashes and reads.

fn main() -> std::process::ExitCode {
    bench::run(std::env::args_os()).into()
}
