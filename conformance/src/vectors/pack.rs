//! Owns vectors on disk: files of lines, each a vector beside its name, and the files named after what
//! they hold. Whoever changes a byte changes a name. Knows nothing of what vectors say.

use super::vector::{FORMAT, Vector, digest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

/// How many vectors a file holds at most.
const PER_FILE: usize = 500;
/// How much of its name a file shows.
const NAME_LEN: usize = 16;

/// One line of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    id: String,
    #[serde(borrow)]
    vector: &'a RawValue,
}

/// A vector and its name.
#[derive(Clone, Debug)]
pub struct Named {
    /// The SHA-256 of the vector's bytes.
    pub id: String,
    /// The vector.
    pub vector: Vector,
}

/// Writes vectors into new files of a folder, and says how many bytes they are together.
pub fn write(folder: &Path, profile: &str, vectors: &[Vector]) -> Result<u64, String> {
    let trouble = |error| format!("cannot write to {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(trouble)?;
    let mut bytes = 0;
    for part in vectors.chunks(PER_FILE) {
        let text: String = part.iter().map(line).collect();
        let name = format!("{profile}-{}.jsonl", &digest(text.as_bytes())[..NAME_LEN]);
        bytes += text.len() as u64;
        fs::File::create(folder.join(name)).and_then(|mut file| file.write_all(text.as_bytes())).map_err(trouble)?;
    }
    Ok(bytes)
}

fn line(vector: &Vector) -> String {
    let body = vector.body();
    format!("{{\"id\":\"{}\",\"vector\":{body}}}\n", digest(body.as_bytes()))
}

/// Every vector of a folder, file by file in the order of their names.
pub fn read(folder: &Path) -> Result<Vec<Named>, String> {
    let trouble = |error| format!("cannot read {}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(trouble)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(trouble)?;
    let mut files: Vec<PathBuf> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("there is no file ending in .jsonl in {}", folder.display()));
    }
    let mut vectors = Vec::new();
    for file in files {
        vectors.extend(read_file(&file)?);
    }
    Ok(vectors)
}

fn read_file(path: &Path) -> Result<Vec<Named>, String> {
    let at = |number: usize, what: String| format!("{}:{number}: {what}", path.display());
    let file = fs::File::open(path).map_err(|error| at(0, error.to_string()))?;
    let mut vectors = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.map_err(|error| at(number, error.to_string()))?;
        vectors.push(parse(&line).map_err(|what| at(number, what))?);
    }
    Ok(vectors)
}

/// Reads one line, and holds it to its name.
pub fn parse(line: &str) -> Result<Named, String> {
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if digest(line.vector.get().as_bytes()) != line.id {
        return Err(format!("this is not the vector {}: a byte was changed", line.id));
    }
    let vector: Vector = serde_json::from_str(line.vector.get()).map_err(|error| error.to_string())?;
    if vector.format != FORMAT {
        return Err(format!("the vector has format {}, and only {FORMAT} is known", vector.format));
    }
    Ok(Named { id: line.id, vector })
}
