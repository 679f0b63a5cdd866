//! Every shader is assembled, validated and translated for each backend when the workspace builds,
//! and what the host must know about it is written as Rust: nothing is typed twice, and a bad
//! shader breaks the build with its name and line.

#[path = "build/assemble.rs"]
mod assemble;
#[path = "build/reflect.rs"]
mod reflect;
#[path = "build/write.rs"]
mod write;

use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=wgsl");
    let mut shaders = Vec::new();
    for module in assemble::modules(Path::new("wgsl"))? {
        match reflect::shader(&module) {
            Ok(shader) => shaders.push(shader),
            Err(error) => {
                println!("cargo::error={error}");
                return Err(error.into());
            }
        }
    }
    let out = Path::new(&env::var("OUT_DIR")?).join("shaders.rs");
    fs::write(out, write::rust(&shaders)?)?;
    Ok(())
}
