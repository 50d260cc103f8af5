//! The profiles and contracts that come with abide, by name.
//!
//! They were made from register dumps of real kernels (`tests/data`); a test makes them again and
//! compares.

const FILES: [(&str, &str); 13] = [
    ("debian-6.1-max", include_str!("../shipped/debian-6.1-max.toml")),
    ("debian-6.12-max", include_str!("../shipped/debian-6.12-max.toml")),
    ("debian-7.2-max", include_str!("../shipped/debian-7.2-max.toml")),
    ("debian-6.1-neoverse-n1", include_str!("../shipped/debian-6.1-neoverse-n1.toml")),
    ("debian-6.12-neoverse-n1", include_str!("../shipped/debian-6.12-neoverse-n1.toml")),
    ("debian-7.2-neoverse-n1", include_str!("../shipped/debian-7.2-neoverse-n1.toml")),
    ("debian-6.1-neoverse-v1", include_str!("../shipped/debian-6.1-neoverse-v1.toml")),
    ("debian-6.12-neoverse-v1", include_str!("../shipped/debian-6.12-neoverse-v1.toml")),
    ("debian-7.2-neoverse-v1", include_str!("../shipped/debian-7.2-neoverse-v1.toml")),
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
