//! Whatever is wrong with what abide is given: a clear error, the right exit code, nothing lost.

mod support;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::{Sandbox, code, demo_guest, shipped_guest, stderr, stdout};

/// A snapshot of the demo guest, made in the sandbox.
#[expect(clippy::unwrap_used, reason = "what fails here fails the test")]
fn snapshot(sandbox: &Sandbox) -> Vec<u8> {
    let away = sandbox.run_demo_guest("away", &["--save-at", "1000000", "--save-to", "good.abide"]);
    assert_eq!(code(&away), 12, "{}", stderr(&away));
    std::fs::read(sandbox.path("good.abide")).unwrap()
}

#[test]
fn kernels_that_cannot_run_are_refused_by_name() {
    let sandbox = Sandbox::new();
    let mut bzimage = vec![0x90; 4096];
    bzimage[0x202..0x206].copy_from_slice(b"HdrS");
    let mut cut = std::fs::read(demo_guest()).unwrap();
    cut.truncate(40);
    for (name, content, word) in [
        ("bzimage", bzimage, "bzImage"),
        ("empty", vec![], "empty"),
        ("text", b"hello\n".to_vec(), "text"),
    ] {
        std::fs::write(sandbox.path(name), content).unwrap();
        let output = sandbox.abide(&["run", "--kernel", name]);
        assert_eq!(code(&output), 1, "{name}");
        assert!(stderr(&output).contains(word), "{name}: {}", stderr(&output));
    }
    let missing = sandbox.abide(&["run", "--kernel", "nowhere"]);
    assert_eq!(code(&missing), 1);
    assert!(stderr(&missing).contains("nowhere"));
    // No end, and no length that tells so.
    let endless = sandbox.abide(&["run", "--kernel", "/dev/zero"]);
    assert_eq!(code(&endless), 1);
    assert!(stderr(&endless).contains("longer than"), "{}", stderr(&endless));
}

#[test]
fn what_only_one_engine_can_is_refused_by_the_other_by_name() {
    let sandbox = Sandbox::new();
    for (args, words) in [
        (["--engine", "soft", "--features", "sve"], "--engine soft has no scalable vectors"),
        (["--deterministic", "--rng", "--features", "pmu"], "PMUVer"),
        (["--deterministic", "--rng", "--engine", "kvm"], "does not count instructions"),
        (["--engine", "kvm", "--features", "mte"], "KVM_CAP_ARM_MTE"),
        (["--engine", "kvm", "--features", "sme"], "sme"),
        (["--engine", "kvm", "--features", "nested"], "EL2"),
        (["--engine", "kvm", "--features", "protected"], "cannot be saved"),
    ] {
        let output = sandbox.as_told(&[&["run"], args.as_slice()].concat()).output().unwrap();
        assert_eq!(code(&output), 1, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    }
}

/// Their /dev/kvm, if there is one, is for other guests.
#[cfg(not(target_arch = "aarch64"))]
#[test]
fn hosts_of_another_architecture_run_guests_without_kvm_and_say_why() {
    let sandbox = Sandbox::new();
    for args in [&["--engine", "kvm"] as &[_], &["--features", "pmu"]] {
        let output = sandbox.as_told(&[&["run"], args].concat()).output().unwrap();
        assert_eq!(code(&output), 4, "{}", stderr(&output));
        let said = stderr(&output);
        assert!(
            said.contains("arm64 guests on arm64 hosts") && said.lines().count() == 1,
            "{said}"
        );
    }
    let kernel = demo_guest();
    let run = ["run", "web", "--kernel", kernel.to_str().unwrap()];
    let output = sandbox.as_told(&run).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let expected = "web runs on engine soft (engine kvm: it drives arm64 guests on arm64 hosts";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}

/// Nobody hears what abide says, and the answer cannot be written: the first ends no guest, the
/// second is an error.
#[test]
fn full_disks_behind_the_standard_streams_are_survived() {
    let sandbox = Sandbox::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let kernel = demo_guest();
    let args = ["run", "--deterministic", "--kernel", kernel.to_str().unwrap()];
    let unheard = sandbox.command(&args).stderr(full()).output().unwrap();
    assert_eq!(code(&unheard), 0);
    assert!(stdout(&unheard).contains("all 12 right"));
    let unseen = sandbox.command(&args).stdout(full()).output().unwrap();
    assert_eq!(code(&unseen), 0);
    assert!(stderr(&unseen).contains("output is lost"), "{}", stderr(&unseen));

    snapshot(&sandbox);
    let unanswered = sandbox.command(&["inspect", "good.abide"]).stdout(full()).output().unwrap();
    assert_eq!(code(&unanswered), 1);
    let unheard = sandbox.command(&["verify", "nowhere"]).stderr(full()).output().unwrap();
    assert_eq!(code(&unheard), 1);
}

#[test]
fn what_does_not_fit_into_memory_says_how_much_would() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("initrd"), vec![7; 20 << 20]).unwrap();
    let kernel = demo_guest();
    let kernel = kernel.to_str().unwrap();
    let args = ["run", "--memory", "16M", "--kernel", kernel, "--initrd", "initrd"];
    let output = sandbox.abide(&args);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("--memory"), "{}", stderr(&output));
    for memory in ["0", "1M", "4097K", "1000000G"] {
        let output = sandbox.abide(&["run", "--memory", memory]);
        assert_eq!(code(&output), 1, "{memory}: {}", stderr(&output));
    }
    assert_eq!(code(&sandbox.abide(&["run", "--memory", "lots"])), 2);
}

