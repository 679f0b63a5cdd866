//! From a module to what the host must know about it, after naga has found it good.

use crate::assemble::Module;
use naga::back::{PipelineConstants, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::front::wgsl;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Handle, ScalarKind, ShaderStage, StorageAccess, Type, TypeInner};
use std::fmt::Display;

/// A shader as the host sees it.
pub(crate) struct Shader {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) text: String,
    pub(crate) overrides: Vec<Named>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) structs: Vec<Struct>,
}

/// Something with a name and a comment.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) docs: String,
}

/// A buffer that the shader is given, in group 0.
pub(crate) struct Binding {
    pub(crate) named: Named,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// A uniform struct of this many bytes.
    Uniform(u32),
    /// A storage buffer; whether the shader only reads it.
    Storage(bool),
}

/// A struct in a uniform buffer: its fields are whole numbers of words.
pub(crate) struct Struct {
    pub(crate) named: Named,
    /// Bytes, padding included.
    pub(crate) size: u32,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) named: Named,
    /// Bytes from the start of the struct.
    pub(crate) offset: u32,
    /// Words of 32 bits; one is a number, several are an array.
    pub(crate) words: u32,
}

/// The values that shaders are tried with, for they are only translated with some: gaps in use.
const TRIED: [u32; 3] = [1, 2, 4];

/// Validates a module, translates it for each backend, and describes it. Errors name the file and
/// line.
pub(crate) fn shader(module: &Module) -> Result<Shader, String> {
    let at = |line: Option<u32>, error: &dyn Display| {
        format!("{}: {error}", module.place(line.map(|line| line as usize)))
    };
    let parsed = wgsl::parse_str(&module.text)
        .map_err(|error| at(error.location(&module.text).map(|place| place.line_number), &error))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator.validate(&parsed).map_err(|error| {
        // The widest span is the function, the narrowest what is wrong in it.
        let narrowest = error.spans().filter_map(|(span, _)| Some((span.to_range()?, span)));
        let narrowest = narrowest.min_by_key(|(range, _)| range.len());
        let line = narrowest.map(|(_, span)| span.location(&module.text).line_number);
        at(line, &causes(error.as_inner()))
    })?;
    for gap in TRIED {
        translate(&parsed, &info, gap).map_err(|error| at(None, &format!("gap {gap}: {error}")))?;
    }
    describe(module, &parsed, &info).map_err(|error| at(None, &error))
}

fn causes(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", causes(source)));
    format!("{error}{}", source.unwrap_or_default())
}

/// Translates to SPIR-V, MSL and HLSL, which can be checked even where no such device is.
fn translate(module: &naga::Module, info: &ModuleInfo, gap: u32) -> Result<(), String> {
    let text = |error: &dyn Display| error.to_string();
    let mut constants = PipelineConstants::default();
    if module.overrides.iter().any(|(_, it)| it.name.as_deref() == Some("GAP")) {
        constants.insert("GAP".to_owned(), gap.into());
    }
    let (module, info) =
        process_overrides(module, info, None, &constants).map_err(|error| text(&error))?;
    spv::write_vec(&module, &info, &spv::Options::default(), None).map_err(|error| text(&error))?;
    let (options, pipeline) = (msl::Options::default(), msl::PipelineOptions::default());
    let options = msl::Options { lang_version: (2, 0), ..options };
    msl::write_string(&module, &info, &options, &pipeline).map_err(|error| text(&error))?;
    let (options, pipeline) = (hlsl::Options::default(), hlsl::PipelineOptions::default());
    hlsl::Writer::new(String::new(), &options, &pipeline)
        .write(&module, &info, None)
        .map_err(|error| text(&error))?;
    Ok(())
}

