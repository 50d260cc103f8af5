//! Profiles and contracts edited into nonsense: named errors, never a panic, bounded.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use abide_contract::codec::{
    MAX_REGISTERS, MAX_TEXT_LEN, kind_of, read_contract, read_profile, write_contract,
};
use abide_contract::fuzz::{fuzz_move, fuzz_text};
use abide_contract::{Guest, baseline, plan, shipped};
use proptest::prelude::*;

const HEAD: &str =
    "format = \"abide-profile\"\nversion = 1\narchitecture = \"aarch64\"\nname = \"x\"\n";
const PSCI: &str = "\"kvm:0x6030000000140000\"";

fn error(text: &str) -> String {
    read_profile(text).unwrap_err().to_string()
}

#[test]
fn a_profile_that_is_nonsense_is_refused_by_line_and_name() {
    let vm = |line: &str| format!("{HEAD}[vm]\n{line}\n");
    let of = |offer: &str| vm(&format!("{PSCI} = {{ {offer} }}"));
    let value = "default = \"0x0000000000010001\"";
    for (text, expected) in [
        ("x = [".to_owned(), "line 1: not TOML"),
        (String::new(), "the key \"format\" is missing"),
        (HEAD.replace("abide-profile", "qemu"), "line 1: format: found \"qemu\", allowed"),
        (HEAD.replace("= 1", "= 3"), "line 2: version: version 3 found, this abide reads 2"),
        (HEAD.replace("= 1", "= \"1\""), "line 2: version: a whole number is needed"),
        (HEAD.replace("aarch64", "x86_64"), "line 3: architecture: architecture \"x86_64\" found"),
        (HEAD.replace("\"x\"", "7"), "line 4: name: one line of text"),
        (HEAD.replace("\"x\"", "\"a\\nb\""), "line 4: name: one line of text"),
        (format!("{HEAD}more = 1\n"), "line 5: more: the key \"more\" has no meaning here"),
        (format!("{HEAD}vm = 3\n"), "line 5: vm: a table is needed"),
        (vm("\"kvm:0x2030000000140000\" = { size = 8 }"), "architecture number 0x2"),
        (vm("\"kvm:12\" = { size = 8 }"), "line 6: vm.kvm:12: \"kvm:12\" is no register"),
        (vm("\"kvm:0x+6030000000140000\" = {}"), "is no register"),
        (vm("\"gic:-1:0x4\" = { size = 4 }"), "is no register"),
        (vm("\"Has Space\" = { size = 4 }"), "is no register"),
        (vm("\"cpu.event\" = {}"), "line 6: vm.cpu.event: the key \"size\" is missing"),
        (vm("\"cpu.event\" = { size = 0 }"), "a size from 1 to 256 bytes is needed"),
        (vm("\"cpu.event\" = { size = 257 }"), "a size from 1 to 256 bytes is needed"),
        (vm("\"cpu.event\" = 5"), "a table is needed"),
        (of("size = 4"), "tell different sizes"),
        (of("default = \"0x00010001\""), "tell different sizes"),
        (of("default = \"0x1\""), "a value like \"0x0000001f\""),
        (of("default = \"0xzz\""), "a value like \"0x0000001f\""),
        (of("default = 65537"), "a value like \"0x0000001f\""),
        (of("accepts = \"rule\""), "without a default"),
        (of(&format!("{value}, accepts = \"most\"")), "the rule \"most\" is not known"),
        (of(&format!("{value}, accepts = {{ most = 3 }}")), "the rule \"most\" is not known"),
        (of(&format!("{value}, accepts = {{}}")), "one rule: values, range, bits or fields"),
        (of(&format!("{value}, accepts = {{ values = [] }}")), "a list of numbers"),
        (of(&format!("{value}, accepts = {{ values = [3] }}")), "a list of texts in quotes"),
        (of(&format!("{value}, accepts = {{ range = [\"0x2\", \"0x1\"] }}")), "two numbers"),
        (of(&format!("{value}, accepts = {{ fields = [\"3:0\"] }}")), "fields like"),
        (of(&format!("{value}, accepts = {{ fields = [\"3:0 0x10\"] }}")), "fields like"),
        (of(&format!("{value}, accepts = {{ fields = [\"64:0 0x1\"] }}")), "fields like"),
        (of(&format!("{value}, accepts = {{ fields = [\"0:3 0x1\"] }}")), "fields like"),
        (
            of(&format!("{value}, accepts = {{ fields = [\"3:0 0x1\", \"2:2 0x1\"] }}")),
            "bits 0x4 stand there twice",
        ),
        (of(&format!("{value}, advertised = [\"3:0 0x2\"]")), "\"advertised\" has no meaning"),
        (
            of("advertised = [\"3:0 0x2\"]").replace("= 1", "= 2"),
            "without a default, nothing can be said",
        ),
        (of(&format!("{value}, advertised = [\"3:0\"]")).replace("= 1", "= 2"), "fields like"),
        (of(&format!("{value}, class = \"odd\"")), "the rule \"odd\" is not known"),
        (of(&format!("{value}, write = \"set\"")), "only PMCNTEN, PMINTEN and PMOVS"),
        (of(&format!("{value}, write = \"flip\"")), "the rule \"flip\" is not known"),
        (of(&format!("{value}, writable = 3")), "one line of text"),
        (of(&format!("{value}, rule = \"any\"")), "the key \"rule\" has no meaning here"),
        (of(&format!("{value}, {value}")), "not TOML"),
        (vm(&format!("{PSCI} = {{}}\n{PSCI} = {{}}")), "line 7: not TOML: duplicate key"),
        (
            vm(&format!("{PSCI} = {{}}\n\"kvm:0x6030000000140000\" = {{}}\n")),
            "not TOML: duplicate key",
        ),
        (format!("{HEAD}[vm]\n{PSCI} = {{}}\n[vcpu]\n{PSCI} = {{}}\n"), "stands there twice"),
        (format!("{HEAD}[capabilities]\nx = 1\n"), "the number of a capability as the key"),
        (format!("{HEAD}[host]\nkernel = 6\n"), "host.kernel: one line of text"),
    ] {
        let found = error(&text);
        assert!(found.contains(expected), "{text}\n found: {found}\n expected: {expected}");
    }
}

