//! `golden`: the files of a release, made once and kept for ever.

use crate::{paths, process};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use toml_edit::DocumentMut;

#[derive(clap::Args)]
pub struct Arguments {
    /// The release, such as v0.1.0; the workspace is of that version already
    #[arg(long)]
    release: String,
}

/// Lets the test that makes and checks such files leave them in the folder of the release.
pub fn task(arguments: &Arguments) -> Result<()> {
    let release = &arguments.release;
    let version = workspace_version()?;
    ensure!(
        *release == format!("v{version}"),
        "the workspace is of version {version}: files that it writes are not those of {release}"
    );
    let golden = paths::root().join("crates/abide/tests/golden");
    fs::create_dir_all(&golden).with_context(|| format!("making {golden:?}"))?;
    let folder = golden.join(release);
    if folder.exists() {
        bail!("{folder:?} is there already, and files of a release are never changed");
    }
    let mut cargo = process::cargo();
    cargo.args(["test", "--package", "abide", "--test", "releases"]);
    process::run(cargo.env("ABIDE_GOLDEN_MAKE_IN", &folder))?;
    let mut names = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    for path in names {
        println!("{:>6} KiB  {}", fs::metadata(&path)?.len().div_ceil(1024), path.display());
    }
    Ok(())
}

fn workspace_version() -> Result<String> {
    let manifest = paths::root().join("Cargo.toml");
    let text = fs::read_to_string(&manifest).with_context(|| format!("reading {manifest:?}"))?;
    parse_version(&text).context("the root manifest has no version of the workspace")
}

fn parse_version(manifest: &str) -> Option<String> {
    let manifest: DocumentMut = manifest.parse().ok()?;
    let version = manifest.get("workspace")?.get("package")?.get("version")?;
    version.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_that_of_the_workspace() {
        let manifest = "[package]\nversion = \"9\"\n[workspace.package]\nversion = \"0.1.0\"\n";
        assert_eq!(parse_version(manifest).as_deref(), Some("0.1.0"));
        assert_eq!(parse_version("[package]\nversion = \"9\"\n"), None);
    }

    #[test]
    fn files_of_another_version_are_not_made() {
        let refused = task(&Arguments { release: "v99.0.0".into() }).expect_err("it is not");
        assert!(refused.to_string().contains("are not those of v99.0.0"), "{refused}");
    }
}
