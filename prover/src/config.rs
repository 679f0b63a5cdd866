//! The configuration file of `serve`: TOML, read and never written.
//!
//! Its keys are the flags of `serve`, so there is no second list of them: what the file says
//! becomes the default of a flag, and thus yields to the environment and to what was typed. Each
//! value is read by the flag's own parser.

use crate::args::{Args, Command as Typed, ConfigShowArgs, ServeArgs};
use crate::outcome::{self, ExitCode, Failure, Result, answer};
use clap::builder::OsStr;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const SERVE: &str = "serve";
/// The flag that names the file. Its id is the same.
const CONFIG: &str = "config";
/// A longer file is none of ours.
const BYTES_MAX: u64 = 1 << 20;

/// What was typed, with the file beneath it where it is `serve`.
///
/// # Errors
/// The exit code, when all is said: what clap prints, or what is wrong with the file.
pub(crate) fn parse(typed: &[OsString]) -> std::result::Result<Args, ExitCode> {
    match Resolved::of(typed) {
        Ok(resolved) => resolved.args().map_err(|error| outcome::of_clap(&error)),
        Err(Refusal::Clap(error)) => Err(outcome::of_clap(&error)),
        Err(Refusal::File(failure)) => Err(outcome::report(Err(failure))),
    }
}

/// The same again, with the file and the environment as they are now.
pub(crate) fn again(args: &ServeArgs) -> Result<ServeArgs> {
    let usage = |error: clap::Error| Failure::usage(first_line(&error));
    let resolved = Resolved::of(&args.typed).map_err(|refusal| match refusal {
        Refusal::Clap(error) => usage(error),
        Refusal::File(failure) => failure,
    })?;
    match resolved.args().map_err(usage)?.command {
        Typed::Serve(args) => Ok(args),
        _ => Err(Failure::usage("this is no `serve`")),
    }
}

/// Where the configuration of this user's programs lies.
pub(crate) fn directory() -> Option<PathBuf> {
    let from = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let configuration = from("XDG_CONFIG_HOME")
        .or_else(|| Some(from("HOME")?.join(".config")))
        .or_else(|| from("APPDATA"));
    Some(configuration?.join("postmesh"))
}

/// `config show`
pub(crate) fn show(args: &ConfigShowArgs) -> Result {
    let mut typed = vec![OsString::from("postmesh-prover"), OsString::from(SERVE)];
    if let Some(file) = &args.config {
        typed.extend([OsString::from("--config"), file.into()]);
    }
    typed.extend(args.flags.iter().cloned());
    let resolved = match Resolved::of(&typed) {
        Ok(resolved) => resolved,
        Err(Refusal::Clap(error)) => return Ok(outcome::of_clap(&error)),
        Err(Refusal::File(failure)) => return Err(failure),
    };
    let entries = resolved.entries().map_err(|error| Failure::usage(first_line(&error)))?;
    if args.json {
        let file = resolved.file.as_ref().map(|file| file.path.display().to_string());
        let settings: Vec<Value> = entries.iter().map(Entry::object).collect();
        answer!("{}", json!({ "file": file, "settings": settings }))?;
    } else {
        for entry in &entries {
            answer!("{}", entry.line(args.origin))?;
        }
    }
    Ok(ExitCode::Done)
}

/// Why there are no arguments.
enum Refusal {
    /// Help, or wrong usage.
    Clap(clap::Error),
    /// The file.
    File(Failure),
}

/// What was typed and what the file says, not put together yet.
struct Resolved {
    typed: Vec<OsString>,
    /// What was typed and what the environment says, for `serve`; else all there is.
    matches: ArgMatches,
    file: Option<ConfigFile>,
}

impl Resolved {
    fn of(typed: &[OsString]) -> std::result::Result<Self, Refusal> {
        let file_may_say = command(|serve| serve.mut_args(|arg| arg.required(false)));
        let matches = match file_may_say.try_get_matches_from(typed) {
            Ok(matches) => matches,
            // Help and errors are those of the real command.
            Err(error) => {
                let real = command(|serve| serve).try_get_matches_from(typed);
                return Err(Refusal::Clap(real.err().unwrap_or(error)));
            }
        };
        let file = match matches.subcommand_matches(SERVE) {
            Some(serve) => ConfigFile::of(serve).map_err(Refusal::File)?,
            None => None,
        };
        Ok(Self { typed: typed.to_vec(), matches, file })
    }

