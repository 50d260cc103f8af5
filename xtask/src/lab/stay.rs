//! A guest's stays on hosts: it begins there or comes from a file, goes on until it has said
//! something, and leaves as a file.

use super::host::{Errand, File, Finished, Host};
use crate::abide::SAVED_AWAY;
use crate::process;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
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
    /// With what follows `abide run NAME --engine ENGINE`.
    Run(&'a str),
    /// From the content of a file.
    Restore(&'a [u8]),
    /// From the content of a file, with more arguments.
    RestoreWith(&'a [u8], &'a str),
}

impl Begin<'_> {
    /// The content of the file.
    fn content(&self) -> Option<&[u8]> {
        match self {
            Self::Run(_) => None,
            Self::Restore(content) | Self::RestoreWith(content, _) => Some(content),
        }
    }
}

/// What came of a stay.
pub struct Stayed {
    /// What the guest said meanwhile.
    pub console: String,
    /// What abide said.
    pub words: String,
    /// How abide ended.
    pub code: i32,
    /// The host's clock when it began and when it had ended, in seconds.
    pub between_s: [i64; 2],
    /// The file, if it came to be saved.
    pub file: Option<Vec<u8>>,
    /// The report of a restore, JSON.
    pub report: Option<Vec<u8>>,
}

impl Stayed {
    /// The host never came to the end.
    fn hung() -> Self {
        let words = HUNG.to_owned();
        let (console, between_s) = (String::new(), [0; 2]);
        Self { console, words, code: -1, between_s, file: None, report: None }
    }

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

/// What is said of a guest whose host hung.
pub const HUNG: &str = "the host hung";

/// One turn of the waiting loop takes at least a tenth of a second.
const TURNS_MAX: u32 = 900;

/// Where a host's disk for guests is, in its scripts.
pub const GUEST_DISK: &str = "/guest-disk";
/// What makes it so.
pub const LINK_DISK: &str = "\
. /disk
ln -s $(disk guest) /guest-disk
";

/// What the shell does for each stay: the program is at `$ABIDE`, files go to `$OUT`, and `$SAVE`
/// is what else it is told for a save. A guest that hangs, or ends before it said enough, is ended;
/// its code tells.
pub const FUNCTIONS: &str = "\
stay() {
    name=$1; times=$2; text=$3; shift 3
    date +%s >$OUT/$name.times
    \"$ABIDE\" \"$@\" --state-dir $OUT/state </dev/null >$OUT/$name.console 2>$OUT/$name.words &
    run=$!
    turns=0
    while kill -0 $run 2>/dev/null; do
        if [ $times -gt 0 ] && [ $(grep -c \"$text\" $OUT/$name.console) -ge $times ]; then
            \"$ABIDE\" save $name $OUT/$name.abide $SAVE --state-dir $OUT/state \\
                2>>$OUT/$name.words || kill $run
            break
        fi
        turns=$((turns + 1))
        if [ $turns -gt $TURNS ]; then
            echo 'abide-lab: still running' >>$OUT/$name.words
            kill $run
            sleep 5
            kill -9 $run
            break
        fi
        sleep $PAUSE
    done
    wait $run
    echo $? >$OUT/$name.code
    date +%s >>$OUT/$name.times
}
";

impl Stay<'_> {
    /// The shell's line, for a guest whose file, if it comes from one, is `DIRECTORY/NAME.abide`.
    fn line(&self, engine: &str, directory: &str) -> String {
        let (text, times) = self.until.unwrap_or(("", 0));
        let name = self.name;
        let begin = match self.begin {
            Begin::Run(arguments) => format!("run {name} --engine {engine} {arguments}"),
            Begin::Restore(_) | Begin::RestoreWith(..) => {
                let more = if let Begin::RestoreWith(_, more) = self.begin { more } else { "" };
                let more = format!("--report $OUT/{name}.report {more}");
                format!("restore {directory}/{name}.abide {name} --engine {engine} {more}")
            }
        };
        format!("stay {name} {times} '{text}' {begin}\n")
    }
}

/// Lets one guest stay on this machine, on the software engine.
///
/// # Errors
/// If the shell does not come to the end.
pub fn here(program: &Path, stay: &Stay) -> Result<Stayed> {
    let folder = tempfile::tempdir()?;
    let out = folder.path();
    if let Some(content) = stay.begin.content() {
        fs::create_dir(out.join("in"))?;
        fs::write(out.join(format!("in/{}.abide", stay.name)), content)?;
    }
    let line = stay.line("soft", "\"$OUT\"/in");
    let mut shell = Command::new("sh");
    // A guest does more here in the same time.
    shell.env("ABIDE", program).env("OUT", out).env("PAUSE", "0.02").env("TURNS", "9000");
    shell.arg("-c").arg(format!("{FUNCTIONS}{line}"));
    process::capture(&mut shell)?;
    one(stay.name, |file| fs::read(out.join(file)).with_context(|| format!("no file {file}")))
}

/// Many times what a guest takes elsewhere, and what each more takes to be refused.
const AT_RISK: Duration = Duration::from_secs(150);
const AT_RISK_EACH: Duration = Duration::from_secs(30);

/// Guests that stay on a host, one after another.
pub struct Visit<'a> {
    pub host: &'a Host,
    /// abide, built for the host.
    pub program: &'a [u8],
    /// What else the host finds.
    pub files: Vec<File>,
    /// What is done first, in the shell.
    pub first: &'a str,
    pub stays: &'a [Stay<'a>],
    pub show: bool,
}

