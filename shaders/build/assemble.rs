//! From files to modules: WGSL has no imports, so a line `//import NAME` stands for one.

use std::path::Path;
use std::{fs, io};

/// A shader with all that it imports, in one text.
pub(crate) struct Module {
    /// The file's name without its extension; also the name of the entry point.
    pub(crate) name: String,
    /// What the comment at the top says, without what follows an empty line in it.
    pub(crate) summary: String,
    /// The whole text, imports first.
    pub(crate) text: String,
    /// For each part of `text`: its file and how many lines it has.
    parts: Vec<(String, usize)>,
}

/// The modules of a folder: every file that has an entry point, sorted by name.
pub(crate) fn modules(folder: &Path) -> io::Result<Vec<Module>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let (Some(name), Some("wgsl")) = (stem(&path), path.extension().and_then(|e| e.to_str()))
        {
            names.push(name);
        }
    }
    names.sort();
    let read = |name: &str| fs::read_to_string(folder.join(format!("{name}.wgsl")));
    let mut modules = Vec::new();
    for name in names {
        let own = read(&name)?;
        if own.lines().any(|line| line.starts_with("@compute")) {
            modules.push(module(name, &own, &read)?);
        }
    }
    Ok(modules)
}

fn stem(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.to_owned())
}

/// The module of the file `name`, whose text is `own`; other files are got from `read`.
pub(crate) fn module(
    name: String,
    own: &str,
    read: &impl Fn(&str) -> io::Result<String>,
) -> io::Result<Module> {
    let head = own.lines().take_while(|line| line.starts_with("// "));
    let summary = head.map(|line| &line[3..]).collect::<Vec<_>>().join("\n");
    let mut module = Module { name: name.clone(), summary, text: String::new(), parts: Vec::new() };
    module.add(&name, own, read)?;
    Ok(module)
}

impl Module {
    /// Adds a file after what it imports; what is there already is not added again.
    fn add(
        &mut self,
        name: &str,
        text: &str,
        read: &impl Fn(&str) -> io::Result<String>,
    ) -> io::Result<()> {
        for import in text.lines().filter_map(|line| line.strip_prefix("//import ")) {
            if !self.parts.iter().any(|(part, _)| part == import) {
                self.add(import, &read(import)?, read)?;
            }
        }
        self.parts.push((name.to_owned(), text.lines().count()));
        self.text.push_str(text);
        Ok(())
    }

    /// The file and line in it of a line of `text`, counted from one; else just the file.
    pub(crate) fn place(&self, line: Option<usize>) -> String {
        let mut rest = line.unwrap_or(usize::MAX);
        for (name, lines) in &self.parts {
            if rest <= *lines {
                return format!("wgsl/{name}.wgsl:{rest}");
            }
            rest -= lines;
        }
        format!("wgsl/{}.wgsl", self.name)
    }
}