    /// What it means, all together.
    fn args(self) -> std::result::Result<Args, clap::Error> {
        let mut matches = match &self.file {
            Some(file) => command(|serve| file.beneath(serve)).try_get_matches_from(&self.typed)?,
            // What may be missing in a file must not be missing where there is none.
            None if self.matches.subcommand_matches(SERVE).is_some() => {
                command(|serve| serve).try_get_matches_from(&self.typed)?
            }
            None => self.matches,
        };
        let mut args = Args::from_arg_matches_mut(&mut matches)?;
        if let Typed::Serve(serve) = &mut args.command {
            serve.typed = self.typed;
        }
        Ok(args)
    }

    /// Every key, in the order of the flags.
    fn entries(&self) -> std::result::Result<Vec<Entry>, clap::Error> {
        let whole = command(|serve| {
            let serve = match &self.file {
                Some(file) => file.beneath(serve),
                None => serve,
            };
            serve.mut_args(|arg| arg.required(false))
        });
        let whole = whole.try_get_matches_from(&self.typed)?;
        let (Some(whole), Some(typed)) =
            (whole.subcommand_matches(SERVE), self.matches.subcommand_matches(SERVE))
        else {
            return Ok(vec![]);
        };
        Ok(keys().iter().map(|(key, arg)| self.entry(key, arg, whole, typed)).collect())
    }

    fn entry(&self, key: &str, arg: &Arg, whole: &ArgMatches, typed: &ArgMatches) -> Entry {
        let id = arg.get_id().as_str();
        let values = whole.get_raw(id).into_iter().flatten();
        let values = values.map(|value| value.to_string_lossy().into_owned()).collect();
        let said = self.file.as_ref().and_then(|file| Some((file, file.said.get(key)?)));
        let origin = match (typed.value_source(id), said) {
            (Some(ValueSource::CommandLine), _) => Origin::Flag,
            (Some(ValueSource::EnvVariable), _) => {
                let name = arg.get_env().unwrap_or_default();
                Origin::Environment(name.to_string_lossy().into_owned())
            }
            (_, Some((file, said))) => Origin::File(file.at(said.line)),
            (_, None) => Origin::Default,
        };
        Entry { key: key.to_owned(), many: takes_many(arg), values, origin }
    }
}

/// The command line, with `serve` as the caller wants it and switches that can be switched off: a
/// file may have switched them on.
fn command(serve: impl FnOnce(Command) -> Command) -> Command {
    Args::command().mut_subcommand(SERVE, |command| {
        serve(command.mut_args(|arg| {
            if !is_switch(&arg) {
                return arg;
            }
            arg.action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .value_parser(clap::value_parser!(bool))
                .default_value("false")
                .default_missing_value("true")
                .value_name("true|false")
                .hide_default_value(true)
                .hide_possible_values(true)
        }))
    })
}