#[test]
fn damaged_files_are_named_and_never_restored() {
    let sandbox = Sandbox::new();
    let good = snapshot(&sandbox);
    let restore = |content: &[u8]| {
        std::fs::write(sandbox.path("bad.abide"), content).unwrap();
        sandbox.abide(&["restore", "bad.abide"])
    };
    for len in [0, 7, 100, 128, 200, 1000, good.len() / 2, good.len() - 1] {
        let output = restore(&good[..len]);
        assert_eq!(code(&output), 3, "cut at {len}: {}", stderr(&output));
    }
    // From the header through every kind of record to the memory.
    for n in 0..40 {
        let at = (n * n * good.len() / 1600 + n) % good.len();
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (n % 8);
        let output = restore(&flipped);
        assert_eq!(code(&output), 3, "flipped at {at}: {}", stderr(&output));
        let verify = sandbox.abide(&["verify", "bad.abide"]);
        assert_eq!(code(&verify), 3, "flipped at {at}: {}", stdout(&verify));
    }
}

#[test]
fn files_of_a_newer_container_are_shown_and_refused() {
    let sandbox = Sandbox::new();
    let mut newer = snapshot(&sandbox);
    // Major version and the header's checksum, as docs/state-format.md has them.
    newer[8..10].copy_from_slice(&99u16.to_le_bytes());
    let crc = crc32c::crc32c(&newer[..252]);
    newer[252..256].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(sandbox.path("newer.abide"), &newer).unwrap();
    let restore = sandbox.abide(&["restore", "newer.abide"]);
    assert_eq!(code(&restore), 1, "{}", stderr(&restore));
    assert!(stderr(&restore).contains("99"), "{}", stderr(&restore));
    let inspect = sandbox.abide(&["inspect", "newer.abide"]);
    assert!(stdout(&inspect).contains("aarch64"), "{}", stdout(&inspect));
}

#[test]
fn a_full_disk_costs_the_file_and_not_the_guest() {
    let sandbox = Sandbox::new();
    let mut guest = shipped_guest(&sandbox, "web");
    // A limit on file sizes, set when the guest already has its memory, stands for the full disk.
    let limit = Rlimit { current: Some(64 << 10), maximum: None };
    prlimit(Pid::from_raw(guest.0.id().cast_signed()), Resource::Fsize, limit).unwrap();
    std::fs::write(sandbox.path("full.abide"), b"precious").unwrap();
    for more in [&["--keep-running", "--overwrite"][..], &["--overwrite"]] {
        let mut args = vec!["save", "web", "full.abide"];
        args.extend(more);
        let refused = sandbox.abide(&args);
        assert_eq!(code(&refused), 1, "{}", stderr(&refused));
        assert!(stderr(&refused).contains("no room"), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("full.abide"), "{}", stderr(&refused));
    }
    let left: Vec<_> = std::fs::read_dir(sandbox.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("full.abide"))
        .collect();
    assert_eq!(left, ["full.abide"], "the half file is gone");
    assert_eq!(std::fs::read(sandbox.path("full.abide")).unwrap(), b"precious");
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0, "the guest went on");
}

#[test]
fn diff_names_the_register() {
    let sandbox = Sandbox::new();
    snapshot(&sandbox);
    let later =
        sandbox.run_demo_guest("later", &["--save-at", "2000000", "--save-to", "later.abide"]);
    assert_eq!(code(&later), 12);
    let same = sandbox.abide(&["diff", "good.abide", "good.abide"]);
    assert_eq!(code(&same), 0, "{}", stdout(&same));
    let other = sandbox.abide(&["diff", "good.abide", "later.abide"]);
    assert_eq!(code(&other), 1);
    assert!(stdout(&other).contains("clock.instructions"), "{}", stdout(&other));
}
