//! `ps`, `status`, `pause`, `resume`, `stop`, `save`: commands to guests that run.

use crate::cli::{NamedArgs, NamedQueryArgs, QueryArgs, SaveArgs};
use crate::control_socket::{Request, Response, StatusReport, ask};
use crate::exit::Exit;
use crate::out::{print, say};
use crate::state_dir::StateDir;
use anyhow::{Context, Result};
use serde_json::json;
use std::time::{Duration, Instant};

/// Lists guests.
pub fn ps(args: &QueryArgs) -> Result<Exit> {
    let state = StateDir::open(args.state.state_dir.as_deref())?;
    let (mut guests, mut silent) = (Vec::new(), Vec::new());
    for name in state.running()? {
        match ask(&state, &name, &Request::Status) {
            Ok(Response::Status(status)) => guests.push((name, status)),
            // One that ends while it is asked is no longer running.
            Ok(_) => {}
            Err(_) if !state.is_running(&name) => {}
            Err(error) => {
                say(&format!("{error:#}"));
                silent.push(name);
            }
        }
    }
    if args.json {
        let mut list: Vec<_> = guests.iter().map(|(name, status)| named(name, status)).collect();
        list.extend(silent.iter().map(|name| json!({"name": name, "state": "silent"})));
        print(&serde_json::to_string_pretty(&list)?)?;
        return Ok(Exit::Fine);
    }
    let mut table = format!(
        "{:<16} {:<8} {:>8} {:>6} {:>8}  ENGINE\n",
        "NAME", "STATE", "PID", "VCPUS", "MEMORY"
    );
    for (name, status) in &guests {
        let StatusReport { state, pid, vcpus, memory_bytes, engine, .. } = status;
        table += &match vcpus {
            0 => format!("{name:<16} {state:<8} {pid:>8} {:>6} {:>8}\n", "-", "-"),
            _ => {
                let memory = format!("{}M", memory_bytes >> 20);
                format!("{name:<16} {state:<8} {pid:>8} {vcpus:>6} {memory:>8}  {engine}\n")
            }
        };
    }
    for name in &silent {
        table += &format!("{name:<16} silent\n");
    }
    print(table.trim_end())?;
    Ok(Exit::Fine)
}

fn named(name: &str, status: &StatusReport) -> serde_json::Value {
    let mut value = json!(status);
    value["name"] = json!(name);
    value
}

/// Tells how one guest is.
pub fn status(args: &NamedQueryArgs) -> Result<Exit> {
    let state = StateDir::open(args.state.state_dir.as_deref())?;
    if !state.is_running(&args.name)
        && let Some(exit) = super::dead::status(args, &state)?
    {
        return Ok(exit);
    }
    let status = match ask(&state, &args.name, &Request::Status)? {
        Response::Status(status) => status,
        other => return finish(&args.name, other),
    };
    if args.json {
        print(&serde_json::to_string_pretty(&named(&args.name, &status))?)?;
        return Ok(Exit::Fine);
    }
    print(&text(&args.name, &status))?;
    Ok(Exit::Fine)
}

fn text(name: &str, status: &StatusReport) -> String {
    let StatusReport { state, engine, pid, instructions, console_bytes, .. } = status;
    if status.vcpus == 0 {
        // It is still to come, and nobody knows yet what it has.
        return format!("{name}: {state}\n  process       {pid}");
    }
    let vcpus = vcpus(name, status);
    let memory_mib = status.memory_bytes >> 20;
    let time = if status.deterministic { "virtual (deterministic)" } else { "the host's" };
    #[expect(clippy::cast_precision_loss, reason = "for reading, to a millisecond")]
    let seconds = status.guest_ns as f64 / 1e9;
    let moving = status.handoff.as_ref();
    let moving = moving.map_or_else(String::new, |moving| {
        format!("\n  goes to       {}\n                {}", moving.to, moving.text())
    });
    format!(
        "{name}: {state}\n  engine        {engine}\n  process       {pid}\n  \
         vcpus         {vcpus}\n  memory        {memory_mib} MiB\n  \
         time          {time}\n  has run       {seconds:.3} s of its own time\n  \
         instructions  {instructions}\n  printed       {console_bytes} bytes{moving}"
    )
}

