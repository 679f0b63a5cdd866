//! Kernels for GPUs in WGSL, and what a host must know to run them.
//!
//! This crate knows WGSL and nothing else: neither which interface to GPUs runs its shaders nor
//! what they are for. A module for each shader holds its text, its bindings and the constants that
//! it is specialised by, all read from the WGSL when this crate is built; the build fails on a
//! shader that naga does not find valid, or cannot translate for Vulkan, Metal and DirectX 12.
//! `README.md` explains the algorithms and the layout of the memory.

#[cfg(test)]
#[path = "../build/assemble.rs"]
mod assemble;

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// A compute shader with one entry point, which has the shader's name.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    /// The name of the shader, its entry point and its file.
    pub name: &'static str,
    /// The whole text in WGSL.
    pub source: &'static str,
    /// The buffers it is given, all in group 0.
    pub bindings: &'static [Binding],
}

/// A buffer that a shader is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its name in the shader.
    pub name: &'static str,
    /// Its number in group 0.
    pub number: u32,
    /// What it is.
    pub kind: Kind,
}

/// Kinds of buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A uniform buffer.
    Uniform {
        /// Its size.
        bytes: u64,
    },
    /// A storage buffer, whose size decides how many elements it has.
    Storage {
        /// Whether the shader never writes to it.
        read_only: bool,
    },
}

/// Writes words, little-endian, from byte `offset` on.
fn put(bytes: &mut [u8], offset: usize, words: &[u32]) {
    for (place, word) in bytes[offset..].as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn uniforms_have_their_fields_where_the_shader_has_them() {
        let commitment = core::array::from_fn(|word| word as u32 + 1);
        let job = Job { commitment, first: [0x0a0b_0c0d, 9], labels: 10 };
        let bytes = job.to_bytes();
        assert_eq!(bytes.len() as u64, Job::BYTES);
        assert_eq!(bytes[28..36], [8, 0, 0, 0, 0x0d, 0x0c, 0x0b, 0x0a]);
        assert_eq!(bytes[36..], [9, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn both_ways_of_mixing_are_bound_alike() {
        assert_eq!(mix::SHADER.bindings, mix_cooperative::SHADER.bindings);
    }

    /// Imports come first and once, and a line of the whole leads back to its file.
    #[test]
    fn lines_are_found_again() {
        let read = |name: &str| match name {
            "a" => Ok("//import c\na2\n".to_owned()),
            "b" => Ok("//import c\nb2\n".to_owned()),
            "c" => Ok("c1\nc2\n".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let own = "// What it is\n// for.\n//\n//import a\n//import b\n@compute\n";
        let module = assemble::module("all".to_owned(), own, &read).unwrap();
        assert_eq!(module.name, "all");
        assert_eq!(module.summary, "What it is\nfor.");
        let start = "c1\nc2\n//import c\na2\n//import c\nb2\n// What it is\n";
        assert!(module.text.starts_with(start), "{}", module.text);
        assert_eq!(module.place(Some(2)), "wgsl/c.wgsl:2");
        assert_eq!(module.place(Some(6)), "wgsl/b.wgsl:2");
        assert_eq!(module.place(Some(12)), "wgsl/all.wgsl:6");
        assert_eq!(module.place(None), "wgsl/all.wgsl");
        assert!(assemble::module("x".to_owned(), "//import nothing\n", &read).is_err());
    }

    #[test]
    fn every_file_with_an_entry_point_is_a_shader() {
        let modules = assemble::modules(std::path::Path::new("wgsl")).unwrap();
        let names: Vec<_> = modules.iter().map(|module| module.name.as_str()).collect();
        let labels = ["fill", "finish", "mix", "mix_cooperative", "seed"];
        let mut expected = [&labels[..], &["scan", "sift"], &["copy", "operate"]].concat();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}
