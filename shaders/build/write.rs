//! From descriptions to Rust source.

use crate::reflect::{Binding, Kind, Named, Shader, Struct};
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// The source of `shaders.rs`: a module for each shader, after the structs they share.
pub(crate) fn rust(shaders: &[Shader]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let mut structs = BTreeMap::new();
    for shader in shaders {
        // A name means one thing: shaders share a struct by importing the file that declares it.
        structs.extend(shader.structs.iter().map(|it| (it.named.name.clone(), it)));
    }
    for layout in structs.values() {
        structure(&mut out, layout)?;
    }
    for shader in shaders {
        module(&mut out, shader)?;
    }
    Ok(out)
}

fn structure(out: &mut String, layout: &Struct) -> fmt::Result {
    let (name, size) = (&layout.named.name, layout.size);
    docs(out, "", &layout.named.docs)?;
    writeln!(out, "#[derive(Clone, Copy, Debug, PartialEq, Eq)]\npub struct {name} {{")?;
    for field in &layout.fields {
        docs(out, "    ", &field.named.docs)?;
        let field_name = &field.named.name;
        match field.words {
            1 => writeln!(out, "    pub {field_name}: u32,")?,
            words => writeln!(out, "    pub {field_name}: [u32; {words}],")?,
        }
    }
    writeln!(out, "}}\n\nimpl {name} {{")?;
    writeln!(out, "    /// The size of the uniform buffer.\n    pub const BYTES: u64 = {size};\n")?;
    writeln!(out, "    /// The bytes of the uniform buffer; its padding is zero.")?;
    writeln!(out, "    #[must_use]\n    pub fn to_bytes(&self) -> Vec<u8> {{")?;
    writeln!(out, "        let mut bytes = vec![0; {size}];")?;
    for field in &layout.fields {
        let (field_name, offset) = (&field.named.name, field.offset);
        let words = if field.words == 1 { "[" } else { "" };
        let end = if field.words == 1 { "]" } else { "" };
        writeln!(out, "        put(&mut bytes, {offset}, &{words}self.{field_name}{end});")?;
    }
    writeln!(out, "        bytes\n    }}\n}}\n")
}

fn module(out: &mut String, shader: &Shader) -> fmt::Result {
    docs(out, "", &shader.summary)?;
    writeln!(out, "pub mod {} {{", shader.name)?;
    writeln!(out, "    use crate::{{Binding, Kind, Shader}};\n")?;
    writeln!(out, "    /// The shader.\n    pub const SHADER: Shader = Shader {{")?;
    writeln!(out, "        name: {:?},\n        source: {:?},", shader.name, shader.text)?;
    writeln!(out, "        bindings: &[")?;
    for Binding { named, number, kind } in &shader.bindings {
        let kind = match kind {
            Kind::Uniform(bytes) => format!("Kind::Uniform {{ bytes: {bytes} }}"),
            Kind::Storage(read_only) => format!("Kind::Storage {{ read_only: {read_only} }}"),
        };
        let name = &named.name;
        writeln!(out, "            Binding {{ name: {name:?}, number: {number}, kind: {kind} }},")?;
    }
    writeln!(out, "        ],\n    }};\n")?;
    bindings(out, &shader.bindings)?;
    constants(out, &shader.overrides)?;
    writeln!(out, "}}\n")
}

/// A struct with a field for each buffer, so that none is forgotten or mistaken.
fn bindings(out: &mut String, bindings: &[Binding]) -> fmt::Result {
    writeln!(out, "    /// What is bound to the shader.")?;
    writeln!(out, "    #[derive(Clone, Copy, Debug)]\n    pub struct Bindings<B> {{")?;
    for Binding { named, .. } in bindings {
        docs(out, "        ", &named.docs)?;
        writeln!(out, "        pub {}: B,", named.name)?;
    }
    let count = bindings.len();
    writeln!(out, "    }}\n\n    impl<B> Bindings<B> {{")?;
    writeln!(out, "        /// Each with the number of its binding, in group 0.")?;
    writeln!(out, "        #[must_use]\n        pub fn numbered(self) -> [(u32, B); {count}] {{")?;
    let pairs: Vec<_> =
        bindings.iter().map(|it| format!("({}, self.{})", it.number, it.named.name)).collect();
    writeln!(out, "            [{}]\n        }}\n    }}\n", pairs.join(", "))
}

/// A struct with a field for each constant that a pipeline is specialised by.
fn constants(out: &mut String, overrides: &[Named]) -> fmt::Result {
    writeln!(out, "    /// What a pipeline of this shader is specialised by.")?;
    writeln!(out, "    #[derive(Clone, Copy, Debug)]\n    pub struct Constants {{")?;
    for Named { name, docs: lines } in overrides {
        docs(out, "        ", lines)?;
        writeln!(out, "        pub {}: u32,", name.to_lowercase())?;
    }
    let count = overrides.len();
    writeln!(out, "    }}\n\n    impl Constants {{")?;
    writeln!(out, "        /// Each with its name in the shader.\n        #[must_use]")?;
    writeln!(out, "        pub fn named(&self) -> [(&'static str, f64); {count}] {{")?;
    let pairs: Vec<_> = overrides
        .iter()
        .map(|it| format!("({:?}, f64::from(self.{}))", it.name, it.name.to_lowercase()))
        .collect();
    writeln!(out, "            [{}]\n        }}\n    }}", pairs.join(", "))
}

fn docs(out: &mut String, indent: &str, text: &str) -> fmt::Result {
    text.lines().try_for_each(|line| writeln!(out, "{indent}/// {line}"))
}