fn describe(source: &Module, module: &naga::Module, info: &ModuleInfo) -> Result<Shader, String> {
    match module.entry_points.as_slice() {
        [entry] if entry.name == source.name && entry.stage == ShaderStage::Compute => {}
        _ => return Err("the one entry point of a file is a compute shader of its name".to_owned()),
    }
    let text = &source.text;
    let mut overrides = Vec::new();
    for (_, it) in module.overrides.iter() {
        // One without a name is an expression over others, such as the length of an array.
        let Some(name) = &it.name else {
            continue;
        };
        match module.types[it.ty].inner {
            TypeInner::Scalar(scalar) if scalar.kind == ScalarKind::Uint => {}
            _ => return Err(format!("override {name}: only u32 is provided for")),
        }
        overrides.push(named(text, &format!("override {name}:"), name)?);
    }
    let (mut bindings, mut structs) = (Vec::new(), Vec::new());
    for (handle, global) in module.global_variables.iter() {
        let (Some(place), Some(name)) = (&global.binding, &global.name) else {
            continue;
        };
        if info.get_entry_point(0)[handle].is_empty() {
            continue;
        }
        if place.group != 0 {
            return Err(format!("{name}: bindings are in group 0"));
        }
        let kind = match global.space {
            AddressSpace::Uniform => {
                let layout = structure(text, module, global.ty)?;
                let bytes = layout.size;
                structs.push(layout);
                Kind::Uniform(bytes)
            }
            AddressSpace::Storage { access } => {
                Kind::Storage(!access.contains(StorageAccess::STORE))
            }
            _ => return Err(format!("{name}: bindings are uniform or storage buffers")),
        };
        let named = named(text, &format!("> {name}:"), name)?;
        bindings.push(Binding { named, number: place.binding, kind });
    }
    let (name, summary, text) = (&source.name, &source.summary, &source.text);
    let (name, summary, text) = (name.clone(), summary.clone(), text.clone());
    Ok(Shader { name, summary, text, overrides, bindings, structs })
}

/// `name` with the comment above the line that has `declaration` in it.
fn named(text: &str, declaration: &str, name: &str) -> Result<Named, String> {
    let before: Vec<_> = text.lines().take_while(|line| !line.contains(declaration)).collect();
    let comment = before.iter().rev().map_while(|line| line.trim_start().strip_prefix("/// "));
    let mut docs: Vec<_> = comment.collect();
    docs.reverse();
    if docs.is_empty() {
        return Err(format!("{name} needs a comment of the form `/// …`"));
    }
    Ok(Named { name: name.to_owned(), docs: docs.join("\n") })
}

/// The layout of a uniform struct.
fn structure(text: &str, module: &naga::Module, handle: Handle<Type>) -> Result<Struct, String> {
    let ty = &module.types[handle];
    let (Some(name), TypeInner::Struct { members, span }) = (&ty.name, &ty.inner) else {
        return Err("a uniform is a struct".to_owned());
    };
    let opening = format!("struct {name} {{");
    let body = text.find(&opening).and_then(|at| text.get(at..)).unwrap_or_default();
    let mut fields = Vec::new();
    for member in members {
        let field = member.name.as_ref().ok_or("a field without a name")?;
        let path = format!("{name}.{field}");
        let words = words(module, member.ty).ok_or_else(|| {
            format!("{path}: only words and dense arrays of them are provided for")
        })?;
        let named = named(body, &format!("    {field}: "), field)?;
        fields.push(Field { named, offset: member.offset, words });
    }
    Ok(Struct { named: named(text, &opening, name)?, size: *span, fields })
}

/// How many 32-bit words a type is made of, if of nothing else and without holes.
fn words(module: &naga::Module, handle: Handle<Type>) -> Option<u32> {
    let uint = |scalar: naga::Scalar| scalar.kind == ScalarKind::Uint && scalar.width == 4;
    match module.types[handle].inner {
        TypeInner::Scalar(scalar) if uint(scalar) => Some(1),
        TypeInner::Vector { size, scalar } if uint(scalar) => Some(size as u32),
        TypeInner::Array { base, size: naga::ArraySize::Constant(count), stride } => {
            let words = words(module, base)?;
            (stride == 4 * words).then_some(words * count.get())
        }
        _ => None,
    }
}
