//! What a host says on its console, and the marks in it that our init prints.

/// Begins every mark.
const MARK: &str = "abide-lab: ";

/// The init of every host: sets up what programs expect, runs `/cell`, tells how that ended.
/// The console turns line ends into CR LF, and the kernel may have left a line unfinished. Setting
/// the console waits until all of it is sent; a machine that powers off at once may keep the end.
pub const INIT: &str = "\
#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
stty -F /dev/console -onlcr
printf '\\nabide-lab: up %s\\n' \"$(uname -r)\"
sh /cell
code=$?
[ -f /bring ] && sh /bring
printf '\\nabide-lab: exit %s\\n' \"$code\"
stty -F /dev/console onlcr
poweroff -f
";

/// Prints where the disk of a name is, for those who read it; loads first what a disk needs. A
/// module may be built in, or another may have brought what it has.
pub const DISK: &str = "\
disk() {
    for module in /modules/*.ko; do insmod $module 2>/dev/null; done
    tries=0
    until grep -qxF $1 /sys/block/vd*/serial 2>/dev/null || [ $tries -ge 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    for serial in $(grep -lxF $1 /sys/block/vd*/serial); do
        serial=${serial#/sys/block/}
        echo /dev/${serial%/serial}
    done
}
";

/// Puts `/out` on the disk.
pub const BRING: &str = "\
. /disk
tar -cf \"$(disk out)\" -C / out || echo 'abide-lab: the disk could not be written'
sync
";

/// Waits for a condition, an event of somebody else's: ten minutes, whatever it takes to look.
pub const WAIT: &str = "\
uptime() { read up _ </proc/uptime && echo ${up%.*}; }
wait_until() {
    never=$(($(uptime) + 600))
    until \"$@\"; do
        [ $(uptime) -lt $never ] || { echo \"abide-lab: never: $*\"; exit 9; }
        sleep 0.2
    done
}
";

/// How far a host got.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The kernel's release, once it is up.
    pub release: Option<String>,
    /// What came after that, up to the end.
    pub output: String,
    /// The exit code of `/cell`, once it ended.
    pub exit: Option<i32>,
}

/// Finds the marks in all that was said so far.
pub fn progress(console: &str) -> Progress {
    let mut progress = Progress::default();
    let Some((release, rest)) = after_mark(console, "up ") else { return progress };
    progress.release = Some(release.to_owned());
    let end = format!("\n{MARK}exit ");
    match rest.split_once(&end) {
        Some((output, code)) => {
            progress.output = output.to_owned();
            progress.exit = code.split_once('\n').and_then(|(code, _)| code.trim().parse().ok());
        }
        None => progress.output = rest.to_owned(),
    }
    progress
}

/// The rest of the line after a mark, and all that follows the line.
fn after_mark<'a>(console: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = console.split_once(&format!("\n{MARK}{name}"))?;
    let (line, rest) = rest.split_once('\n')?;
    Some((line.trim(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_as_they_come() {
        let console = "boot\r\n\nabide-lab: up 6.12.9\na\nb\n\nabide-lab: exit 3\n";
        let whole = progress(console);
        assert_eq!(whole.release.as_deref(), Some("6.12.9"));
        assert_eq!((whole.output.as_str(), whole.exit), ("a\nb\n", Some(3)));
        // Cut anywhere, nothing wrong is read.
        for end in 0..console.len() {
            let part = progress(&console[..end]);
            assert!(part.exit.is_none(), "{end}");
            assert!(part.release.is_none_or(|release| release == "6.12.9"), "{end}");
        }
    }

    #[test]
    fn host_that_never_came_up_has_no_output() {
        assert_eq!(progress("Kernel panic - not syncing\n"), Progress::default());
    }

    #[test]
    fn init_prints_the_marks_that_are_looked_for() {
        assert!(INIT.contains(&format!("{MARK}up ")) && INIT.contains(&format!("{MARK}exit ")));
    }
}
