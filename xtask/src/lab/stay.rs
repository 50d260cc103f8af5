//! A guest's stays on hosts: it begins there or comes from a file, goes on until it has said
//! something, and leaves as a file.

use super::host::{Errand, File, Finished, Host};
use crate::abide::SAVED_AWAY;
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;

/// One guest on one host.
pub struct Stay<'a> {
    /// Its name, and that of all its files.
    pub name: &'a str,
    pub begin: Begin<'a>,
    /// It is saved when its console has shown this, so many times since the stay began. Without, it
    /// runs to its own end.
    pub until: Option<(&'a str, u32)>,
}

/// How a stay begins.
pub enum Begin<'a> {
    /// With what follows `abide run NAME --engine kvm`.
    Run(&'a str),
    /// From the content of a file.
    Restore(&'a [u8]),
}

/// What came of a stay.
pub struct Stayed {
    /// What the guest said meanwhile.
    pub console: String,
    /// What abide said.
    pub words: String,
    /// How abide ended.
    pub code: i32,
    /// The file, if it came to be saved.
    pub file: Option<Vec<u8>>,
}

impl Stayed {
    /// The file, or why there is none.
    ///
    /// # Errors
    /// If it was not saved.
    pub fn saved(self) -> Result<Vec<u8>> {
        ensure!(
            self.code == SAVED_AWAY,
            "exit code {}, not saved away\n{}\n… {}",
            self.code,
            self.words.trim_end(),
            super::host::tail(&self.console)
        );
        self.file.context("abide said that it saved, and left no file")
    }
}

/// One turn of the waiting loop takes at least a tenth of a second.
const TURNS_MAX: u32 = 900;

/// What the shell does for each stay. A guest that hangs, or ends before it said enough, is
/// ended; its code tells.
const FUNCTIONS: &str = "\
stay() {
    name=$1; times=$2; text=$3; shift 3
    \"$@\" --state-dir /state </dev/null >/out/$name.console 2>/out/$name.words &
    run=$!
    turns=0
    while kill -0 $run 2>/dev/null; do
        if [ $times -gt 0 ] && [ $(grep -c \"$text\" /out/$name.console) -ge $times ]; then
            /abide save $name /out/$name.abide --state-dir /state 2>>/out/$name.words || kill $run
            break
        fi
        turns=$((turns + 1))
        if [ $turns -gt $TURNS ]; then
            echo 'abide-lab: still running' >>/out/$name.words
            kill $run
            sleep 5
            kill -9 $run
            break
        fi
        sleep 0.1
    done
    wait $run
    echo $? >/out/$name.code
}
";

/// Lets guests stay on a host, one after another. `first` is done before, in the shell; `files`
/// are for it.
///
/// # Errors
/// If the host does not come up, or does not come to the end.
pub fn on(
    host: &Host,
    program: &[u8],
    files: Vec<File>,
    first: &str,
    stays: &[Stay],
    show: bool,
) -> Result<(Finished, Vec<Stayed>)> {
    let mut files = files;
    files.push(File::program("abide", program.to_vec()));
    let mut script = format!("TURNS={TURNS_MAX}\n{FUNCTIONS}{first}");
    for stay in stays {
        let (text, times) = stay.until.unwrap_or(("", 0));
        let name = stay.name;
        let begin = match stay.begin {
            Begin::Run(arguments) => format!("run {name} --engine kvm {arguments}"),
            Begin::Restore(content) => {
                files.push(File::data(&format!("{name}.abide"), content.to_vec()));
                format!("restore /{name}.abide {name} --engine kvm")
            }
        };
        script += &format!("stay {name} {times} '{text}' /abide {begin}\n");
    }
    let limit = Duration::from_secs(120 + 120 * stays.len() as u64);
    let errand = Errand { files: &files, script: &script, brings: true, limit, show };
    let finished = host.run(&errand)?;
    let mut stayed = Vec::new();
    for stay in stays {
        stayed.push(one(&finished, stay.name).with_context(|| format!("{} on {host}", stay.name))?);
    }
    Ok((finished, stayed))
}

fn one(finished: &Finished, name: &str) -> Result<Stayed> {
    let code = finished.text(&format!("{name}.code"))?;
    let Ok(code) = code.trim().parse() else { bail!("`{code}` is no exit code") };
    Ok(Stayed {
        console: finished.text(&format!("{name}.console"))?,
        words: finished.text(&format!("{name}.words"))?,
        code,
        file: finished.file(&format!("{name}.abide")).ok(),
    })
}
