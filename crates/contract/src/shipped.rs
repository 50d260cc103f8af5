//! The profiles and contracts that come with abide, by name.
//!
//! Profiles are what the lab measured on real kernels (`docs/lab/profiles`), those of `neoverse-v1`
//! were made from register dumps (`tests/data`), and contracts follow from profiles; a test makes
//! them again and compares.

const FILES: [(&str, &str); 18] = [
    ("debian-6.1-max", include_str!("../shipped/debian-6.1-max.toml")),
    ("debian-6.12-max", include_str!("../shipped/debian-6.12-max.toml")),
    ("debian-7.2-max", include_str!("../shipped/debian-7.2-max.toml")),
    ("debian-6.1-neoverse-n1", include_str!("../shipped/debian-6.1-neoverse-n1.toml")),
    ("debian-6.12-neoverse-n1", include_str!("../shipped/debian-6.12-neoverse-n1.toml")),
    ("debian-7.2-neoverse-n1", include_str!("../shipped/debian-7.2-neoverse-n1.toml")),
    ("debian-6.1-neoverse-v1", include_str!("../shipped/debian-6.1-neoverse-v1.toml")),
    ("debian-6.12-neoverse-v1", include_str!("../shipped/debian-6.12-neoverse-v1.toml")),
    ("debian-7.2-neoverse-v1", include_str!("../shipped/debian-7.2-neoverse-v1.toml")),
    ("debian-6.1-cortex-a57", include_str!("../shipped/debian-6.1-cortex-a57.toml")),
    ("debian-6.12-cortex-a57", include_str!("../shipped/debian-6.12-cortex-a57.toml")),
    ("debian-7.2-cortex-a57", include_str!("../shipped/debian-7.2-cortex-a57.toml")),
    ("debian-cortex-a57", include_str!("../shipped/debian-cortex-a57.toml")),
    ("debian-max-6.1-and-7.2", include_str!("../shipped/debian-max-6.1-and-7.2.toml")),
    ("debian-max-since-6.12", include_str!("../shipped/debian-max-since-6.12.toml")),
    ("debian-neoverse-n1", include_str!("../shipped/debian-neoverse-n1.toml")),
    (
        "debian-neoverse-n1-since-6.12",
        include_str!("../shipped/debian-neoverse-n1-since-6.12.toml"),
    ),
    (
        "debian-neoverse-v1-since-6.12",
        include_str!("../shipped/debian-neoverse-v1-since-6.12.toml"),
    ),
];

/// The text of the profile or contract of this name.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Every name.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}
