//! Profiles as text.

use super::read::{self, Node, ReadError, ReadProblem, parse_number};
use super::write::{SECTIONS, comment, key, quoted, value_text};
use super::{Kind, MAX_REGISTERS};
use crate::host::ones;
use crate::profile::{Accepts, FieldValues, Offer, Profile, Whose, Write};
use abide_reg::{Class, RegId, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const KNOWN: &str = "\"any\", \"rule\", values, range, bits, fields";

/// Reads a profile.
///
/// # Errors
/// [`ReadError`], with the line and what is allowed.
pub fn read_profile(text: &str) -> Result<Profile, ReadError> {
    let document = read::parse(text)?;
    let root = Node::root(&document, text);
    let name = root.head(Kind::Profile)?;
    root.only(
        &["format", "version", "architecture", "name", "host", "capabilities", "vm", "vcpu"],
        "format, version, architecture, name, host, capabilities, vm, vcpu",
    )?;
    let version = root.required("version")?.integer()?;
    let mut profile = Profile { name, ..Profile::default() };
    if let Some(host) = root.optional("host") {
        for (key, node) in host.entries()? {
            profile.info.insert(key.chars().take(40).collect(), node.text()?.to_owned());
        }
    }
    if let Some(capabilities) = root.optional("capabilities") {
        for (key, node) in capabilities.entries()? {
            let number = key.parse().ok();
            let needed = ReadProblem::Needed("the number of a capability as the key");
            profile.capabilities.insert(number.ok_or(node.problem(needed))?, node.integer()?);
        }
    }
    for scope in SECTIONS {
        let Some(section) = root.optional(scope.word()) else { continue };
        for (key, node) in section.entries()? {
            let id = read::id_at(key, &node)?;
            let offer = read_offer(id, scope, &node, version)?;
            if profile.offers.insert(id, offer).is_some() {
                return Err(node.problem(ReadProblem::Twice));
            }
            if profile.offers.len() > MAX_REGISTERS {
                return Err(section.problem(ReadProblem::TooMany));
            }
        }
    }
    Ok(profile)
}

fn read_offer(id: RegId, scope: Whose, node: &Node, version: i64) -> Result<Offer, ReadError> {
    const KEYS: [&str; 8] =
        ["class", "size", "default", "writable", "ignored", "accepts", "write", "advertised"];
    if version == read::VERSION {
        node.only(&KEYS[..7], "class, size, default, writable, ignored, accepts, write")?;
    }
    node.only(&KEYS, "class, size, default, writable, ignored, accepts, write, advertised")?;
    let default = node.optional("default").map(|node| node.value()).transpose()?;
    let width = read_width(id, node, default.as_ref().map(Value::width))?;
    let mut offer = Offer { default, ..Offer::state(scope, width) };
    let mask = |key| node.optional(key).map(|node| node.number().map(|mask| (node, mask)));
    if let Some(mask) = mask("writable") {
        offer.writable = mask?.1;
    }
    if let Some(mask) = mask("ignored") {
        let (at, mask) = mask?;
        if mask & !ones(width) != 0 {
            let text = format!("bits beyond the register's {width} bytes");
            return Err(at.problem(ReadProblem::Contradiction(text)));
        }
        offer.ignored = mask;
    }
    if let Some(accepts) = node.optional("accepts") {
        offer.accepts = read_accepts(&accepts)?;
    }
    if let Some(class) = node.optional("class") {
        let known = [Class::Mandatory, Class::Static, Class::Volatile];
        let found = class.text()?.to_owned();
        let of_word = known.into_iter().find(|class| class.to_string() == found);
        let known = "mandatory, static, volatile";
        let unknown = || class.problem(ReadProblem::UnknownRule { found, known });
        offer.class = of_word.ok_or_else(unknown)?;
    }
    if let Some(write) = node.optional("write") {
        offer.write = match write.text()? {
            "store" => Write::Store,
            "set" => Write::Set,
            "clear" => Write::Clear,
            other => {
                let (found, known) = (other.to_owned(), "store, set, clear");
                return Err(write.problem(ReadProblem::UnknownRule { found, known }));
            }
        };
    }
    if let Some(advertised) = node.optional("advertised") {
        offer.advertised = read_fields(&advertised)?;
    }
    check(id, &offer, node)?;
    Ok(offer)
}

fn read_width(id: RegId, node: &Node, of_default: Option<usize>) -> Result<usize, ReadError> {
    let size = node.optional("size");
    let stated = match &size {
        Some(size) => {
            let needed = ReadProblem::Needed("a size from 1 to 256 bytes");
            Some(read::is_width(size.integer()?).ok_or_else(|| size.problem(needed))?)
        }
        None => None,
    };
    let widths = [read::width_in(id), of_default, stated];
    let all: BTreeSet<usize> = widths.into_iter().flatten().collect();
    match (all.first(), all.len()) {
        (Some(&width), 1) => Ok(width),
        (None, _) => Err(node.problem(ReadProblem::Missing("size"))),
        _ => {
            let text = "its identity, its size and its default tell different sizes";
            Err(node.problem(ReadProblem::Contradiction(text.to_owned())))
        }
    }
}

/// Refuses what could never be measured.
fn check(id: RegId, offer: &Offer, node: &Node) -> Result<(), ReadError> {
    let contradiction = |text: &str| Err(node.problem(ReadProblem::Contradiction(text.to_owned())));
    let says_nothing = offer.accepts == Accepts::Any && offer.ignored == 0;
    if offer.default.is_none() && !(says_nothing && offer.advertised.is_empty()) {
        return contradiction("without a default, nothing can be said about values");
    }
    if offer.write != Write::Store && abide_arm64::kvm::set_clear_pair(id).is_none() {
        return contradiction("only PMCNTEN, PMINTEN and PMOVS are set and cleared by writes");
    }
    let is_listed =
        !matches!(offer.accepts, Accepts::Any | Accepts::Rule) || !offer.advertised.is_empty();
    if is_listed && offer.default.as_ref().and_then(Value::to_number).is_none() {
        return contradiction("values are listed for registers of at most 8 bytes only");
    }
    Ok(())
}

fn read_accepts(node: &Node) -> Result<Accepts, ReadError> {
    if let Ok(word) = node.text() {
        return match word {
            "any" => Ok(Accepts::Any),
            "rule" => Ok(Accepts::Rule),
            other => {
                let found = other.to_owned();
                Err(node.problem(ReadProblem::UnknownRule { found, known: KNOWN }))
            }
        };
    }
    let entries = node.entries()?;
    let [(rule, inner)] = entries.as_slice() else {
        return Err(node.problem(ReadProblem::Needed("one rule: values, range, bits or fields")));
    };
    match *rule {
        "values" => Ok(Accepts::Values(numbers(inner)?)),
        "range" => {
            let list = read::texts(inner)?;
            let ends: Option<Vec<u64>> = list.into_iter().map(parse_number).collect();
            match ends.as_deref() {
                Some(&[least, most]) if least <= most => Ok(Accepts::Range { least, most }),
                _ => Err(inner.problem(ReadProblem::Needed("two numbers, the least first"))),
            }
        }
        "bits" => Ok(Accepts::Bits(inner.number()?)),
        "fields" => read_fields(inner).map(Accepts::Fields),
        other => {
            let found = other.chars().take(60).collect();
            Err(inner.problem(ReadProblem::UnknownRule { found, known: KNOWN }))
        }
    }
}

fn numbers(node: &Node) -> Result<BTreeSet<u64>, ReadError> {
    let numbers: Option<BTreeSet<u64>> = read::texts(node)?.into_iter().map(parse_number).collect();
    let numbers = numbers.filter(|numbers| !numbers.is_empty());
    numbers.ok_or_else(|| node.problem(ReadProblem::Needed("a list of numbers like \"0x10001\"")))
}

fn read_fields(node: &Node) -> Result<Vec<FieldValues>, ReadError> {
    let needed = || {
        node.problem(ReadProblem::Needed(
            "fields like \"19:16 0x0 0x1\": the bits, then the numbers that are taken there",
        ))
    };
    let (mut fields, mut taken) = (Vec::new(), 0);
    for text in read::texts(node)? {
        let field = parse_field(text).ok_or_else(needed)?;
        if taken & field.mask() != 0 {
            let text = format!("bits {:#x} stand there twice", taken & field.mask());
            return Err(node.problem(ReadProblem::Contradiction(text)));
        }
        taken |= field.mask();
        fields.push(field);
    }
    // In one order, so that equal offers are equal.
    fields.sort();
    Ok(fields)
}

fn parse_field(text: &str) -> Option<FieldValues> {
    let mut words = text.split(' ');
    let (high, low) = words.next()?.split_once(':')?;
    let bit = |text: &str| text.parse::<u8>().ok().filter(|bit| *bit < 64);
    let (high, low) = (bit(high)?, bit(low)?);
    let width = high.checked_sub(low)? + 1;
    let values: Option<BTreeSet<u64>> = words.map(parse_number).collect();
    let values = values.filter(|values| !values.is_empty())?;
    let fits = |&value: &u64| width == 64 || value >> width == 0;
    values.iter().all(fits).then_some(FieldValues { shift: low, width, values })
}

/// Writes a profile, with the registers' names as comments.
#[must_use]
pub fn write_profile(profile: &Profile) -> String {
    let mut out = String::from(
        "# What one host offers to guests, register by register; see docs/profile-format.md.\n",
    );
    let _ = write!(
        out,
        "format = \"{}\"\nversion = {}\narchitecture = \"{}\"\nname = {}\n",
        Kind::Profile.word(),
        version(profile),
        read::ARCHITECTURE,
        quoted(&profile.name)
    );
    if !profile.info.is_empty() {
        out += "\n# For people; nothing is decided by it.\n[host]\n";
        for (key, text) in &profile.info {
            let _ = writeln!(out, "{} = {}", quoted(key), quoted(text));
        }
    }
    if !profile.capabilities.is_empty() {
        out += "\n# KVM_CAP_* by number; for people.\n[capabilities]\n";
        for (number, value) in &profile.capabilities {
            let _ = writeln!(out, "{number} = {value}");
        }
    }
    for scope in SECTIONS {
        let about = match scope {
            Whose::Vm => "\n# Registers of which a VM has one.\n[vm]\n",
            Whose::Vcpu => "\n# Registers of which each vCPU has one.\n[vcpu]\n",
        };
        out += about;
        for (id, offer) in profile.offers.iter().filter(|(_, offer)| offer.scope == scope) {
            let _ = writeln!(out, "{} = {{ {} }}{}", key(*id), offer_text(offer), comment(*id));
        }
    }
    out
}

/// The oldest version that can say all this.
fn version(profile: &Profile) -> i64 {
    let is_older = profile.offers.values().all(|offer| offer.advertised.is_empty());
    if is_older { read::VERSION } else { read::VERSION_ADVERTISED }
}

fn offer_text(offer: &Offer) -> String {
    let mut parts = Vec::new();
    if offer.class != Class::Mandatory {
        parts.push(format!("class = \"{}\"", offer.class));
    }
    match &offer.default {
        Some(value) => parts.push(format!("default = {}", value_text(value))),
        None => parts.push(format!("size = {}", offer.width)),
    }
    if offer.writable != u64::MAX {
        parts.push(format!("writable = \"{:#x}\"", offer.writable));
    }
    if offer.ignored != 0 {
        parts.push(format!("ignored = \"{:#x}\"", offer.ignored));
    }
    if let Some(text) = accepts_text(&offer.accepts) {
        parts.push(format!("accepts = {text}"));
    }
    if !offer.advertised.is_empty() {
        parts.push(format!("advertised = [{}]", fields_text(&offer.advertised)));
    }
    match offer.write {
        Write::Store => {}
        Write::Set => parts.push("write = \"set\"".to_owned()),
        Write::Clear => parts.push("write = \"clear\"".to_owned()),
    }
    parts.join(", ")
}

fn accepts_text(accepts: &Accepts) -> Option<String> {
    let list = |numbers: &BTreeSet<u64>| {
        numbers.iter().map(|number| format!("\"{number:#x}\"")).collect::<Vec<_>>().join(", ")
    };
    Some(match accepts {
        Accepts::Any => return None,
        Accepts::Rule => "\"rule\"".to_owned(),
        Accepts::Values(values) => format!("{{ values = [{}] }}", list(values)),
        Accepts::Range { least, most } => format!("{{ range = [\"{least:#x}\", \"{most:#x}\"] }}"),
        Accepts::Bits(bits) => format!("{{ bits = \"{bits:#x}\" }}"),
        Accepts::Fields(fields) => format!("{{ fields = [{}] }}", fields_text(fields)),
    })
}

fn fields_text(fields: &[FieldValues]) -> String {
    fields.iter().map(field_text).collect::<Vec<_>>().join(", ")
}

fn field_text(field: &FieldValues) -> String {
    let numbers: Vec<String> = field.values.iter().map(|value| format!("{value:#x}")).collect();
    let high = u32::from(field.shift) + u32::from(field.width) - 1;
    format!("\"{high}:{} {}\"", field.shift, numbers.join(" "))
}