#[test]
fn one_register_in_two_spellings_is_still_twice() {
    let text = format!("{HEAD}[vm]\n{PSCI} = {{}}\n\"kvm:0x06030000000140000\" = {{}}\n");
    assert!(error(&text).contains("is no register"));
    let text =
        format!("{HEAD}[vm]\n\"gic:1:0x8\" = {{ size = 4 }}\n\"gic:01:0x8\" = {{ size = 4 }}\n");
    assert!(error(&text).contains("twice"), "{}", error(&text));
}

#[test]
fn a_contract_that_is_nonsense_is_refused_by_name() {
    let head = HEAD.replace("profile", "contract");
    for (rest, expected) in [
        ("[vm]\n\"kvm:0x6030000000140000\" = \"0x01\"\n", "tell different sizes"),
        ("[vcpu]\n\"kvm:0x6030000000100000\" = \"0x0000000000000001\"\n", "plain state"),
        ("[state]\nvm = [\"kvm:0x6030000000140000\", \"kvm:0x6030000000140000\"]\n", "twice"),
        ("[state]\nvm = 3\n", "a list is needed"),
        ("[state]\ndevice = []\n", "the key \"device\" has no meaning here"),
        ("derived_from = \"all\"\n", "a list is needed"),
    ] {
        let found = read_contract(&format!("{head}{rest}")).unwrap_err().to_string();
        assert!(found.contains(expected), "{rest} found: {found}");
    }
    let other = read_contract(HEAD).unwrap_err().to_string();
    assert!(other.contains("a host's profile found, a guest's contract is needed"), "{other}");
    let other = read_profile(&head).unwrap_err().to_string();
    assert!(other.contains("a guest's contract found, a host's profile is needed"), "{other}");
}

