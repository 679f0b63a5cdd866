//! The GPUs of this machine, one a line: what `make test-gpu` runs on.
//!
//! `cargo run --release -p gpu --example gpu_list`

fn main() {
    let devices = gpu::devices();
    if devices.is_empty() {
        println!("no GPU, and no software for one");
    }
    for device in devices {
        let skip = device.skip.map(|skip| format!("; not used unless asked for: {skip}"));
        println!(
            "{}: {} by {:?}, driver {}{}",
            device.name,
            device.model,
            device.backend,
            device.driver,
            skip.unwrap_or_default()
        );
    }
}