/// The keys and their flags, in the order of the help page.
fn keys() -> Vec<(String, Arg)> {
    let command = Args::command();
    let serve = command.find_subcommand(SERVE).into_iter();
    let flags = serve.flat_map(Command::get_arguments).filter_map(|arg| {
        let key = arg.get_long().filter(|long| *long != CONFIG)?;
        Some((key.to_owned(), arg.clone()))
    });
    flags.collect()
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// A file, understood and checked.
struct ConfigFile {
    path: PathBuf,
    /// By key.
    said: BTreeMap<String, Said>,
}

/// What the file says for one flag.
struct Said {
    /// The flag's id.
    id: String,
    values: Vec<String>,
    line: usize,
}

impl ConfigFile {
    /// The file that was named, else the well-known one if it is there.
    fn of(serve: &ArgMatches) -> Result<Option<Self>> {
        let named = serve.get_one::<PathBuf>(CONFIG);
        let path = match named {
            Some(path) => path.clone(),
            None => match directory() {
                Some(directory) => directory.join("prover.toml"),
                None => return Ok(None),
            },
        };
        match read(&path) {
            Ok(text) => Self::understood(path, &text).map(Some),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let shown = path.display();
                Err(Failure::usage(format!(
                    "the configuration file {shown} cannot be read: {error}"
                )))
            }
        }
    }

    fn understood(path: PathBuf, text: &str) -> Result<Self> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            Failure::usage(format!("{}:{line}: {}", path.display(), error.message().trim()))
        })?;
        let mut file = Self { path, said: BTreeMap::new() };
        let keys = keys();
        for (key, value) in table.into_inner() {
            let line = line_of(text, key.span().start);
            let key = key.into_inner();
            let Some((_, arg)) = keys.iter().find(|(known, _)| *known == key) else {
                let known: Vec<&str> = keys.iter().map(|(known, _)| known.as_str()).collect();
                return Err(Failure::usage(format!(
                    "{}: unknown key `{key}`; there are: {}",
                    file.at(line),
                    known.join(", ")
                )));
            };
            let fault = |why: String| Failure::usage(format!("{}: `{key}` {why}", file.at(line)));
            let values = values(arg, &value).map_err(|why| fault(why.to_owned()))?;
            for value in &values {
                accepted(&key, value).map_err(fault)?;
            }
            let id = arg.get_id().to_string();
            file.said.insert(key.into_owned(), Said { id, values, line });
        }
        Ok(file)
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// Makes what the file says the defaults of `serve`.
    fn beneath(&self, mut serve: Command) -> Command {
        for Said { id, values, .. } in self.said.values().filter(|said| !said.values.is_empty()) {
            let values: Vec<OsStr> = values.iter().map(OsStr::from).collect();
            serve = serve.mut_arg(id, |arg| arg.required(false).default_values(values));
        }
        serve
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let count = File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if count as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// What would have been typed for a value.
fn values(
    arg: &Arg,
    value: &Spanned<DeValue<'_>>,
) -> std::result::Result<Vec<String>, &'static str> {
    match value.get_ref() {
        DeValue::Boolean(value) if is_switch(arg) => Ok(vec![value.to_string()]),
        _ if is_switch(arg) => Err("is true or false"),
        DeValue::Array(items) if takes_many(arg) => {
            let words = items.iter().map(|item| word(item.get_ref()));
            words.collect::<Option<Vec<String>>>().ok_or("is a list of texts or numbers")
        }
        single => word(single).map(|word| vec![word]).ok_or(if takes_many(arg) {
            "is a text or a number, or a list of them"
        } else {
            "is one text or number"
        }),
    }
}

fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // A number in another base is given to the flag as people count.
        DeValue::Integer(number) => {
            Some(i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// Whether the flag would take it, by itself.
fn accepted(key: &str, value: &str) -> std::result::Result<(), String> {
    let alone = command(|serve| serve.mut_args(|arg| arg.required(false)));
    let typed = ["postmesh-prover".to_owned(), SERVE.to_owned(), format!("--{key}={value}")];
    match alone.try_get_matches_from(typed) {
        // How flags go together is seen when all are.
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict
            ) =>
        {
            Err(format!("cannot be taken: {}", first_line(&error)))
        }
        _ => Ok(()),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Where a value comes from.
enum Origin {
    Flag,
    /// By this variable.
    Environment(String),
    /// The file and the line.
    File(String),
    Default,
}

/// A key and its value.
struct Entry {
    key: String,
    many: bool,
    values: Vec<String>,
    origin: Origin,
}

impl Entry {
    fn object(&self) -> Value {
        let (origin, at) = match &self.origin {
            Origin::Flag => ("flag", None),
            Origin::Environment(name) => ("environment", Some(name)),
            Origin::File(at) => ("file", Some(at)),
            Origin::Default => ("default", None),
        };
        let value = match self.values.as_slice() {
            [value] if !self.many => json!(value),
            [] if !self.many => Value::Null,
            values => json!(values),
        };
        json!({ "key": self.key, "value": value, "origin": origin, "at": at })
    }

    /// A line that the file would take.
    fn line(&self, with_origin: bool) -> String {
        let values: Vec<String> = self.values.iter().map(|value| literal(value)).collect();
        let line = match values.as_slice() {
            [] => format!("# {} is not set", self.key),
            [value] if !self.many => format!("{} = {value}", self.key),
            values => format!("{} = [{}]", self.key, values.join(", ")),
        };
        let origin = match &self.origin {
            _ if !with_origin || self.values.is_empty() => return line,
            Origin::Flag => "flag".to_owned(),
            Origin::Environment(name) => format!("environment: {name}"),
            Origin::File(at) => format!("file: {at}"),
            Origin::Default => "default".to_owned(),
        };
        format!("{line:<40} # {origin}")
    }
}

fn literal(value: &str) -> String {
    let is_plain = matches!(value, "true" | "false") || value.parse::<i64>().is_ok();
    if is_plain { value.to_owned() } else { toml::Value::from(value).to_string() }
}

#[cfg(test)]
mod tests;