#[test]
fn what_is_huge_is_refused_before_it_is_understood() {
    let long = " ".repeat(MAX_TEXT_LEN + 1);
    assert!(error(&long).contains("4194305 bytes found, at most 4194304 allowed"));
    let mut many = format!("{HEAD}[vcpu]\n");
    for n in 0..=MAX_REGISTERS {
        many += &format!("\"kvm:0x{:016x}\" = {{}}\n", 0x6030_0000_0020_0000_u64 + n as u64);
    }
    assert!(error(&many).contains("more than 20000 registers"));
    let deep = format!("{HEAD}host = {}", "[".repeat(100_000));
    assert!(error(&deep).contains("not TOML"));
    let name = HEAD.replace("\"x\"", &format!("\"{}\"", "x".repeat(1_000)));
    assert!(error(&name).contains("at most 200 bytes"));
}

#[test]
fn errors_stay_short_whatever_they_quote() {
    let key = format!("{HEAD}\"{}\" = 1\n", "k".repeat(100_000));
    assert!(error(&key).len() < 1_000);
    let id = format!("{HEAD}[vm]\n\"{}\" = {{}}\n", "k".repeat(100_000));
    assert!(error(&id).len() < 1_000);
    for word in ["abide-profile", "aarch64"] {
        assert!(error(&HEAD.replace(word, &"k".repeat(100_000))).len() < 1_000, "{word}");
    }
}

#[test]
fn a_contract_stricter_than_any_host_is_refused_with_every_reason() {
    let mut contract = read_contract(shipped::text("debian-neoverse-n1").unwrap()).unwrap();
    for pinned in contract.pinned.values_mut() {
        let all = vec![0xff; pinned.value.width()];
        pinned.value = abide_reg::Value::bytes(&all);
    }
    let host = read_profile(shipped::text("debian-7.2-neoverse-n1").unwrap()).unwrap();
    let plan = plan(&Guest::promised(&contract), &host);
    assert!(plan.refusals().count() > 60);
    for step in plan.refusals() {
        assert!(!step.reason().is_empty() && step.remedy().is_some_and(|text| !text.is_empty()));
    }
}

#[test]
fn empty_profiles_and_contracts_are_no_trouble() {
    let empty = read_profile(HEAD).unwrap();
    assert!(plan(&Guest::fresh(&empty), &empty).is_fine());
    let contract = baseline("none", std::slice::from_ref(&empty)).unwrap();
    assert_eq!(read_contract(&write_contract(&contract)).unwrap(), contract);
    assert!(baseline("none", &[]).is_err());
    let host = read_profile(shipped::text("debian-6.1-max").unwrap()).unwrap();
    assert!(!plan(&Guest::fresh(&host), &empty).is_fine());
}

fn edited(text: &str, at: usize, new: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at % bytes.len();
    let end = (at + new.len()).min(bytes.len());
    bytes.splice(at..end, new.iter().copied());
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What is read after an edit is written and read as the same again, and can be planned with.
    #[test]
    fn edits_are_read_or_named(
        at in any::<usize>(), new in proptest::collection::vec(any::<u8>(), 0..6),
    ) {
        let text = edited(shipped::text("debian-6.12-neoverse-n1").unwrap(), at, &new);
        fuzz_text(text.as_bytes());
        let home = shipped::text("debian-6.1-neoverse-n1").unwrap();
        fuzz_move(format!("{home}\0{text}").as_bytes());
        fuzz_move(format!("{text}\0{home}").as_bytes());
        let contract = edited(shipped::text("debian-neoverse-n1").unwrap(), at, &new);
        fuzz_text(contract.as_bytes());
        fuzz_move(format!("{contract}\0{home}").as_bytes());
    }

    #[test]
    fn any_text_is_read_or_named(text in "\\PC{0,200}") {
        let _ = kind_of(&text);
        let _ = read_profile(&format!("{HEAD}{text}"));
        let _ = read_contract(&text);
    }
}