/// How many vCPUs there are, and whether any is on.
fn vcpus(name: &str, status: &StatusReport) -> String {
    let all = status.vcpus;
    match status.vcpus_on {
        Some(0) => {
            format!(
                "{all}; all vCPUs are off, nothing in it can go on: `abide stop {name}` ends it"
            )
        }
        Some(on) if on < all => format!("{all}, {on} on"),
        _ => all.to_string(),
    }
}

/// How long a guest that has ended may take to free its name.
const LEAVING_MAX: Duration = Duration::from_secs(2);

/// Waits until the guest's name is free, so that `save` and `restore` under the same name may
/// follow each other in a script.
pub fn await_end(state: &StateDir, name: &str) {
    let end = Instant::now() + LEAVING_MAX;
    while state.is_running(name) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a command without arguments.
pub fn simple(args: &NamedArgs, request: &Request) -> Result<Exit> {
    let state = StateDir::open(args.state.state_dir.as_deref())?;
    let response = ask(&state, &args.name, request)?;
    if matches!((request, &response), (Request::Stop, Response::Done)) {
        await_end(&state, &args.name);
    }
    finish(&args.name, response)
}

/// Saves a guest.
pub fn save(args: &SaveArgs) -> Result<Exit> {
    let state = StateDir::open(args.state.state_dir.as_deref())?;
    // The guest's process may have another working directory.
    let path = std::path::absolute(&args.file)
        .with_context(|| format!("{}: not a path", args.file.display()))?;
    let overwrite = args.overwrite;
    let request = if args.keep_memory {
        let (hash_ram, gives_right) = (args.hash_memory, args.moves);
        Request::SaveKeepingMemory { path, overwrite, hash_ram, gives_right }
    } else if args.moves {
        Request::SaveMoving { path, compress: args.compress, overwrite }
    } else {
        let (keep_running, compress) = (args.keep_running, args.compress);
        Request::Save { path, keep_running, compress, overwrite }
    };
    let response = ask(&state, &args.name, &request)?;
    if let Response::Saved { file_len } = response {
        if !args.keep_running {
            await_end(&state, &args.name);
        }
        let after = match (args.keep_running, args.keep_memory) {
            (true, _) => "goes on here",
            (false, true) => "ended here; its memory stays in its file",
            (false, false) => "ended here",
        };
        let file = args.file.display();
        say(&format!("{} saved to {file} ({file_len} bytes) and {after}", args.name));
        if args.moves {
            say(&format!("it goes on as the same guest, once: abide restore --move {file}"));
        }
        return Ok(Exit::Fine);
    }
    finish(&args.name, response)
}

/// The exit code of an answer without content.
pub fn finish(name: &str, response: Response) -> Result<Exit> {
    if let Response::Failed { reason } = response {
        say(&format!("{name}: {reason}"));
        return Ok(Exit::Refused);
    }
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_tells_when_nothing_can_go_on() {
        let report = |vcpus_on| StatusReport {
            state: "running".to_owned(),
            engine: "soft".to_owned(),
            pid: 1,
            vcpus: 4,
            vcpus_on,
            memory_bytes: 0,
            deterministic: false,
            instructions: 0,
            guest_ns: 0,
            console_bytes: 0,
            handoff: None,
        };
        let told = |vcpus_on| vcpus("web", &report(vcpus_on));
        assert!(told(Some(0)).contains("all vCPUs are off"), "{}", told(Some(0)));
        assert!(told(Some(0)).contains("`abide stop web`"));
        assert_eq!(told(Some(3)), "4, 3 on");
        assert_eq!((told(Some(4)), told(None)), ("4".to_owned(), "4".to_owned()));
    }

    #[test]
    fn of_a_guest_that_is_still_to_come_nothing_is_made_up() {
        let report =
            StatusReport { state: "expected".to_owned(), pid: 7, ..StatusReport::default() };
        assert_eq!(text("web", &report), "web: expected\n  process       7");
    }
}
