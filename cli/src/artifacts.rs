//! The functions' code: finds the built binaries and packs them into the archives that Lambda takes.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use infra::Function;
use sha2::{Digest, Sha256};
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::exit::Failed;

/// Returns the folder that the user named, or the default folder if it exists.
pub(crate) fn usual_artifacts(named: Option<PathBuf>) -> Option<PathBuf> {
    named.or_else(|| Some(PathBuf::from(ARTIFACTS)).filter(|folder| folder.is_dir()))
}

/// The default folder, into which cargo-lambda builds.
pub(crate) const ARTIFACTS: &str = "target/lambda";

/// A function's code, ready for Lambda.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) function: Function,
    /// The archive's key in the bucket. It contains the archive's hash: unchanged code is neither uploaded nor deployed
    /// again, and deployed code is recognized.
    pub(crate) key: String,
    pub(crate) archive: Vec<u8>,
    /// `arm64` or `x86_64`.
    pub(crate) architecture: &'static str,
}

/// Packs the functions' binaries in a folder. All of them must be built for the same architecture.
pub(crate) fn archives(folder: &Path, functions: &[Function]) -> Result<Vec<Artifact>, Failed> {
    let artifacts: Vec<Artifact> =
        functions.iter().map(|function| archive(folder, *function)).collect::<Result<_, _>>()?;
    let other = artifacts.iter().find(|artifact| artifact.architecture != artifacts[0].architecture);
    match other {
        Some(other) => Err(Failed::Usage(format!(
            "{} is built for {}, but {} for {}; build all functions for the same architecture",
            artifacts[0].function.name(),
            artifacts[0].architecture,
            other.function.name(),
            other.architecture
        ))),
        None => Ok(artifacts),
    }
}

fn archive(folder: &Path, function: Function) -> Result<Artifact, Failed> {
    let path = binary(folder, function)?;
    let read = |path: &Path| fs::read(path).map_err(|error| Failed::File { path: path.to_owned(), error });
    let code = read(&path)?;
    let architecture = architecture(&code).ok_or_else(|| {
        Failed::Usage(format!("{} is not a Linux program for arm64 or x86_64; {}", path.display(), how_to_build()))
    })?;
    let archive = zipped(&code).map_err(|error| Failed::Io(format!("{}: {error}", path.display())))?;
    let key = infra::code_key(function, &format!("{:x}", Sha256::digest(&archive)));
    Ok(Artifact { function, key, archive, architecture })
}

/// Finds a function's binary: at `NAME/bootstrap`, where cargo-lambda puts it, or at `NAME`, where cargo does.
fn binary(folder: &Path, function: Function) -> Result<PathBuf, Failed> {
    let places = [folder.join(function.name()).join("bootstrap"), folder.join(function.name())];
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| Failed::Usage(lacking(folder, function)))
}

/// Returns the message that a function's binary is missing, and how to build it.
pub(crate) fn lacking(folder: &Path, function: Function) -> String {
    format!("{} is not in {}; {}", function.name(), folder.display(), how_to_build())
}

fn how_to_build() -> &'static str {
    "build the functions with `cargo lambda build --release --arm64`, or pass their folder with --artifacts"
}

/// Returns the architecture that an ELF file was built for.
/// Source: <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>
fn architecture(code: &[u8]) -> Option<&'static str> {
    let machine = code.get(18..20).filter(|_| code.starts_with(b"\x7fELF"))?;
    match machine {
        [0xB7, 0x00] => Some("arm64"),
        [0x3E, 0x00] => Some("x86_64"),
        _ => None,
    }
}

/// Packs a binary. The same binary always gives the same bytes.
fn zipped(code: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o755).last_modified_time(zip::DateTime::default());
    archive.start_file("bootstrap", options)?;
    archive.write_all(code)?;
    Ok(archive.finish()?.into_inner())
}
