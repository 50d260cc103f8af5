//! `--vsock` as users meet it: what is refused, and what is left behind.

mod support;

use std::os::unix::net::UnixListener;
use support::{Sandbox, code, demo_guest, stderr};

#[test]
fn sockets_of_others_are_refused_and_those_of_the_dead_replaced() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("v");
    let kernel = demo_guest();
    let run = ["run", "--kernel", kernel.to_str().unwrap(), "--vsock", "v"];
    let listener = UnixListener::bind(&path).unwrap();
    let refused = sandbox.abide(&run);
    assert_eq!(code(&refused), 1);
    let text = stderr(&refused);
    assert!(text.contains(path.to_str().unwrap()) && text.contains("in use"), "{text}");
    drop(listener);
    assert!(path.exists());
    let ran = sandbox.abide(&run);
    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    assert!(!path.exists(), "a guest's socket goes with it");
    std::fs::write(&path, b"precious").unwrap();
    let refused = sandbox.abide(&run);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("no socket"), "{}", stderr(&refused));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let kernel = demo_guest();
    let run = ["run", "--kernel", kernel.to_str().unwrap(), "--vsock"];
    for (argument, number, word) in
        [("v,cid=2", 2, "cid=2"), ("v,port=5", 2, "port=5"), ("no/v", 1, "no/v")]
    {
        let refused = sandbox.abide(&[&run[..], &[argument]].concat());
        assert_eq!(code(&refused), number, "{argument}");
        assert!(stderr(&refused).contains(word), "{argument}: {}", stderr(&refused));
    }
    let refused = sandbox.abide(&[&run[..], &["v", "--deterministic"]].concat());
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("--deterministic"), "{}", stderr(&refused));
    let saved = ["--save-at", "1000000", "--save-to", "without.abide"];
    assert_eq!(code(&sandbox.run_demo_guest("without", &saved)), 12);
    let refused = sandbox.abide(&["restore", "without.abide", "--vsock", "v"]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("no virtio sockets"), "{}", stderr(&refused));
    assert!(!sandbox.path("v").exists());
}
