//! CPUs that are not alike, as users ask for them and see them.

mod support;

use support::{Sandbox, code, stderr, stdout};

#[test]
fn cpus_that_are_not_one_for_each_vcpu_are_refused() {
    let sandbox = Sandbox::new();
    for (args, status, word) in [
        (&["--asymmetric", "v8.0,n1-like"][..], 1, "2 CPUs for --vcpus 1"),
        (&["--vcpus", "3", "--asymmetric", "v8.0,n1-like"], 1, "2 CPUs for --vcpus 3"),
        (&["--vcpus", "2", "--asymmetric", "v8.0,a64fx"], 2, "a64fx"),
        (&["--vcpus", "2", "--asymmetric", "v8.0,"], 2, "--asymmetric"),
        (&["--vcpus", "2", "--asymmetric", "int,int", "--cpu", "int"], 2, "--cpu"),
        (&["--vcpus", "2", "--asymmetric", "int,v8.0", "--engine", "kvm"], 1, "--engine soft"),
    ] {
        let output = sandbox.abide(&[&["run"][..], args].concat());
        assert_eq!(code(&output), status, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn cpus_that_are_not_alike_are_shown_and_kept() {
    let sandbox = Sandbox::new();
    let asymmetric = ["--vcpus", "2", "--asymmetric", "v8.0,n1-like"];
    let save =
        |name: &str| ["--save-at".to_owned(), "1000000".into(), "--save-to".into(), name.into()];
    let born = save("born.abide");
    let args: Vec<&str> = asymmetric.into_iter().chain(born.iter().map(String::as_str)).collect();
    let saved = sandbox.run_demo_guest("away", &args);
    assert_eq!(code(&saved), 12, "{}", stderr(&saved));
    let shown = stdout(&sandbox.abide(&["inspect", "born.abide", "--unit", "identity"]));
    assert!(shown.contains("identity.own") && shown.contains("ID_AA64ISAR0_EL1"), "{shown}");
    assert_eq!(shown.matches("ID_AA64ISAR0_EL1").count(), 2, "the VM's and vCPU 1's: {shown}");
    let end = sandbox.abide(&["restore", "born.abide", "--report", "end.json"]);
    assert_eq!(code(&end), 0, "{}", stderr(&end));
    assert_eq!(code(&sandbox.run_demo_guest("whole", &asymmetric)), 0);
    assert_eq!(sandbox.report("end")["state_hash"], sandbox.report("whole")["state_hash"]);
}