impl Visit<'_> {
    /// # Errors
    /// If the host does not come up, or does not come to the end.
    pub fn run(self) -> Result<(Finished, Vec<Stayed>)> {
        let limit = Duration::from_secs(240 + 240 * self.stays.len() as u64);
        self.within(limit)
    }

    /// As [`run`](Self::run), on a host that may take `limit` for all of it.
    fn within(self, limit: Duration) -> Result<(Finished, Vec<Stayed>)> {
        let Self { host, program, mut files, first, stays, show } = self;
        files.push(File::program("abide", program.to_vec()));
        let disk = if host.disk.is_some() { LINK_DISK } else { "" };
        let mut script =
            format!("ABIDE=/abide OUT=/out PAUSE=0.1 TURNS={TURNS_MAX}\n{disk}{FUNCTIONS}{first}");
        for stay in stays {
            if let Some(content) = stay.begin.content() {
                files.push(File::data(&format!("{}.abide", stay.name), content.to_vec()));
            }
            script += &stay.line("kvm", "");
        }
        let errand = Errand { files: &files, script: &script, brings: true, limit, show };
        let finished = host.run(&errand)?;
        let mut stayed = Vec::new();
        for stay in stays {
            let one = one(stay.name, |file| finished.file(file));
            stayed.push(one.with_context(|| format!("{} on {host}", stay.name))?);
        }
        Ok((finished, stayed))
    }
}

/// Lets one guest stay on a host. `files` are for it.
///
/// # Errors
/// As [`Visit::run`].
pub fn alone(
    host: &Host,
    program: &[u8],
    files: Vec<File>,
    stay: Stay,
    show: bool,
) -> Result<Stayed> {
    let visit = Visit { host, program, files, first: "", stays: &[stay], show };
    visit.run()?.1.pop().context("one stay")
}

/// Lets guests stay on a host that is known to hang, and soon gives it up. If it does hang, each
/// has one to itself, so that none is judged by what came of another.
pub fn at_risk(host: &Host, program: &[u8], stays: &[Stay], show: bool) -> Vec<Stayed> {
    let visit = |stays| Visit { host, program, files: Vec::new(), first: "", stays, show };
    let together = AT_RISK + AT_RISK_EACH * u32::try_from(stays.len()).unwrap_or(u32::MAX);
    if let Ok((_, stayed)) = visit(stays).within(together) {
        return stayed;
    }
    let alone = |stay| {
        let came = visit(std::slice::from_ref(stay)).within(AT_RISK);
        came.ok().and_then(|(_, mut stayed)| stayed.pop()).unwrap_or_else(Stayed::hung)
    };
    stays.iter().map(alone).collect()
}

fn one(name: &str, file: impl Fn(&str) -> Result<Vec<u8>>) -> Result<Stayed> {
    let text = |ending: &str| {
        file(&format!("{name}.{ending}")).map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    let code = text("code")?;
    let Ok(code) = code.trim().parse() else { bail!("`{code}` is no exit code") };
    let times = text("times")?;
    let mut times = times.lines().map(str::parse);
    let (Some(Ok(from_s)), Some(Ok(to_s))) = (times.next(), times.next()) else {
        bail!("the times when {name} began and ended are missing")
    };
    Ok(Stayed {
        console: text("console")?,
        words: text("words")?,
        code,
        between_s: [from_s, to_s],
        file: file(&format!("{name}.abide")).ok(),
        report: file(&format!("{name}.report")).ok(),
    })
}
